#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""A backend's tunnel device, as the kernel's ipip, sit and ip6tnl are, for kernels that have none of them.

    tunnel_device.py DEVICE

Packets in an IP header come out of DEVICE, which thus is another one than that of the way back to their sources: what a
strict rp_filter drops. Prints "ready"; ends when its input closes, and the device with it.
"""

import fcntl
import os
import select
import socket
import struct
import subprocess
import sys

TUNSETIFF, IFF_TUN, IFF_NO_PI = 0x400454CA, 0x0001, 0x1000


def device(name):
    tun = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    subprocess.run(["ip", "link", "set", name, "mtu", "3000", "up"], check=True)
    return tun


def main(name):
    tun = device(name)
    # What an IPv4 socket receives begins with the outer header; an IPv6 socket receives what follows it.
    sockets = {
        socket.socket(family, socket.SOCK_RAW, protocol): family
        for family in (socket.AF_INET, socket.AF_INET6) for protocol in (4, 41)}
    print("ready", flush=True)
    while True:
        for ready in select.select([*sockets, sys.stdin], [], [])[0]:
            if ready is sys.stdin:
                if not sys.stdin.readline():
                    return
                continue
            packet = ready.recv(65536)
            if sockets[ready] == socket.AF_INET:
                packet = packet[(packet[0] & 15) * 4:]
            try:
                os.write(tun, packet)
            except OSError:
                # The kernel takes no packet that is none; a tunnel device would have dropped it too.
                pass


main(sys.argv[1])
