"""One event at a time, everybody asleep: how long until a subscriber has it."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from .contestants import Contestant
from .stage import Awake, Stage

PERCENTS = (50.0, 90.0, 99.0, 99.9)


def percentile(ordered: Sequence[int], percent: float) -> int:
    """The least value that so many percent of all are not above: exact, no histogram."""
    place = max(0, -(-len(ordered) * percent // 100) - 1)
    return ordered[int(place)]


@dataclass
class Series:
    """All samples of one contestant, nanoseconds."""

    contestant: str
    kind: str
    awake: bool
    sent: int = 0
    samples: list[int] = field(default_factory=list)

    @property
    def key(self) -> str:
        return f"{self.kind} {'awake' if self.awake else 'idle'}"

    def percentiles(self) -> dict[float, int]:
        ordered = sorted(self.samples)
        return {percent: percentile(ordered, percent) for percent in PERCENTS} if ordered else {}


def measure(
    stage: Stage,
    contestants: Sequence[Contestant],
    kind: str,
    awake: bool,
    samples: int,
    rounds: int,
    period: int,
    subscribers: int,
    tell: Callable[[str], None],
) -> list[Series]:
    """In turn: each contestant has its share of the events in each round. `period` is microseconds between events."""
    taking_part = [each for each in contestants if kind in each.kinds]
    series = {each.name: Series(each.name, kind, awake) for each in taking_part}
    share = -(-samples // rounds)
    for number in range(rounds):
        for contestant in taking_part:
            tell(f"{kind}, {'awake' if awake else 'idle'}, round {number + 1} of {rounds}: {contestant.name}")
            run = stage.take_events(share)
            log = stage.log(run.stop, subscribers)
            contestant.start(stage, log, kind)
            with Awake(awake):
                time.sleep(0.05)
                stage.send(
                    log, "--kind", kind, "--first", str(run.start), "--count", str(share), "--period", str(period)
                )
                time.sleep(0.05)
            contestant.stop()
            series[contestant.name].sent += log.sent * subscribers
            series[contestant.name].samples += log.latencies(run)
            log.close()
    return list(series.values())
