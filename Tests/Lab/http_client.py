# SPDX-License-Identifier: Apache-2.0
"""Connections through a VIP, each with one request; prints the results as JSON.

    http_client.py VIP PORT COUNT CONCURRENCY
"""

import asyncio
import collections
import json
import sys


async def request(vip, port):
    reader, writer = await asyncio.wait_for(asyncio.open_connection(vip, port), 10)
    try:
        writer.write(b"GET /name HTTP/1.1\r\nHost: vip\r\nConnection: close\r\n\r\n")
        answer = await asyncio.wait_for(reader.read(), 10)
    finally:
        writer.close()
    head, _, body = answer.partition(b"\r\n\r\n")
    if not head.startswith(b"HTTP/1.1 200"):
        raise OSError(f"unexpected answer {answer[:40]!r}")
    return body.decode().strip()


async def main(vip, port, count, concurrency):
    names, errors = collections.Counter(), collections.Counter()
    left = iter(range(count))

    async def worker():
        for _ in left:
            try:
                names[await request(vip, port)] += 1
            except Exception as error:
                errors[repr(error)[:80]] += 1

    await asyncio.gather(*(worker() for _ in range(concurrency)))
    print(json.dumps({"ok": sum(names.values()), "failed": sum(errors.values()), "by": names, "errors": errors}))


asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4])))
