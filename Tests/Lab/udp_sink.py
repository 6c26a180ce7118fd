# SPDX-License-Identifier: Apache-2.0
"""Receives sequence-numbered probes on a UDP port until its input closes; then prints their numbers as ranges.

    udp_sink.py ADDRESS PORT
"""

import json
import select
import socket
import sys

address, port = sys.argv[1], int(sys.argv[2])
sink = socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)
sink.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUFFORCE if hasattr(socket, "SO_RCVBUFFORCE") else 33, 64 << 20)
sink.bind((address, port))
sink.setblocking(False)
print("ready", flush=True)

seen, flows = [], {}
while True:
    readable, _, _ = select.select([sink, sys.stdin], [], [])
    if sink in readable:
        try:
            while True:
                data, peer = sink.recvfrom(64)
                seen.append(int(data))
                flows[peer[1]] = flows.get(peer[1], 0) + 1
        except BlockingIOError:
            pass
    elif sys.stdin in readable and not sys.stdin.readline():
        break
print(json.dumps({"seen": seen, "flows": flows}))
