# SPDX-License-Identifier: Apache-2.0
"""Echoes each datagram to its sender, from the address that it was sent to.

    udp_echo.py PORT ADDRESS...

Prints "ready", and at its end, by SIGTERM, how many datagrams it echoed.
"""

import selectors
import signal
import socket
import sys

port, addresses = int(sys.argv[1]), sys.argv[2:]
selector = selectors.DefaultSelector()
for address in addresses:
    echo = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
    echo.bind((address, port))
    selector.register(echo, selectors.EVENT_READ)
echoed = 0


def end(*_):
    print(echoed, flush=True)
    sys.exit(0)


signal.signal(signal.SIGTERM, end)
print("ready", flush=True)
while True:
    for key, _ in selector.select():
        data, sender = key.fileobj.recvfrom(2048)
        key.fileobj.sendto(data, sender)
        echoed += 1
