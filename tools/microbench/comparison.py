"""What the rounds of two revisions say of them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

# By the name of a benchmark: its nanoseconds, round by round.
Rounds = Mapping[str, Sequence[float]]


def noise(rounds: Sequence[float]) -> float:
    """How far apart two revisions would seem that are the same: the least of every other round beside that of the
    rounds in between, as a share."""
    if len(rounds) < 2:
        return 0.0
    one, other = min(rounds[::2]), min(rounds[1::2])
    return abs(one - other) / min(one, other)


@dataclass(frozen=True)
class Comparison:
    name: str
    # Nanoseconds, the least of all rounds; None where the revision has no such benchmark.
    before: float | None
    after: float | None
    noise: float

    @property
    def ratio(self) -> float | None:
        return None if self.before is None or self.after is None else self.after / self.before

    @property
    def is_slower(self) -> bool:
        return self.ratio is not None and self.ratio > 1 + self.noise

    @property
    def is_faster(self) -> bool:
        return self.ratio is not None and self.ratio * (1 + self.noise) < 1

    def is_slower_by(self, limit: float) -> bool:
        """By more than the limit, a share, and not by noise alone."""
        return self.is_slower and self.ratio is not None and self.ratio > 1 + limit


def compare(before: Rounds, after: Rounds) -> list[Comparison]:
    """In the order in which the revisions' benchmarks come."""

    def least(rounds: Rounds, name: str) -> float | None:
        return min(rounds[name]) if rounds.get(name) else None

    return [
        Comparison(
            name, least(before, name), least(after, name), max(noise(before.get(name, ())), noise(after.get(name, ())))
        )
        for name in dict.fromkeys([*before, *after])
    ]


def cell(value: float | None, form: str, width: int) -> str:
    return f"{'—' if value is None else format(value, form):>{width}}"


def comparison_table(comparisons: Sequence[Comparison], limit: float) -> str:
    lines = [f"{'nanoseconds':24}{'before':>10}{'after':>10}{'ratio':>8}{'noise':>8}"]
    for each in comparisons:
        verdict = "slower" if each.is_slower else "faster" if each.is_faster else ""
        if each.is_slower_by(limit):
            verdict = f"slower by over {limit:.0%}"
        line = f"{each.name:24}" + cell(each.before, ".1f", 10) + cell(each.after, ".1f", 10)
        lines.append(f"{line}{cell(each.ratio, '.2f', 8)}{each.noise:>8.1%}  {verdict}".rstrip())
    return "\n".join(lines)


def table(rounds: Rounds) -> str:
    lines = [f"{'nanoseconds':24}{'least':>10}{'noise':>8}"]
    lines += [f"{name:24}{min(values):>10.1f}{noise(values):>8.1%}" for name, values in rounds.items()]
    return "\n".join(lines)
