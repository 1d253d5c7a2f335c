"""`tools/lab mobike`: how long a hand-over takes, by what tells the host that its path is dead and who helps charon."""

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from .agent import Agent
from .handover import Handover, Watch, measure
from .story import percentile
from .strongswan import Settings
from .topology import Lab
from .traffic import ENDS, Traffic
from .tunnel import Tunnel, mif_mobike, swallow


def _errors(tunnel: Tunnel, _: Watch) -> None:
    """The router says at once what it can't do."""
    tunnel.lab.cut(tunnel.old)
    tunnel.send()


def _few_errors(tunnel: Tunnel, _: Watch) -> None:
    """Linux' own limits, which the lab takes away elsewhere, give a host that was told nothing for five seconds two
    errors, and then none as long as it asks again within a second. The second one is the peer's: none is left for a
    probe."""
    router = tunnel.lab.router(tunnel.old)
    router.sysctl({"ipv4/icmp_ratelimit": 1000, "ipv6/icmp/ratelimit": 1000})
    router.sysctl({"ipv4/icmp_msgs_per_sec": 1000, "ipv4/icmp_msgs_burst": 50}, optional=True)
    tunnel.lab.cut(tunnel.old)
    tunnel.send("198.51.100.1")
    tunnel.send()


def _silence(tunnel: Tunnel, _: Watch) -> None:
    swallow(tunnel.lab, tunnel.old)
    tunnel.send()


def _own_errors(tunnel: Tunnel, _: Watch) -> None:
    """The tunnel's own traffic gets them."""
    tunnel.lab.cut(tunnel.old)


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
    phase: float = 0.0
    """Seconds over which the breaks are spread, as mif-mobike looks after its paths that often."""
    configuration: str = ""
    """mif-mobike's."""
    settings: Settings = Settings()
    by_peer: bool = False


ROWS = {
    "alone": Row("charon alone", _errors, helped=False, patience=20, most=1),
    "icmp": Row("ICMP", _errors),
    "ipv6": Row("ICMPv6", _errors, family=6),
    "responder": Row("ICMP, host is responder", _errors, by_peer=True),
    "default-route": Row(
        "ICMP, by default-route",
        _errors,
        configuration="move-by = default-route\n",
        settings=Settings(prefer_best_path=False),
    ),
    "esp": Row("ICMP, traffic in the tunnel", _own_errors, settings=ENDS),
    "limited": Row("router out of errors", _few_errors),
    "silence": Row("black hole", _silence, patience=60, most=20, phase=10),
}


def one_run(row: Row, agent: Path, binary: Path, phase: float) -> Handover:
    """Each in a network of its own: nobody remembers the last one."""
    with Lab() as lab:
        tunnel = Tunnel(lab, row.family, row.settings, row.by_peer)
        if row.helped:
            mif_mobike(tunnel, Agent(lab, agent), binary, row.configuration)
            # A path that has just been asked isn't asked again at once.
            time.sleep(0.3 + phase)
        traffic = Traffic(tunnel) if row.settings.traffic else None
        with Watch(tunnel) as watch:
            found = measure(tunnel, watch, lambda: row.break_it(tunnel, watch), row.patience)
        if traffic is not None:
            traffic.answered()
            return replace(found, gap=traffic.stop())
        return found


def runs(row: Row, count: int, agent: Path, binary: Path) -> Iterator[Handover]:
    count = min(count, row.most)
    for number in range(count):
        if sys.stderr.isatty():
            print(f"\r{row.name}: {number + 1} of {count}\x1b[K", end="\r", file=sys.stderr, flush=True)
        yield one_run(row, agent, binary, row.phase * (number + 0.5) / count)


HEAD = """Times in ms, p50 / p99.
total  from the router's first error about the peer, or from the break where none came, to the IKE_SA's first packet
       from the peer over the new path; charon's own delay is 100 ms of it
own    from the same to the change of the route, without the probe's round trip
probe  that round trip, to the router that reports the error
gap    no answer through the tunnel, to a packet each millisecond
"""
WIDTHS = {"path lost, told by": -27, "moved": 7, "total": 17, "own": 17, "probe": 13, "gap": 15, "IKE_SA kept": 11}


def line(cells: Sequence[str]) -> str:
    padded = [
        cell.ljust(-width) if width < 0 else cell.rjust(width)
        for cell, width in zip(cells, WIDTHS.values(), strict=True)
    ]
    return f"| {' | '.join(padded)} |"


def table(names: Sequence[str], count: int, agent: Path, binary: Path) -> bool:
    """Prints a line a row as it is done. True if mif-mobike moved the IKE_SA, and it was kept, in each run."""
    print(HEAD)
    print(line(list(WIDTHS)))
    print(
        "|" + "|".join("-" * (abs(width) + 1) + ("-" if width < 0 else ":") for width in WIDTHS.values()) + "|",
        flush=True,
    )
    good = True
    for name in names:
        row = ROWS[name]
        found = list(runs(row, count, agent, binary))
        moved = [each for each in found if each.moved is not None]
        whole = sum(each.kept for each in found)
        good = good and whole == len(found) and (len(moved) == len(found) or not row.helped)
        cells = [
            row.name,
            f"{len(moved)}/{len(found)}" if moved else "no",
            shares([each.total for each in moved], 1),
            shares([each.share - (each.probe or 0) / 1e6 for each in moved if each.share is not None], 2),
            shares([each.probe / 1e6 for each in moved if each.probe is not None], 3),
            shares([each.gap for each in moved], 1),
            f"{whole}/{len(found)}",
        ]
        print(line(cells), flush=True)
    return good


def shares(values: Sequence[float | None], digits: int) -> str:
    known = [each for each in values if each is not None]
    return " / ".join(f"{percentile(known, share):.{digits}f}" for share in (0.5, 0.99)) if known else "–"
