"""The command `tools/bench-scale`."""

import argparse
import json
import os
import platform
from dataclasses import replace
from pathlib import Path

from labkit.install import missing
from labkit.processes import LabError, run_as_command
from labkit.topology import end_by_signals

from ..__main__ import agents, progress
from ..stage import Placement, Stage
from . import report
from .host import FULL
from .measure import measure

DIVISORS = (64, 16, 4, 1)
QUICK_DIVISORS = (4, 1)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="bench-scale",
        description="What the agent costs on hosts of four sizes, up to 1,000 interfaces, 10,000 addresses, 100,000 "
        "triggers and a million routes. Run it as root.",
        epilog="Ratios between the sizes and processor time count: what else the machine does shows in the rest.",
    )
    parser.add_argument("--agent", metavar="[NAME=]PATH", help="the mifd to measure (default: what tools/build-gateway builds)")
    parser.add_argument("--quick", action="store_true", help="two sizes, the larger a twentieth of everything, and few events")
    parser.add_argument("--events", type=int, default=1000, help="of each kind at each size (%(default)s)")
    parser.add_argument("--routes", type=int, default=FULL.routes, help="of the largest host (%(default)s)")
    parser.add_argument("--polite", action="store_true", help="not ahead of the machine's other work (SCHED_RR)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every value")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="the charts, as SVG")
    return parser.parse_args()


def main() -> int:
    found = arguments()
    if os.geteuid() != 0:
        raise LabError("run it as root: it makes network namespaces")
    needed = [each for each in missing() if each in ("iproute2", "gcc", "nftables")]
    if needed:
        raise LabError(f"{' '.join(needed)} not installed: run `tools/lab install`")
    _, binary = agents([found.agent] if found.agent else [])[0]
    full = replace(FULL, routes=found.routes)
    if found.quick:
        full, found.events = full.part(20), min(found.events, 20)
    with Stage(Placement(None, None, None, not found.polite)) as stage:
        outcomes = measure(stage, binary, full, QUICK_DIVISORS if found.quick else DIVISORS, found.events, progress)
    progress("")
    print(report.table(outcomes))
    print()
    print(report.goals(outcomes))
    if found.json:
        settings = {key: value for key, value in vars(found).items() if not isinstance(value, Path)}
        settings |= {"kernel": platform.release(), "processors": os.cpu_count()}
        found.json.write_text(json.dumps(report.as_json(settings, outcomes)))
    if found.chart:
        found.chart.write_text(report.charts(outcomes))
    return 0


if __name__ == "__main__":
    end_by_signals()
    run_as_command("bench-scale", main)
