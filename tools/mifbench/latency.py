"""One event at a time, everybody asleep: how long until a subscriber has it."""

import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from labkit.processes import wait_until

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


TURN = 250
"""Events until it is the next one's turn: 25 ms. The machine changes its pace every tenth of a second or two."""
LONGER = 500
"""The same for those that are started for each turn."""


def measure(
    stages: Sequence[Stage],
    contestants: Sequence[Contestant],
    kind: str,
    awake: bool,
    samples: int,
    period: int,
    subscribers: int,
    tell: Callable[[str], None],
) -> list[Series]:
    """In turn, in another order each time, on a stage for each, where it waits for its turn. Who does not rest while it waits is started for
    each turn, after all others. `period` is microseconds between events."""
    taking_part = [each for each in contestants if kind in each.kinds]
    series = {each.name: Series(each.name, kind, awake) for each in taking_part}
    about = f"{kind}, {'awake' if awake else 'idle'}"
    resting = [each for each in taking_part if each.rests]
    lanes = [Lane(stage, each, kind, samples, period, subscribers) for stage, each in zip(stages, resting, strict=False)]
    turns = -(-samples // TURN) if lanes else 0
    with Awake(awake):
        time.sleep(0.05)
        for number in range(turns):
            if number % 10 == 0:
                tell(f"{about}, turn {number + 1} of {turns}")
            for lane in random.Random(number).sample(lanes, len(lanes)):
                lane.sender.turn()
        time.sleep(0.05)
    for lane in lanes:
        lane.end(series[lane.contestant.name])
    for begin in range(0, samples, LONGER):
        share = min(LONGER, samples - begin)
        for contestant in taking_part:
            if contestant.rests:
                continue
            tell(f"{about}, {begin} of {samples}: {contestant.name}")
            lane = Lane(stages[0], contestant, kind, share, period, subscribers, share)
            with Awake(awake):
                time.sleep(0.05)
                lane.sender.turn()
                time.sleep(0.05)
            lane.end(series[contestant.name])
    return list(series.values())


class Lane:
    """A contestant on its stage, and who sends to it."""

    def __init__(
        self, stage: Stage, contestant: Contestant, kind: str, samples: int, period: int, subscribers: int,
        turn: int = TURN,
    ) -> None:  # fmt: skip
        self.contestant = contestant
        self._run = stage.take_events(samples)
        self._log = stage.log(self._run.stop, subscribers)
        self._subscribers = subscribers
        contestant.start(stage, self._log, kind)
        what = ("--kind", kind, "--first", str(self._run.start), "--count", str(samples))
        self.sender = stage.sender(self._log, *what, "--period", str(period), "--turn", str(turn), *contestant.heard)
        wait_until(lambda: self._log.ready == subscribers, "the subscribers hear")

    def end(self, series: Series) -> None:
        self.sender.end()
        self.contestant.stop()
        series.sent += self._log.sent * self._subscribers
        series.samples += self._log.latencies(self._run)
        self._log.close()
