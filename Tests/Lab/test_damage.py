# SPDX-License-Identifier: Apache-2.0
"""What another process writes into the pinned maps, or does to the pins, while no daemon runs and while one does.

The daemon starts whatever it finds, says what it did not believe, and brings everything to the configuration. Packets of
the untouched service are forwarded in every moment. LAB_DAMAGE_RESTARTS says how many starts are tried,
LAB_DAMAGE_SEED repeats a run. The same within one process and many times more often: DamageTests.
"""

import os
import random
import struct
import time

import starting
from balancing import CROSS4, Balancer, lost
from bpf import Map
from installed import _names, set_in_force, table
from results import report
from scheduling import alone
from sizes import size

RATE = size("RATE", 5_000)
RESTARTS = size("DAMAGE_RESTARTS", 8)
ARRAYS = ("services", "pools", "backends", "service_names", "pool_names", "backend_names")


class Damaged(Balancer):
    """Pool `web` with the service `echo` is spared; all else may be damaged."""

    @property
    def set(self):
        return set_in_force(self.pins / "sluiced")[0]

    def spared(self, name):
        names = {"services": "service_names", "pools": "pool_names", "backends": "backend_names"}
        found = _names(self.set / names.get(name, name)).items()
        numbers = {number for number, text in found if text.split("/")[0] == "web" or text == "echo"}
        # Each number of a service has two records.
        return {2 * number + other for number in numbers for other in (0, 1)} if name == "services" else numbers

    def word(self, chance):
        return chance.choice([
            chance.randrange(8), 4_000_000_000, 2**64 - 1, chance.getrandbits(64), 1 << chance.randrange(64),
            chance.randrange(300) << 32 | chance.randrange(4000)])

    def strike_element(self, chance):
        name = chance.choice(ARRAYS)
        spared = self.spared(name)
        with Map(self.set / name) as elements:
            free = [number for number in range(min(elements.count, 24)) if number not in spared]
            first, second = chance.sample(free, 2)
            if chance.random() < 0.3:
                elements[first], elements[second] = elements[second], elements[first]
                return f"{name}[{first}] <-> [{second}]"
            content = bytearray(elements[first])
            offset = chance.randrange(len(content) // 8) * 8
            content[offset:offset + 8] = struct.pack("Q", self.word(chance))
            elements[first] = bytes(content)
            return f"{name}[{first}]+{offset}"

    def strike_slots(self, chance):
        with Map(self.set / "pools") as pools, Map(self.set / "slots") as slots:
            number = next(number for number, name in _names(self.set / "pool_names").items() if name != "web")
            first, count, _ = table(*struct.unpack_from("Q", pools[number]))
            for _ in range(50):
                index = first + chance.randrange(max(min(count, 65537), 1))
                if index < slots.count and number not in self.spared("pools"):
                    slots[index] = struct.pack("Q", self.word(chance))
        return "50 slots of web6"

    def strike_layout(self, chance):
        with Map(self.set / "layout") as layout:
            content = bytearray(layout[0])
            # Which program uses the set stays legible, so that the test finds the set.
            offset = chance.choice([0, 8, 32, 40])
            content[offset:offset + 8] = struct.pack("Q", self.word(chance))
            layout[0] = bytes(content)
        return f"layout+{offset}"

    def strike_pins(self, chance):
        one, other = chance.sample(sorted(path for path in self.set.iterdir() if path.name != "layout"), 2)
        spare = self.pins / "sluiced" / "swap"
        way = chance.choice(["swap", "remove", "misplace", "directory"])
        if way == "swap":
            one.rename(spare)
            other.rename(one)
            spare.rename(other)
        elif way == "remove":
            one.unlink()
        elif way == "misplace":
            # The link where a map was, and the map nowhere.
            one.unlink()
            (self.pins / "sluiced/link").rename(one)
        else:
            one.unlink()
            one.mkdir()
        return f"{way} {one.name} {other.name}"

    def assert_recovered(self, what):
        # Another process's damage may have taken the connections of the cross service along, once.
        result = self.requests(30, 8, vip=CROSS4)
        assert result["failed"] == 0 and len(result["by"]) == 3, (what, result, starting.log(self)[-3000:])
        assert {row["name"] for row in self.api("GET", "/v1/services")[1]} == {"web", "echo", "cross"}, what
        assert all(row["state"] == "ready" for row in self.api("GET", "/v1/backends")[1] if row["state"] != "leaving")


@alone
def test_a_start_finds_random_damage_in_maps_and_pins():
    seed = int(os.environ.get("LAB_DAMAGE_SEED", random.randrange(10**9)))
    chance = random.Random(seed)
    with Damaged() as lab:
        struck = []

        def restarts():
            ways = [lab.strike_element, lab.strike_element, lab.strike_slots, lab.strike_layout, lab.strike_pins]
            for number in range(RESTARTS):
                lab.kill_daemon()
                way = ways[number % len(ways)]
                done = [way(chance) for _ in range(1 if way in (lab.strike_pins, lab.strike_layout) else 4)]
                struck.append(done)
                code = starting.attempt(lab)
                assert code is None, f"seed {seed}: {done}: exit code {code}\n{starting.log(lab)[-3000:]}"
                lab.assert_recovered(f"seed {seed}: {done}")

        seconds = RESTARTS * 2
        sent, received = lab.probe(seconds, restarts, RATE)
        gone = lost(sent, received)
        report(
            f"{RESTARTS} starts upon damaged maps and pins, {sent['sent']} probes of a service that was spared",
            f"all start, {gone} lost", "all start, 0 lost", seed=seed, detail=str(struck))
        assert gone == 0, (seed, struck)


def test_damage_under_a_running_daemon_is_found_repaired_and_reported():
    with Damaged() as lab:
        cross = min(number for number, name in _names(lab.set / "service_names").items() if name == "cross")
        b1 = next(number for number, name in _names(lab.set / "backend_names").items() if name == "web6/b1")
        strikes = {
            "record of backend web6/b1": lambda: write(lab, "backends", b1, 16, b"\0" * 16),
            "slots of pool web6": lambda: lab.strike_slots(random.Random(1)),
            "record of service cross": lambda: [
                write(lab, "services", 2 * cross + other, 8, struct.pack("Q", 9)) for other in (0, 1)],
            "the layout": lambda: write(lab, "layout", 0, 8, struct.pack("Q", 9)),
        }
        for says, strike in strikes.items():
            strike()
            started = time.monotonic()
            while not any(says in alarm["message"] for alarm in lab.status()["alarms"] if alarm["code"] == "maps-damaged"):
                assert time.monotonic() - started < 30, (says, lab.status()["alarms"])
                time.sleep(0.5)
            lab.assert_recovered(says)
        report(f"{len(strikes)} kinds of damage under a running daemon", "found, repaired, told", "found, repaired, told")


def write(lab, name, index, offset, octets):
    with Map(lab.set / name) as elements:
        content = bytearray(elements[index])
        content[offset:offset + len(octets)] = octets
        elements[index] = bytes(content)
