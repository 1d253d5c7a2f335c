"""How a story listens: what was heard, in its order, with a deadline for everything that is waited for."""

import time
from collections.abc import Callable, Sequence
from typing import Any, Generic, Protocol, TypeVar

from .mif_client import MifClient, Told
from .processes import PATIENCE, Timeout
from .trigger_client import Trigger, TriggerClient

Heard = TypeVar("Heard")
_began = time.clock_gettime_ns(time.CLOCK_REALTIME)


def tell(text: str) -> None:
    """A line of the story for whoever watches."""
    seconds = (time.clock_gettime_ns(time.CLOCK_REALTIME) - _began) / 1e9
    print(f"{seconds:9.3f}  {text}", flush=True)


def begin(title: str) -> None:
    global _began
    _began = time.clock_gettime_ns(time.CLOCK_REALTIME)
    print(f"\n--- {title}", flush=True)


class _Client(Protocol[Heard]):
    log: list[Heard]

    def pump(self, seconds: float) -> bool: ...
    def drain(self) -> None: ...
    def barrier(self) -> None: ...


class Ear(Generic[Heard]):
    """Reads a subscriber's log from a place that only moves forward, so that every `expect` asserts an order."""

    def __init__(self, client: _Client[Heard], label: str) -> None:
        self._client = client
        self._label = label
        self.place = 0
        self._told = 0

    @property
    def rest(self) -> list[Heard]:
        """What was heard after the last thing expected."""
        return self._client.log[self.place :]

    def expect(self, seconds: float = 5.0, skip: bool = True, **wanted: Any) -> Heard:
        """The next thing heard that has these attributes; a value may be a test. What comes before it is skipped,
        or with `skip=False` an error."""
        deadline = time.monotonic() + seconds * PATIENCE
        seen = self.place
        while True:
            while seen < len(self._client.log):
                heard = self._client.log[seen]
                seen += 1
                if matches(heard, wanted):
                    self.place = seen
                    self._print()
                    return heard
                if not skip:
                    raise AssertionError(f"{self._label}: expected {describe(wanted)}, heard {heard}")
            if not self._client.pump(deadline - time.monotonic()):
                raise Timeout(
                    f"{self._label}: not within {seconds:g} s: {describe(wanted)}\nheard since the last one:\n"
                    + listing(self.rest)
                )

    def expect_all(self, *wanted: dict[str, Any], seconds: float = 5.0) -> list[Heard]:
        """All of these, in any order; the place moves behind the last of them."""
        start, end, found = self.place, self.place, []
        for each in wanted:
            self.place = start
            found.append(self.expect(seconds, **each))
            end = max(end, self.place)
        self.place = end
        return found

    def mark(self) -> None:
        """Whatever the agent has told so far is behind us."""
        self._client.barrier()
        self._client.drain()
        self.place = len(self._client.log)
        self._print()

    def none(self, since: int | None = None, **unwanted: Any) -> None:
        """Asserts that nothing of the kind was told up to now, since the place or another. Waits for nothing: a
        request that the agent answers in its order makes sure that nothing is under way."""
        self._client.barrier()
        self._client.drain()
        found = [
            heard for heard in self._client.log[self.place if since is None else since :] if matches(heard, unwanted)
        ]
        if found:
            raise AssertionError(f"{self._label}: told though nothing happened:\n{listing(found)}")
        self._print()

    def silent_for(self, seconds: float, **unwanted: Any) -> None:
        """Asserts that nothing of the kind is told during that time; for what would come late, not for what is due."""
        deadline = time.monotonic() + seconds
        while self._client.pump(deadline - time.monotonic()):
            pass
        self.none(**unwanted)

    def _print(self) -> None:
        for heard in self._client.log[self._told : self.place]:
            tell(f"{self._label:4} {heard}")
        self._told = max(self._told, self.place)


class Tdb(Ear[Trigger]):
    def __init__(self, client: TriggerClient) -> None:
        super().__init__(client, "tdb")
        self.client = client

    def standing(self, **wanted: Any) -> list[Trigger]:
        self.client.drain()
        return [trigger for trigger in self.client.standing.values() if matches(trigger, wanted)]


class MifEar(Ear[Told]):
    def __init__(self, client: MifClient) -> None:
        super().__init__(client, "mif")
        self.client = client


def matches(heard: object, wanted: dict[str, Any]) -> bool:
    for name, value in wanted.items():
        actual = getattr(heard, name)
        if callable(value):
            if not value(actual):
                return False
        elif actual != value:
            return False
    return True


def listing(heard: Sequence[object]) -> str:
    lines = [f"  {each}" for each in heard[-20:]]
    if len(heard) > len(lines):
        lines.insert(0, f"  ... {len(heard) - len(lines)} before these")
    return "\n".join(lines) or "  nothing"


def describe(wanted: dict[str, Any]) -> str:
    words = []
    for name, value in wanted.items():
        shown = getattr(value, "name", value)
        words.append(f"{name}: a test" if callable(value) else f"{name}={shown}")
    return ", ".join(words) or "anything"


def percentile(values: list[float], share: float) -> float:
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def distribution(values: list[float], unit: str = "µs") -> str:
    """One line: the distribution of measured times."""
    shares = {"min": 0.0, "p50": 0.5, "p90": 0.9, "p99": 0.99, "max": 1.0}
    return f"n {len(values)}  " + "  ".join(f"{n} {percentile(values, s):.0f}" for n, s in shares.items()) + f"  {unit}"


def eventually(check: Callable[[], None], seconds: float = 3.0) -> None:
    """Repeats assertions about a state that is asked for, until they hold or the time is up."""
    deadline = time.monotonic() + seconds * PATIENCE
    while True:
        try:
            return check()
        except (AssertionError, OSError, ValueError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.02)
