# SPDX-License-Identifier: Apache-2.0
"""UDP answers of a given size.

    sized_answers.py serve ADDRESS PORT OCTETS          answers every datagram; prints "ready", ends with its input
    sized_answers.py ask ADDRESS PORT COUNT TRIES HOPS  asks over COUNT flows, each until it is answered or TRIES times,
                                                        with a TTL or hop limit of HOPS

`ask` prints a JSON list: the octets of each flow's answer, 0 where there was none.
"""

import json
import select
import socket
import sys


def datagram_socket(address):
    return socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET, socket.SOCK_DGRAM)


def serve(address, port, octets):
    server = datagram_socket(address)
    server.bind((address, int(port)))
    print("ready", flush=True)
    while True:
        readable, _, _ = select.select([server, sys.stdin], [], [])
        if sys.stdin in readable:
            return
        _, peer = server.recvfrom(2048)
        server.sendto(bytes(int(octets)), peer)


def ask(address, port, count, tries, hops):
    sizes = []
    for _ in range(int(count)):
        client = datagram_socket(address)
        if ":" in address:
            client.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, int(hops))
        else:
            client.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, int(hops))
        client.settimeout(1)
        client.connect((address, int(port)))
        size = 0
        for _ in range(int(tries)):
            client.send(b"?")
            try:
                size = len(client.recv(65536))
                break
            except TimeoutError:
                pass
        sizes.append(size)
    print(json.dumps(sizes))


{"serve": serve, "ask": ask}[sys.argv[1]](*sys.argv[2:])
