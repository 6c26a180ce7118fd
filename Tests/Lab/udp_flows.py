#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""UDP flows to a VIP that begin one after the other and go on: a datagram each half second, the first at once.

    udp_flows.py VIP PORT OLD RATE SECONDS

OLD flows begin at once, RATE more in each second. Prints JSON: [[local port, time of its beginning], …].
"""

import heapq
import json
import socket
import sys
import time


def main(vip, port, old, rate, seconds):
    started = time.monotonic()
    # (when, the flow or None for one that begins)
    due = [(started + number / 1000, number, None) for number in range(old)]
    due += [(started + 1 + number / rate, old + number, None) for number in range(int(rate * (seconds - 1)))]
    heapq.heapify(due)
    flows = []
    while due and due[0][0] < started + seconds:
        when, number, flow = heapq.heappop(due)
        time.sleep(max(0, when - time.monotonic()))
        if flow is None:
            flow = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            flow.connect((vip, port))
            flows.append((flow.getsockname()[1], time.monotonic(), flow))
        flow.send(b"%d" % number)
        heapq.heappush(due, (when + 0.5, number, flow))
    print(json.dumps([(port, began) for port, began, _ in flows]))


vip, port, old, rate, seconds = sys.argv[1:]
main(vip, int(port), int(old), float(rate), float(seconds))
