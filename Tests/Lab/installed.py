# SPDX-License-Identifier: Apache-2.0
"""What is in force, read from the pinned maps by the ABI header's offsets and by nothing else of Sluice."""

import hashlib
import ipaddress
import struct
import time

from bpf import Map, program_of

# Flags in a backend's word `next_hop`.
USABLE, OUTER_IPV6, LEAVING = 1 << 49, 1 << 50, 1 << 52
# Where what is told of a service has the pool that its packets go to.
SERVICE_POOL = 1


def set_in_force(pins):
    """The directory of the set of maps that names the attached program, and its layout as numbers."""
    running = program_of(pins / "link")
    for path in sorted(pins.glob("maps-*")):
        if (path / "layout").exists():
            with Map(path / "layout") as layout:
                version, before, seed, *programs = struct.unpack_from("IIQQQ", layout[0])
            if running in programs:
                return path, {"version": version, "before": before, "seed": seed}
    raise AssertionError(f"program {running} is attached, and no set names it")


def _names(path):
    with Map(path) as names:
        texts = (names[index].split(b"\0", 1)[0].decode(errors="replace") for index in range(names.count))
        return {index: text for index, text in enumerate(texts) if text}


def _backends(path, renamed):
    named = {}
    with Map(path / "backends") as records:
        for number, name in _names(path / "backend_names").items():
            next_hop, destination = struct.unpack_from("Q8x16s", records[number])
            octets = destination if next_hop & OUTER_IPV6 else destination[-4:]
            named[number] = (*renamed(name, str(ipaddress.ip_address(octets))), next_hop)
    return named


def table(word):
    """First slot, number of slots and hash of the table that a word names."""
    return word & 0xffffffff, word >> 32 & 0x7fffffff, word >> 63


def _tables(path, backends):
    """By pool number: name, everything about its table that matters, the slots' owners as a digest, and its settle."""
    found = {}
    with Map(path / "pools") as pools, Map(path / "slots") as slots:
        memory = slots.memory()
        for number, name in _names(path / "pool_names").items():
            word, settle = struct.unpack_from("QQ", pools[number])
            first, count, fields = table(word)
            if not count:
                continue
            words = struct.unpack_from(f"{count}Q", memory, first * 8)
            owners = [word & 0x3ffff for word in words]
            for owner in set(owners) | {word >> 18 & 0x3ffff for word in words}:
                assert owner == 0 or owner in backends, f"pool {name} names backend {owner}, which is nobody"
            named = {owner: "/".join(backends[owner][:2]) if owner else "none" for owner in set(owners)}
            digest = hashlib.sha256("\n".join(named[owner] for owner in owners).encode()).hexdigest()[:16]
            found[number] = (name, (digest, count, fields), settle)
    return found


def _services(path, tables):
    found = {}
    names = _names(path / "service_names")
    with Map(path / "services") as records:
        for family, length in (("services4", 4), ("services6", 16)):
            with Map(path / family) as keys:
                for key, value in keys.items():
                    address, port, protocol = struct.unpack_from(f">{length}sHB", key)
                    service = struct.unpack("I", value)[0]
                    where = f"{ipaddress.ip_address(address)} {port}/{protocol}"
                    if protocol in (1, 58):
                        found[f"VIP {where}"] = True
                        continue
                    binding, before, *words = struct.unpack_from("8xQQIIIII", records[service])
                    pools = (tables[word & 0xffffffff][0] for word in (binding, before))
                    # Each number has two ids, used in turn.
                    found[f"service {where}"] = (names.get(service // 2), *pools, *words)
    return found


def owners(pins):
    """By pool: the owner of every slot of the table in force, by name; "none" without an owner."""
    path, _ = set_in_force(pins)
    backends = {number: name.split("/", 1)[1] for number, name in _names(path / "backend_names").items()} | {0: "none"}
    found = {}
    with Map(path / "pools") as pools, Map(path / "slots") as slots:
        memory = slots.memory()
        for number, name in _names(path / "pool_names").items():
            first, count, _ = table(*struct.unpack_from("Q", pools[number]))
            found[name] = [backends[word & 0x3ffff] for word in struct.unpack_from(f"{count}Q", memory, first * 8)]
    return found


def installed(pins, renamed=lambda name, address: (name, address)):
    """Everything in force by name, except leaving backends, which go by themselves.

    renamed: what to take a backend for, whose POOL/NAME and address it gets.
    """
    for _ in range(20):
        try:
            return _read(pins, renamed)
        except KeyError:  # It was read bit by bit, and a change is under way: a service names a pool read before it came.
            time.sleep(0.02)
    return _read(pins, renamed)


def _read(pins, renamed):
    path, _ = set_in_force(pins)
    backends = _backends(path, renamed)
    tables = _tables(path, backends)
    state = _services(path, tables)
    state |= {f"table {name}": table for name, table, _ in tables.values()}
    state |= {f"settle {name}": settle for name, _, settle in tables.values()}
    state |= {
        f"backend {name}": (address, bool(flags & USABLE))
        for name, address, flags in backends.values() if not flags & LEAVING}
    return state
