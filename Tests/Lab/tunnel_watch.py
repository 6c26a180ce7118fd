#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Notes the SYNs that come into an interface inside of IPv4 tunnels until its input closes.

    tunnel_watch.py INTERFACE

Prints "ready"; at the end, JSON: [[time, backend, client, source port, port], …] of TCP over IPv4 in IPv4. Time: the
monotonic clock, as the kernel saw the packet.
"""

import ctypes
import json
import select
import socket
import struct
import sys
import time

SO_ATTACH_FILTER, SO_TIMESTAMPNS, SO_RCVBUFFORCE = 26, 35, 33
# Classic BPF: IPv4, in it IPv4, in it TCP, of SYN and ACK only SYN. No other frame wakes us.
FILTER = [
    (0x28, 0, 0, 12), (0x15, 0, 8, 0x800), (0x30, 0, 0, 23), (0x15, 0, 6, 4), (0x30, 0, 0, 43), (0x15, 0, 4, 6),
    (0x30, 0, 0, 67), (0x54, 0, 0, 0x12), (0x15, 0, 1, 2), (0x6, 0, 0, 128), (0x6, 0, 0, 0),
]


def watch(name):
    interface = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3))
    program = b"".join(struct.pack("HBBI", *instruction) for instruction in FILTER)
    octets = ctypes.create_string_buffer(program)
    interface.setsockopt(
        socket.SOL_SOCKET, SO_ATTACH_FILTER, struct.pack("HxxxxxxP", len(FILTER), ctypes.addressof(octets)))
    interface.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
    interface.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, 32 << 20)
    interface.bind((name, 0))
    return interface


def main(name):
    interface, seen = watch(name), []
    epoch = time.monotonic() - time.time()
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([interface, sys.stdin], [], [])
        if interface in readable:
            frame, [(_, _, stamp)], _, address = interface.recvmsg(128, 64)
            if address[2] != socket.PACKET_OUTGOING:
                seconds, nanoseconds = struct.unpack("qq", stamp)
                seen.append([
                    round(epoch + seconds + nanoseconds / 1e9, 6), socket.inet_ntoa(frame[30:34]),
                    socket.inet_ntoa(frame[46:50]), *struct.unpack_from("!HH", frame, 54)])
        elif not sys.stdin.readline():
            break
    json.dump(seen, sys.stdout)


main(sys.argv[1])
