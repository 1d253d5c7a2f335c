"""One writer changes a trigger, many subscribers are told: deliveries a second in all."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .contestants import Mifd
from .stage import Stage

SUBSCRIBERS = (1, 16, 64, 256, 1024)
DELIVERIES = 1_000_000
"""In each turn, as near as changes are whole; a thousand changes at least."""


@dataclass
class Told:
    contestant: str
    ring: bool
    subscribers: int
    changes: int = 0
    delivered: int = 0
    nanoseconds: int = 0

    @property
    def rate(self) -> float:
        return self.delivered / self.nanoseconds * 1e9 if self.nanoseconds else 0.0

    @property
    def lost(self) -> int:
        return self.changes * self.subscribers - self.delivered


def measure(
    stage: Stage, agents: Sequence[Mifd], rounds: int, deliveries: int, tell: Callable[[str], None]
) -> list[Told]:
    """Sockets and ring in turn, `rounds` times; the best round of each counts, because others use the machine too."""
    found: dict[tuple[str, bool, int], Told] = {}
    for number in range(rounds):
        for contestant in agents:
            for subscribers in SUBSCRIBERS:
                for ring in (False, True):
                    tell(f"{subscribers} subscribers, round {number + 1} of {rounds}")
                    one = turn(stage, contestant, ring, subscribers, deliveries)
                    key = (one.contestant, ring, subscribers)
                    if key not in found or one.rate > found[key].rate:
                        found[key] = one
    return list(found.values())


def turn(stage: Stage, contestant: Mifd, ring: bool, subscribers: int, deliveries: int) -> Told:
    agent = contestant.launch(stage)
    changes = max(1000, deliveries // subscribers)
    way = ["--ring"] if ring else []
    socket = str(agent.directory / "trigger.sock")
    command = [str(stage.build / "fanout"), "--socket", socket, "--count", str(subscribers), "--changes", str(changes)]
    values = json.loads(stage.lab.host.run(*stage.placement.prefix(stage.placement.subscriber), *command, *way, seconds=120))
    agent.stop()
    return Told(contestant.name, ring, subscribers, changes, values["delivered"], values["nanoseconds"])
