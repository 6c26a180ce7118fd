#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Sends TCP packets of flows that do not exist to a VIP, out of eth0: each has a port and an address of its own.

    flood.py syn|ack VIP PORT COUNT RATE

Sources are 198.18.0.1 and on, 50 000 ports each. The TCP checksum is wrong: what the balancer forwards is dropped by
the backend's stack, so that the flood tests the balancer alone. Prints how many were sent, and in how many seconds.
"""

import ctypes
import ipaddress
import json
import socket
import struct
import subprocess
import sys
import time

BATCH, PORTS_PER_SOURCE = 256, 50_000
FLAGS = {"syn": 0x02, "ack": 0x10}
SOURCE_PORT_AT = 14 + 20


class Segment(ctypes.Structure):
    _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]


class Message(ctypes.Structure):
    """struct mmsghdr."""

    _fields_ = [("name", ctypes.c_void_p), ("name_length", ctypes.c_uint32), ("segments", ctypes.POINTER(Segment)),
                ("segment_count", ctypes.c_size_t), ("control", ctypes.c_void_p), ("control_length", ctypes.c_size_t),
                ("flags", ctypes.c_int), ("sent", ctypes.c_uint)]


def checksum(header):
    total = sum(struct.unpack(f"!{len(header) // 2}H", header))
    total = (total & 0xFFFF) + (total >> 16)
    return ~(total + (total >> 16)) & 0xFFFF


def frame(ethernet, source, vip, port, flags):
    header = struct.pack("!BBHHHBBH4s4s", 0x45, 0, 40, 0, 0x4000, 64, 6, 0, source, vip)
    header = header[:10] + struct.pack("!H", checksum(header)) + header[12:]
    return ethernet + header + struct.pack("!HHIIBBHHH", 0, port, 1, 1, 5 << 4, flags, 1024, 0xBAD, 0)


def ethernet_header(port):
    gateway = json.loads(subprocess.check_output(["ip", "-j", "route", "show", "default"]))[0]["gateway"]
    subprocess.run(["ping", "-c1", "-W1", gateway], stdout=subprocess.DEVNULL, check=True)
    entry = json.loads(subprocess.check_output(["ip", "-j", "neigh", "show", gateway]))[0]
    return bytes.fromhex(entry["lladdr"].replace(":", "")) + port.getsockname()[4] + b"\x08\x00"


class Sender:
    """Sends copies of a frame that differ in their source port, BATCH in a system call."""

    def __init__(self, port):
        self.port, self.libc = port, ctypes.CDLL(None, use_errno=True)

    def prepare(self, template):
        self.length = len(template)
        self.octets = (ctypes.c_char * (BATCH * self.length)).from_buffer(bytearray(template * BATCH))
        self.view = memoryview(self.octets).cast("B")
        start = ctypes.addressof(self.octets)
        self.segments = (Segment * BATCH)(*(Segment(start + n * self.length, self.length) for n in range(BATCH)))
        self.messages = (Message * BATCH)()
        for message, segment in zip(self.messages, self.segments):
            message.segments, message.segment_count = ctypes.pointer(segment), 1

    def send(self, ports):
        for number, port in enumerate(ports):
            struct.pack_into("!H", self.view, number * self.length + SOURCE_PORT_AT, port)
        done = 0
        while done < len(ports):
            sent = self.libc.sendmmsg(
                self.port.fileno(), ctypes.byref(self.messages, done * ctypes.sizeof(Message)), len(ports) - done, 0)
            # A full queue of the interface: as many as were taken count, the rest is tried again.
            done += max(0, sent)


def main(kind, vip, port, count, rate):
    interface = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    interface.bind(("eth0", 0))
    ethernet, sender = ethernet_header(interface), Sender(interface)
    started, sent = time.monotonic(), 0
    while sent < count:
        if sent % PORTS_PER_SOURCE == 0:
            source = ipaddress.ip_address("198.18.0.1") + sent // PORTS_PER_SOURCE
            sender.prepare(frame(ethernet, source.packed, ipaddress.ip_address(vip).packed, port, FLAGS[kind]))
        first = 10_000 + sent % PORTS_PER_SOURCE
        ports = range(first, min(first + BATCH, 10_000 + PORTS_PER_SOURCE, first + count - sent))
        sender.send(ports)
        sent += len(ports)
        time.sleep(max(0, started + sent / rate - time.monotonic()))
    print(json.dumps({"sent": sent, "seconds": time.monotonic() - started}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4]), float(sys.argv[5]))
