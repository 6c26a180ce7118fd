# SPDX-License-Identifier: Apache-2.0
"""Sends IP packets on eth0 and collects the replies. Lab.exchange runs it inside a host's network.

Standard input, JSON: frames (hex, without Ethernet header), repeat (times each is sent, 1), pause (seconds before each
repetition, 0), expect (answers to wait for, 0), seconds (how long to wait for them, 2; with expect 0: how long to listen
after sending, 0.2).
Standard output, JSON: the TCP packets of this host's peers that came in, hex, without Ethernet header.
"""

import json
import socket
import subprocess
import sys
import time

OUTGOING = 4
ETHERNET_LENGTH = 14
TCP = 6


def router_mac():
    gateway = json.loads(subprocess.check_output(["ip", "-j", "route", "show", "default"]))[0]["gateway"]
    subprocess.run(["ping", "-c1", "-W1", gateway], stdout=subprocess.DEVNULL, check=True)
    entry = json.loads(subprocess.check_output(["ip", "-j", "neigh", "show", gateway]))[0]
    return bytes.fromhex(entry["lladdr"].replace(":", ""))


def is_tcp(packet):
    return packet[0] >> 4 == 4 and packet[9] == TCP or packet[0] >> 4 == 6 and packet[6] == TCP


def main(request):
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    port.bind(("eth0", 0))
    own_mac = port.getsockname()[4]
    header = router_mac() + own_mac
    frames = []
    for text in request["frames"]:
        packet = bytes.fromhex(text)
        frames.append(header + (b"\x08\x00" if packet[0] >> 4 == 4 else b"\x86\xdd") + packet)
    for _ in range(request.get("repeat", 1)):
        time.sleep(request.get("pause", 0))
        for frame in frames:
            port.send(frame)
    expect = request.get("expect", 0)
    deadline = time.monotonic() + request.get("seconds", 2 if expect else 0.2)
    answers = []
    while (left := deadline - time.monotonic()) > 0 and (expect == 0 or len(answers) < expect):
        port.settimeout(left)
        try:
            frame, address = port.recvfrom(65536)
        except TimeoutError:
            break
        packet = frame[ETHERNET_LENGTH:]
        if address[2] != OUTGOING and len(packet) >= 20 and is_tcp(packet):
            answers.append(packet.hex())
    print(json.dumps(answers))


main(json.load(sys.stdin))
