# SPDX-License-Identifier: Apache-2.0
"""The kernel's bpf() as tests need it: pinned maps read without any of Sluice's own code, and links moved by hand.

    bpf.py swap LINK COUNT FIRST SECOND      puts two programs in each other's place on a pinned link
    bpf.py reattach LINK COUNT FIRST SECOND  the same by detaching and attaching anew, which loses packets
"""

import ctypes
import mmap
import os
import struct
import sys
import time

_libc = ctypes.CDLL(None, use_errno=True)
_SYSCALL = 321  # x86-64
LOOKUP, UPDATE, NEXT_KEY, PIN, GET = 1, 2, 4, 6, 7
PROGRAM_BY_ID, INFO, LINK_CREATE, LINK_UPDATE, LINK_DETACH = 13, 15, 28, 29, 34
XDP, NATIVE = 37, 1 << 2


def bpf(command, attributes):
    buffer = ctypes.create_string_buffer(attributes, max(len(attributes), 128))
    result = _libc.syscall(_SYSCALL, command, buffer, len(buffer))
    if result < 0:
        raise OSError(ctypes.get_errno(), f"bpf command {command}: {os.strerror(ctypes.get_errno())}")
    return result


def opened(path):
    """A descriptor of the pinned object."""
    name = ctypes.create_string_buffer(os.fsencode(path))
    return bpf(GET, struct.pack("QII", ctypes.addressof(name), 0, 0))


def info(descriptor, size=128):
    room = ctypes.create_string_buffer(size)
    bpf(INFO, struct.pack("IIQ", descriptor, size, ctypes.addressof(room)))
    return room.raw


class Map:
    def __init__(self, path):
        self.descriptor = opened(path)
        _, _, self.key_size, self.value_size, self.count, self.flags = struct.unpack_from("6I", info(self.descriptor))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.descriptor)

    def __getitem__(self, index):
        key, value = ctypes.create_string_buffer(struct.pack("I", index)), ctypes.create_string_buffer(self.value_size)
        bpf(LOOKUP, struct.pack("IIQQQ", self.descriptor, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
        return value.raw

    def __setitem__(self, index, content):
        key, value = ctypes.create_string_buffer(struct.pack("I", index)), ctypes.create_string_buffer(content)
        bpf(UPDATE, struct.pack("IIQQQ", self.descriptor, 0, ctypes.addressof(key), ctypes.addressof(value), 0))

    def items(self):
        """The entries of a hash."""
        key, after = None, ctypes.create_string_buffer(self.key_size)
        while True:
            address = ctypes.addressof(key) if key else 0
            try:
                bpf(NEXT_KEY, struct.pack("IIQQ", self.descriptor, 0, address, ctypes.addressof(after)))
            except FileNotFoundError:
                return
            key = ctypes.create_string_buffer(after.raw, self.key_size)
            value = ctypes.create_string_buffer(self.value_size)
            bpf(LOOKUP, struct.pack("IIQQQ", self.descriptor, 0, ctypes.addressof(key), ctypes.addressof(value), 0))
            yield key.raw[: self.key_size], value.raw[: self.value_size]

    def memory(self):
        """All elements of an array made to be mapped, as octets."""
        size = self.count * ((self.value_size + 7) // 8 * 8)
        with mmap.mmap(self.descriptor, size, mmap.MAP_SHARED, mmap.PROT_READ) as memory:
            return memory[:]


def program_of(link):
    """Id of the program that a pinned link runs."""
    descriptor = opened(link)
    try:
        return struct.unpack_from("3I", info(descriptor))[2]
    finally:
        os.close(descriptor)


def program(number):
    """A descriptor of the program with this id."""
    return bpf(PROGRAM_BY_ID, struct.pack("III", number, 0, 0))


def update(link, new):
    bpf(LINK_UPDATE, struct.pack("IIII", link, new, 0, 0))


def attach(new, interface):
    return bpf(LINK_CREATE, struct.pack("IIII", new, interface, XDP, NATIVE))


def main(way, path, count, *numbers):
    programs = [program(int(number)) for number in numbers]
    link = opened(path)
    # Type, id, program, padding, then the interface's index.
    interface = struct.unpack_from("5I", info(link))[4]
    for turn in range(int(count)):
        if way == "swap":
            update(link, programs[turn % 2])
        else:
            bpf(LINK_DETACH, struct.pack("I", link))
            link = attach(programs[turn % 2], interface)
        time.sleep(0.02)
    if way != "swap":
        os.unlink(path)
        name = ctypes.create_string_buffer(os.fsencode(path))
        bpf(PIN, struct.pack("QII", ctypes.addressof(name), link, 0))
    print("done")


if __name__ == "__main__":
    main(*sys.argv[1:])
