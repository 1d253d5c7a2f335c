"""`tools/lab mobike`: how long a hand-over takes, by what tells the host that its path is dead, and who helps charon."""

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from .agent import Agent
from .handover import Handover, Watch, measure
from .story import percentile
from .topology import Lab
from .tunnel import Tunnel, mif_mobike, swallow


def _errors(tunnel: Tunnel, _: Watch) -> None:
    """The router says at once what it can't do."""
    tunnel.lab.cut(tunnel.old)
    tunnel.send()


def _few_errors(tunnel: Tunnel, _: Watch) -> None:
    """Linux' own limits, which the lab takes away elsewhere, let a router tell a host that has been told nothing for five
    seconds of two errors, and then none as long as it is asked again within a second. The second one is the peer's: none is
    left for a probe."""
    router = tunnel.lab.router(tunnel.old)
    router.sysctl({"ipv4/icmp_ratelimit": 1000, "ipv6/icmp/ratelimit": 1000})
    router.sysctl({"ipv4/icmp_msgs_per_sec": 1000, "ipv4/icmp_msgs_burst": 50}, optional=True)
    tunnel.lab.cut(tunnel.old)
    tunnel.send("198.51.100.1")
    tunnel.send()


def _silence(tunnel: Tunnel, _: Watch) -> None:
    swallow(tunnel.lab, tunnel.old)
    tunnel.send()


@dataclass(frozen=True)
class Row:
    name: str
    break_it: Callable[[Tunnel, Watch], None]
    family: int = 4
    helped: bool = True
    patience: float = 5.0
    """Seconds after which a hand-over counts as not done."""
    most: int = 1000
    """How many runs are worth the time."""


ROWS = {
    "alone": Row("charon alone", _errors, helped=False, patience=20, most=1),
    "icmp": Row("with mif-mobike, ICMP", _errors),
    "ipv6": Row("with mif-mobike, ICMPv6", _errors, family=6),
    "limited": Row("router out of errors", _few_errors),
    "silence": Row("black hole", _silence, patience=60, most=10),
}


def one_run(row: Row, agent: Path, binary: Path) -> Handover:
    """Each in a network of its own: nobody remembers the last one."""
    with Lab() as lab:
        tunnel = Tunnel(lab, row.family)
        if row.helped:
            mif_mobike(tunnel, Agent(lab, agent), binary)
        with Watch(tunnel) as watch:
            return measure(tunnel, watch, lambda: row.break_it(tunnel, watch), row.patience)


def runs(row: Row, count: int, agent: Path, binary: Path) -> Iterator[Handover]:
    for number in range(min(count, row.most)):
        print(f"\r{row.name}: {number + 1} of {min(count, row.most)}\x1b[K", end="", file=sys.stderr, flush=True)
        yield one_run(row, agent, binary)
    print("\r\x1b[K", end="", file=sys.stderr, flush=True)


def table(names: Sequence[str], count: int, agent: Path, binary: Path) -> bool:
    """Prints a line a row as it is done. True if the IKE_SA was kept in all of them."""
    print("All times in ms, p50 / p99, from the router's first error, or from the break where none came. `own` is that time")
    print("until the route was changed, without the probe's round trip; charon's own delay is 100 ms of `total`.\n")
    print(f"| {'path lost':28} | {'moved':>7} | {'total':>15} | {'own':>13} | {'probe':>13} | IKE_SA kept |")
    print(f"|{'-' * 30}|{'-' * 8}:|{'-' * 16}:|{'-' * 14}:|{'-' * 14}:|{'-' * 13}|", flush=True)
    kept = True
    for name in names:
        row = ROWS[name]
        found = list(runs(row, count, agent, binary))
        moved = [each for each in found if each.moved is not None]
        total = shares([each.total for each in moved], 1)
        own = shares([each.share - (each.probe or 0) / 1e6 for each in moved if each.share is not None], 2)
        probe = shares([each.probe / 1e6 if each.probe is not None else None for each in moved], 3)
        whole = sum(each.kept for each in found)
        kept = kept and whole == len(found)
        done = f"{len(moved)}/{len(found)}" if moved else "no"
        print(f"| {row.name:28} | {done:>7} | {total:>15} | {own:>13} | {probe:>13} | {whole:>5}/{len(found):<5} |", flush=True)
    return kept


def shares(values: Sequence[float | None], digits: int) -> str:
    known = [each for each in values if each is not None]
    return " / ".join(f"{percentile(known, share):.{digits}f}" for share in (0.5, 0.99)) if known else "–"
