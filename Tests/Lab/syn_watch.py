#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Notes the SYNs that come out of a backend's decapsulation until its input closes.

    syn_watch.py PORT...

Prints "ready"; at the end, JSON: [[time, source port], …] of IPv4 SYNs to one of the ports. Time: the monotonic clock.
"""

import ctypes
import json
import select
import socket
import struct
import sys
import time

SO_ATTACH_FILTER = 26
# `tcpdump -dd "ip and tcp[tcpflags] & (tcp-syn|tcp-ack) == tcp-syn"`: no other frame wakes us.
FILTER = [
    (0x28, 0, 0, 12), (0x15, 0, 9, 0x800), (0x30, 0, 0, 23), (0x15, 0, 7, 6), (0x28, 0, 0, 20), (0x45, 5, 0, 0x1FFF),
    (0xB1, 0, 0, 14), (0x50, 0, 0, 27), (0x54, 0, 0, 0x12), (0x15, 0, 1, 2), (0x6, 0, 0, 262144), (0x6, 0, 0, 0),
]


def watch():
    interface = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in FILTER)
    octets = ctypes.create_string_buffer(program)
    interface.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(FILTER), ctypes.addressof(octets)))
    interface.bind(("eth0", 0))
    interface.setblocking(False)
    return interface


def main(ports):
    interface, seen = watch(), []
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([interface, sys.stdin], [], [])
        if interface in readable:
            frame, address = interface.recvfrom(128)
            length = (frame[14] & 15) * 4
            source, destination = struct.unpack_from("!HH", frame, 14 + length)
            if destination in ports and address[2] != socket.PACKET_OUTGOING:
                seen.append([time.monotonic(), source])
        elif not sys.stdin.readline():
            break
    print(json.dumps(seen))


main(set(map(int, sys.argv[1:])))
