#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Clients with a control connection and data connections, as FTP has them. The other end is stream_server.py.

    session_client.py VIP CONTROL_PORT DATA_PORT ADDRESS...

A client has an address of its own. Commands come in lines, each is answered by a line of JSON:
  open   every client opens a control connection: [[address, backend], …]
  data   every client speaks on its control connection and then opens a data connection: [[address, backend], …]
  close  every client closes all that it has: []
"""

import json
import socket
import sys

vip, control_port, data_port, *addresses = sys.argv[1:]


def connect(address, port):
    connection = socket.create_connection((vip, int(port)), timeout=5, source_address=(address, 0))
    return connection, connection.makefile().readline().strip()


controls, others = {}, []
print("ready", flush=True)
for line in sys.stdin:
    answer = []
    for address in addresses:
        if line.strip() == "open":
            controls[address], backend = connect(address, control_port)
            answer.append([address, backend])
        elif line.strip() == "data":
            controls[address].send(b"p")
            assert controls[address].recv(10) == b"p"
            connection, backend = connect(address, data_port)
            others.append(connection)
            answer.append([address, backend])
    if line.strip() == "close":
        for connection in [*controls.values(), *others]:
            connection.close()
        controls, others = {}, []
    print(json.dumps(answer), flush=True)
