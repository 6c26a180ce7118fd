#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""Servers that answer as no server should, and one that answers as it should.

    planted_server.py VIP,… CERTIFICATE,KEY PORT/TRANSPORT:MANNER…

TRANSPORT: tcp, tls, udp. The manners are the functions of the classes Streams and Datagrams. UDP servers are bound to
the VIPs, so that they answer from there. Prints "ready"; ends when its input closes.
"""

import asyncio
import gzip
import random
import socket
import ssl
import struct
import sys

# A server that sends without end leaves other processes of the machine some time.
PAUSE = 0.001
HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\n"


async def endless(writer, block):
    while True:
        writer.write(block)
        await writer.drain()
        await asyncio.sleep(PAUSE)


class Streams:
    async def open(reader, writer):
        """Takes connections, and no more."""
        await reader.read()

    async def garbage(reader, writer):
        writer.write(random.Random(1).randbytes(4096))
        await reader.read()

    async def garbage_after_question(reader, writer):
        await reader.read(1)
        writer.write(random.Random(2).randbytes(4096))
        await reader.read()

    async def reset(reader, writer):
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    async def endless_head(reader, writer):
        writer.write(HEAD)
        await endless(writer, b"X-Padding: " + b"x" * 1000 + b"\r\n")

    async def endless_line(reader, writer):
        await endless(writer, b"H" * 1000)

    async def endless_interim(reader, writer):
        """Interim responses without end: each is a whole head."""
        await endless(writer, b"HTTP/1.1 100 Continue\r\n\r\n" * 40)

    async def endless_body(reader, writer):
        writer.write(HEAD + b"\r\n")
        await endless(writer, b"b" * 16384)

    async def endless_chunks(reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n")
        await endless(writer, b"1\r\nc\r\n" * 1000)

    async def huge_chunk(reader, writer):
        writer.write(HEAD + b"Transfer-Encoding: chunked\r\n\r\n7fffffffffffffff\r\n")
        await endless(writer, b"b" * 16384)

    async def drip(reader, writer):
        """An octet a second of an answer that would pass."""
        for octet in HEAD + b"Content-Length: 11\r\n\r\nall is well":
            writer.write(bytes([octet]))
            await writer.drain()
            await asyncio.sleep(1)

    async def slow_body(reader, writer):
        writer.write(HEAD + b"Content-Length: 11\r\n\r\nall ")
        await reader.read()

    async def bomb(reader, writer):
        """A gigabyte of nothing as a megabyte."""
        inner = gzip.compress(bytes(1 << 24), 9)
        body = b"".join(inner for _ in range(64))
        writer.write(HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await reader.read()

    async def invalid_tls(reader, writer):
        """Records of the right form with nonsense in them, other nonsense for each connection."""
        await reader.read(1)
        length = random.choice([0, 1, 4, 60, 2000, 16384])
        kind = random.choice([0, 20, 21, 22, 23, 24, 255])
        body = bytearray(random.randbytes(length))
        if kind == 22 and length >= 4:
            # A server's hello that says to be of this length, or longer than it is.
            body[0:4] = b"\x02" + (length - 4 + random.choice([0, 0, 1, 1 << 20])).to_bytes(3, "big")
        writer.write(struct.pack("!BHH", kind, 0x0303, length) + body)
        await reader.read()

    async def endless_handshake(reader, writer):
        """A handshake message of 16 MB, in records of full size."""
        writer.write(b"\x16\x03\x03\x40\x00\x0b\xff\xff\xff" + bytes(16380))
        await endless(writer, b"\x16\x03\x03\x40\x00" + bytes(16384))

    async def dns_loop(reader, writer):
        length = struct.unpack("!H", await reader.readexactly(2))[0]
        for answer in misleading_answers(await reader.readexactly(length)):
            writer.write(struct.pack("!H", len(answer)) + answer)
        await reader.read()

    async def dns_endless(reader, writer):
        """A message of the largest size, an octet at a time."""
        writer.write(b"\xff\xff")
        while True:
            writer.write(b"\0")
            await writer.drain()
            await asyncio.sleep(0.05)


def misleading_answers(question):
    """Answers to a DNS question: names that point to themselves, counts without records, lengths beyond the end."""
    number, rest = question[:2], question[12:]
    yield number + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + rest + b"\xc0" + bytes([12 + len(rest)]) + bytes(10)
    yield number + struct.pack("!HHHHH", 0x8180, 1, 65535, 65535, 65535) + rest
    yield number + struct.pack("!HHHHH", 0x8180, 1, 1, 0, 0) + rest + b"\xc0\x0c\0\1\0\1\0\0\0\0\xff\xff\1"
    yield number + struct.pack("!HHHHH", 0x8180, 65535, 0, 0, 0)


class Datagrams:
    def pong(data):
        """What a server should answer."""
        return [b"pong"] if data == b"ping" else []

    def other(data):
        return [b"no such thing"]

    def garbage(data):
        return [random.Random(3).randbytes(512)]

    def nothing(data):
        return []

    def empty(data):
        return [b""]

    def flood(data):
        return [random.randbytes(1000)] * 500

    def dns_loop(data):
        return misleading_answers(data)

    def dns_other_number(data):
        """Answers to questions that were not asked."""
        return [bytes([data[0] ^ n, data[1] ^ 1]) + b"\x81\x80" + data[4:] for n in range(200)]


class Answering(asyncio.DatagramProtocol):
    def __init__(self, manner):
        self._manner = manner

    def connection_made(self, transport):
        self._transport = transport

    def datagram_received(self, data, address):
        for answer in self._manner(data):
            self._transport.sendto(answer, address)


def conversation(manner):
    async def converse(reader, writer):
        try:
            await manner(reader, writer)
        except (OSError, EOFError):
            pass
        finally:
            writer.close()
    return converse


async def serve(vips, files, specifications):
    loop = asyncio.get_running_loop()
    for specification in specifications:
        where, manner = specification.split(":")
        port, transport = where.split("/")
        if transport == "udp":
            for vip in vips:
                family = socket.AF_INET6 if ":" in vip else socket.AF_INET
                listener = socket.socket(family, socket.SOCK_DGRAM)
                # The VIP may be away for a while.
                listener.setsockopt(socket.SOL_IP, 15, 1)
                listener.bind((vip, int(port)))
                await loop.create_datagram_endpoint(
                    lambda manner=manner: Answering(getattr(Datagrams, manner)), sock=listener)
        else:
            context = None
            if transport == "tls":
                context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
                context.load_cert_chain(*files)
            await asyncio.start_server(
                conversation(getattr(Streams, manner)), None, int(port), backlog=1024, ssl=context)
    print("ready", flush=True)
    await loop.run_in_executor(None, sys.stdin.read)


asyncio.run(serve(sys.argv[1].split(","), sys.argv[2].split(","), sys.argv[3:]))
