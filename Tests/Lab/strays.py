#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends packets without a connection, as any public address gets them, on eth0 from random sources.

    strays.py VIP RATE SECONDS SEED TCP_PORT/UDP_PORT...

RATE packets a second of each kind to each pair of ports: ACKs, datagrams, SYN ACKs, RSTs, and ICMP errors about packets
that the VIP never sent. Prints "ready", and at the end how many were sent, by kind.
"""

import ipaddress
import json
import random
import socket
import struct
import sys
import time

from flood import checksum, ethernet_header

SYN, RST, PSH, ACK, FIN = 0x02, 0x04, 0x08, 0x10, 0x01
KINDS = {"ack": ACK, "syn ack": SYN | ACK, "rst": RST}


def packet4(source, destination, protocol, payload):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 20 + len(payload), 0, 0x4000, 64, protocol, 0, source, destination)
    return header[:10] + struct.pack("!H", checksum(header)) + header[12:] + payload


def segment4(source, source_port, destination, port, flags, number=1):
    """A TCP segment without data; `source` and `destination` are four octets each."""
    tcp = struct.pack("!HHIIBBHHH", source_port, port, number, 1, 5 << 4, flags, 1024, 0, 0)
    total = checksum(source + destination + struct.pack("!HH", 6, len(tcp)) + tcp)
    return packet4(source, destination, 6, tcp[:16] + struct.pack("!H", total) + tcp[18:])


def datagram4(source, source_port, destination, port):
    udp = struct.pack("!HHHH", source_port, port, 12, 0)
    return packet4(source, destination, 17, udp + b"scan")


def error4(reporter, quoted):
    """Host unreachable, about a packet."""
    icmp = struct.pack("!BBHI", 3, 1, 0, 0) + quoted[:28]
    return packet4(reporter, quoted[12:16], 1, icmp[:2] + struct.pack("!H", checksum(icmp)) + icmp[4:])


def strays(vip, tcp_port, udp_port):
    """A packet of each kind, from sources of their own."""
    def source():
        return (int(ipaddress.ip_address("198.18.0.0")) + random.randrange(1, 1 << 17)).to_bytes(4), random.randrange(
            1024, 65536)
    for kind, flags in KINDS.items():
        yield kind, segment4(*source(), vip, tcp_port, flags, random.randrange(1 << 32))
    yield "datagram", datagram4(*source(), vip, udp_port)
    client, client_port = source()
    yield "error", error4(source()[0], segment4(vip, tcp_port, client, client_port, ACK))


def main(vip, rate, seconds, ports):
    interface = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    interface.bind(("eth0", 0))
    ethernet, vip = ethernet_header(interface), ipaddress.ip_address(vip).packed
    print("ready", flush=True)
    started, sent, rounds = time.monotonic(), {}, 0
    while (now := time.monotonic()) < started + seconds:
        while rounds < (now - started) * rate:
            rounds += 1
            for pair in ports:
                for kind, packet in strays(vip, *pair):
                    interface.send(ethernet + packet)
                    sent[kind] = sent.get(kind, 0) + 1
        time.sleep(0.005)
    print(json.dumps(sent))


if __name__ == "__main__":
    random.seed(int(sys.argv[4]))
    main(sys.argv[1], float(sys.argv[2]), float(sys.argv[3]), [tuple(map(int, pair.split("/"))) for pair in sys.argv[5:]])
