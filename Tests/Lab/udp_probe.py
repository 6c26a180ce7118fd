# SPDX-License-Identifier: Apache-2.0
"""Sends sequence-numbered probes to a VIP at a steady rate, over 64 flows; prints how many it sent.

    udp_probe.py VIP PORT RATE SECONDS

SIGTERM ends it early.
"""

import json
import signal
import socket
import sys
import time

vip, port, rate, seconds = sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), float(sys.argv[4])
family = socket.AF_INET6 if ":" in vip else socket.AF_INET
sockets = []
for _ in range(64):
    probe = socket.socket(family, socket.SOCK_DGRAM)
    probe.connect((vip, port))
    sockets.append(probe)

is_over = False


def end(*_):
    global is_over
    is_over = True


signal.signal(signal.SIGTERM, end)
total, started, errors = int(rate * seconds), time.monotonic(), 0
for number in range(total):
    if is_over:
        total = number
        break
    ahead = started + number / rate - time.monotonic()
    if ahead > 0.001:
        time.sleep(ahead)
    try:
        sockets[number % 64].send(b"%d" % number)
    except OSError:
        errors += 1
print(json.dumps({"sent": total, "errors": errors, "seconds": time.monotonic() - started}))
