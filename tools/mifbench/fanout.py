"""One writer changes a trigger, many subscribers are told: deliveries a second in all."""

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from .contestants import Mifd
from .stage import Stage

SUBSCRIBERS = (1, 16, 64, 256, 1024)
DELIVERIES = 1_000_000
"""In each turn, as near as changes are whole; a thousand changes at least."""
TOGETHER = (1, 16)
"""Messages that the floor sends by each system call."""


@dataclass
class Told:
    contestant: str
    way: str
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
    """All ways in turn, `rounds` times; the best round of each counts, because others use the machine too."""
    found: dict[tuple[str, str, int], Told] = {}
    for number in range(rounds):
        for subscribers in SUBSCRIBERS:
            tell(f"{subscribers} subscribers, round {number + 1} of {rounds}")
            changes = max(1000, deliveries // subscribers)
            turns = [floor_turn(stage, subscribers, changes, together) for together in TOGETHER]
            for contestant in agents:
                turns += [agent_turn(stage, contestant, way, subscribers, changes) for way in ("socket", "ring")]
            for one in turns:
                key = (one.contestant, one.way, subscribers)
                if key not in found or one.rate > found[key].rate:
                    found[key] = one
    return list(found.values())


def agent_turn(stage: Stage, contestant: Mifd, way: str, subscribers: int, changes: int) -> Told:
    agent = contestant.launch(stage)
    told = Told(contestant.name, way, subscribers)
    run(stage, told, changes, "--socket", str(agent.directory / "trigger.sock"), *(["--ring"] if way == "ring" else []))
    agent.stop()
    return told


def floor_turn(stage: Stage, subscribers: int, changes: int, together: int) -> Told:
    """A thread in the agent's place that sends and does nothing else."""
    told = Told("floor", "socket" if together == 1 else f"{together} at once", subscribers)
    run(stage, told, changes, "--bare", str(together), "--processor", str(stage.placement.receiver or 0))
    return told


def run(stage: Stage, told: Told, changes: int, *arguments: str) -> None:
    command = [*stage.placement.prefix(stage.placement.subscriber), str(stage.build / "fanout"), *arguments]
    command += ["--count", str(told.subscribers), "--changes", str(changes)]
    values = json.loads(stage.lab.host.run(*command, seconds=120))
    told.changes, told.delivered, told.nanoseconds = values["changes"], values["delivered"], values["nanoseconds"]
