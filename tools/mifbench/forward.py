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


@dataclass
class Forwarded:
    """What went through with one contestant on the gateway, a rate for each round."""

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
    """Frames of 106 bytes come in on one uplink and go out on the other; the other router counts them. Flat out, all on one
    processor, so that what an agent's sockets cost each frame is missing from what goes through."""
    found: list[Forwarded] = []
    for clients in (False, True):
        with gateway(first, clients) as stage:
            turns = [Forwarded(name, clients) for name in (WITHOUT, *(each.name for each in agents))]
            send(stage, burst)
            for number in range(rounds):
                tell(f"forwarding{' with a DHCP client' if clients else ''}, round {number + 1} of {rounds}")
                # Every second round the other way round: who comes first finds the other caches.
                for turn in turns if number % 2 == 0 else reversed(turns):
                    contestant = next((each for each in agents if each.name == turn.contestant), None)
                    agent = contestant.launch(stage) if contestant else None
                    turn.rates.append(send(stage, burst))
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
        lab.host.ip(f"route add {FAR} via {going.router4} dev {going.interface}")
        lab.r2.ip(f"route add blackhole {FAR}")
        yield stage


def send(stage: Stage, burst: int) -> float:
    """Frames a second that got through."""
    log = stage.log(1)
    before = arrived(stage)
    told = stage.send(log, "--kind", "transit", "--unique", "0", "--count", str(burst), "--flood")
    log.close()
    time.sleep(0.1)
    return (arrived(stage) - before) / told["nanoseconds"] * 1e9


def arrived(stage: Stage) -> int:
    found = json.loads(stage.lab.r2.run("ip", "-json", "-statistics", "link", "show", "host0"))
    return int(found[0]["stats64"]["rx"]["packets"])
