"""Flooded flat out by one sender: what the receiver pays for a frame, and what is lost."""

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from labkit.mif_client import MifClient
from labkit.processes import Child

from .contestants import Mifd
from .stage import Stage, end_politely, stop

ADVERTISEMENT_EVERY = 10_000
"""Microseconds between the Router Advertisements in the midst of a flood."""


@dataclass(frozen=True)
class Flood:
    """What is sent."""

    name: str
    arguments: tuple[str, ...]
    errors: float = 1.0
    """Which share of the frames passes the filters."""


FLOODS = (
    Flood("repeated", ("--kind", "icmp6", "--unique", "1")),
    Flood("unique", ("--kind", "icmp6", "--unique", "0")),
    Flood("spoofed", ("--kind", "icmp6", "--unique", "0", "--spoofed")),
    Flood("mutated", ("--kind", "icmp6", "--unique", "0", "--mutated")),
    Flood("99 % noise", ("--kind", "icmp6", "--unique", "1", "--noise", "99"), 0.01),
    Flood("DHCP replies", ("--kind", "dhcp4", "--unique", "0")),
)


@dataclass
class Outcome:
    """One contestant under one flood, all bursts together."""

    contestant: str
    flood: str
    rate: int = 0
    """Frames a second asked for, 0: flat out."""
    sent: int = 0
    nanoseconds: int = 0
    heard: int = 0
    """Counted by the contestant itself."""
    dropped: int = 0
    """Counted by the kernel: its ring or buffer was full."""
    cpu: int = 0
    """Nanoseconds that the contestant ran."""
    advertised: int = 0
    control: list[int] = field(default_factory=list)
    """Latencies of the Router Advertisements in the midst, nanoseconds."""

    @property
    def frames_a_second(self) -> float:
        return self.sent / self.nanoseconds * 1e9 if self.nanoseconds else 0.0

    @property
    def cpu_per_frame(self) -> float:
        """Nanoseconds for each frame sent, whether it was lost, refused by the filter or heard."""
        return self.cpu / self.sent if self.sent else 0.0

    def lost(self, expected: float) -> float:
        return max(0.0, expected - self.heard)


def cpu_time(pid: int) -> int:
    """Nanoseconds on a processor so far (Linux: Documentation/scheduler/sched-stats.rst)."""
    return int(Path(f"/proc/{pid}/schedstat").read_text().split()[0])


def flood_floor(stage: Stage, via: str, flood: Flood, burst: int, bursts: int, rate: int) -> Outcome:
    """A bare receiver that counts, without any reader."""
    outcome = Outcome(f"floor, {via}", flood.name, rate)
    child: Child = stage.receiver(
        "floor", str(stage.build / "floor"), "--via", via, "--interface", stage.uplink.interface
    )
    time.sleep(0.1)
    for _ in range(bursts):
        send(stage, outcome, flood, burst, child.pid, advertise=False)
    found = re.search(r"\{.*\}", end_politely(child))
    counts = json.loads(found[0]) if found else {"heard": 0, "dropped": 0}
    outcome.heard, outcome.dropped = counts["heard"], counts["dropped"]
    return outcome


def flood_agent(stage: Stage, contestant: Mifd, flood: Flood, burst: int, bursts: int, rate: int) -> Outcome:
    """The agent with a subscriber of the trigger database, and one of the MIF API that is told of advertisements."""
    outcome = Outcome(contestant.name, flood.name, rate)
    agent = contestant.launch(stage)
    watched = stage.log(1)
    triggers = stage.subscriber(watched, "--to", "trigger", "--socket", str(agent.directory / "trigger.sock"))
    before = counters(agent.directory)
    for _ in range(bursts):
        send(stage, outcome, flood, burst, agent.child.pid, agent.directory)
    after = counters(agent.directory)
    ring = "control" if "dhcp4" in flood.arguments else "errors"
    outcome.heard = after[f"capture.{ring}.packets"] - before[f"capture.{ring}.packets"]
    outcome.dropped = after[f"capture.{ring}.dropped"] - before[f"capture.{ring}.dropped"]
    if ring == "control":
        outcome.heard -= outcome.advertised
    stop(triggers)
    watched.close()
    agent.stop()
    return outcome


def send(
    stage: Stage, outcome: Outcome, flood: Flood, burst: int, pid: int, directory: Path | None = None,
    advertise: bool = True,
) -> None:  # fmt: skip
    # So many advertisements at most: one in ten milliseconds, for ten seconds.
    log = stage.log(1000)
    arguments = [*flood.arguments, "--count", str(burst)]
    arguments += ["--rate", str(outcome.rate)] if outcome.rate else ["--flood"]
    listener = None
    if advertise and directory is not None:
        arguments += ["--advertise", str(ADVERTISEMENT_EVERY)]
        where = ("--socket", str(directory / "mif.sock"), "--interface", str(stage.index))
        listener = stage.subscriber(log, "--to", "mif", *where)
    time.sleep(0.1)
    before = cpu_time(pid)
    told = stage.send(log, *arguments)
    time.sleep(0.1)
    outcome.cpu += cpu_time(pid) - before
    outcome.sent += told["sent"]
    outcome.nanoseconds += told["nanoseconds"]
    outcome.advertised += told["advertisements"]
    outcome.control += log.latencies()
    if listener is not None:
        stop(listener)
    log.close()


def counters(directory: Path) -> dict[str, int]:
    client = MifClient(directory)
    found = client.statistics()
    client.close()
    return found


def measure(
    stage: Stage, agents: Sequence[Mifd], floods: Sequence[Flood], burst: int, bursts: int, rounds: int,
    vias: Sequence[str], rate: int, tell: Callable[[str], None],
) -> list[Outcome]:  # fmt: skip
    """In turn, `rounds` times; what each contestant had in all rounds is added up."""
    found: dict[tuple[str, str], Outcome] = {}
    for number in range(rounds):
        for flood in floods:
            tell(f"flood of {flood.name} at {rate or 'full'} rate, round {number + 1} of {rounds}")
            # The floor hears ICMPv6 only.
            heard = () if "dhcp4" in flood.arguments else vias
            outcomes = [flood_floor(stage, via, flood, burst, bursts, rate) for via in heard]
            outcomes += [flood_agent(stage, each, flood, burst, bursts, rate) for each in agents]
            for one in outcomes:
                total = found.setdefault((one.contestant, one.flood), Outcome(one.contestant, one.flood, rate))
                for name in ("sent", "nanoseconds", "heard", "dropped", "cpu", "advertised"):
                    setattr(total, name, getattr(total, name) + getattr(one, name))
                total.control += one.control
    return list(found.values())
