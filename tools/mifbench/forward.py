"""Bystanders: what a gateway forwards with the agent on it, and without."""

import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

from labkit import daemons

from .contestants import Mifd
from .stage import Placement, Stage

FAR = "198.18.0.0/15"
WITHOUT = "without"
PORT = 5001
STREAM = 400_000_000
"""Bytes of one TCP connection."""


class Frames:
    """UDP of 106 bytes, each datagram a frame of its own: the worst that a gateway can be given. The sender goes past TCP and
    its own queues, the receiver counts frames and throws them away."""

    name = "frames of 106 bytes"
    unit = "frames"

    def __init__(self, burst: int) -> None:
        self.burst = burst

    def prepare(self, stage: Stage) -> None:
        stage.lab.host.ip(f"route add {FAR} via {stage.lab.uplinks[1].router4} dev {stage.lab.uplinks[1].interface}")
        stage.lab.r2.ip(f"route add blackhole {FAR}")

    def send(self, stage: Stage) -> float:
        """How much got through in a second."""
        log = stage.log(1)
        before = arrived(stage)
        told = stage.send(log, "--kind", "transit", "--unique", "0", "--count", str(self.burst), "--flood")
        log.close()
        time.sleep(0.1)
        return (arrived(stage) - before) / told["nanoseconds"] * 1e9


class Stream:
    """One TCP connection between the routers, as hosts make it: segments go through the kernel in bundles (GSO)."""

    name = "TCP"
    unit = "Gbit"

    def prepare(self, stage: Stage) -> None:
        lab = stage.lab
        coming, going = lab.uplinks
        there = lab.host.addresses(coming.interface, 4)[0]
        lab.r1.ip(f"route add {going.router4}/32 via {there} dev host0")
        lab.r2.ip(f"route add {coming.router4}/32 via {going.host4} dev host0")
        prefix = stage.placement.prefix(stage.placement.receiver)
        lab.spawn(lab.r2, "stream", *prefix, str(stage.build / "stream"), "--listen", str(PORT)).says("listens")

    def send(self, stage: Stage) -> float:
        command = [*stage.placement.prefix(stage.placement.sender), str(stage.build / "stream")]
        told = stage.lab.r1.run(*command, "--to", stage.lab.uplinks[1].router4, str(PORT), str(STREAM), seconds=60)
        return STREAM * 8 / int(told)


@dataclass
class Forwarded:
    """What went through with one contestant on the gateway, a rate for each round."""

    traffic: str
    unit: str
    contestant: str
    clients: bool
    """Whether a DHCP client ran."""
    rates: list[float] = field(default_factory=list)
    ratios: list[float] = field(default_factory=list)
    """To what went through without an agent in the same round."""

    @property
    def rate(self) -> float:
        return statistics.median(self.rates)

    @property
    def ratio(self) -> float:
        return statistics.median(self.ratios)


def measure(
    first: bool, agents: Sequence[Mifd], rounds: int, burst: int, tell: Callable[[str], None]
) -> list[Forwarded]:
    """What comes in on one uplink and goes out on the other, to the other router. Flat out, all on one processor, so that
    what an agent's sockets cost each packet is missing from what goes through."""
    found: list[Forwarded] = []
    for clients in (False, True):
        with gateway(first, clients) as stage:
            for traffic in (Frames(burst), Stream()):
                traffic.prepare(stage)
                traffic.send(stage)
                names = (WITHOUT, *(each.name for each in agents))
                turns = [Forwarded(traffic.name, traffic.unit, name, clients) for name in names]
                for number in range(rounds):
                    where = f"{traffic.name}{' with a DHCP client' if clients else ''}"
                    tell(f"forwarding {where}, round {number + 1} of {rounds}")
                    # Every second round the other way round: who comes first finds the other caches.
                    for turn in turns if number % 2 == 0 else reversed(turns):
                        contestant = next((each for each in agents if each.name == turn.contestant), None)
                        agent = contestant.launch(stage) if contestant else None
                        turn.rates.append(traffic.send(stage))
                        if agent:
                            agent.stop()
                    for turn in turns:
                        turn.ratios.append(turn.rates[-1] / turns[0].rates[-1])
                found += turns
    return found


@contextmanager
def gateway(first: bool, clients: bool) -> Iterator[Stage]:
    with Stage(Placement(1, 0, None, first), uplinks=2) as stage:
        lab = stage.lab
        coming, going = lab.uplinks
        lab.host.sysctl({"ipv4/ip_forward": 1})
        if clients:
            lab.host.ip(f"addr flush dev {coming.interface}")
            daemons.dnsmasq(lab, coming)
            daemons.dhclient(lab, coming)
        lab.configure_by_hand(going)
        lab.reaches(going, going.router4)
        yield stage


def arrived(stage: Stage) -> int:
    found = json.loads(stage.lab.r2.run("ip", "-json", "-statistics", "link", "show", "host0"))
    return int(found[0]["stats64"]["rx"]["packets"])
