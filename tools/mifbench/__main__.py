"""The command `tools/mif-bench`."""

import argparse
import json
import os
import platform
import subprocess
import sys
from contextlib import ExitStack
from pathlib import Path

from labkit.install import missing
from labkit.processes import LabError, run_as_command
from labkit.topology import end_by_signals

from . import distribution, fanout, flood, forward, latency, report
from .contestants import Contestant, Floor, Mifd, printers
from .stage import Placement, Stage

ROOT = Path(__file__).parents[2]
RATES = (25_000, 50_000, 100_000, 200_000, 300_000)
PLACEMENTS = {
    "one-core": (1, 1, 1),
    "two-cores": (0, 1, 1),
    "free": (None, None, None),
}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="mif-bench",
        description="How fast this host can notice: one event at a time, and flooded. Run it as root.",
        epilog="Ratios of one run count: contestants take turns, so that they share whatever else the machine does.",
    )
    parser.add_argument("--agent", action="append", default=[], metavar="[NAME=]PATH",
                        help="a mifd to measure; may be repeated (default: what tools/build-gateway builds)")  # fmt: skip
    parser.add_argument("--quick", action="store_true", help="less than a minute: fewer events, fewer contestants")
    parser.add_argument("--samples", type=int, default=10_000, help="events for each contestant (%(default)s)")
    parser.add_argument("--rounds", type=int, default=4, help="of what is told (%(default)s); what is forwarded has twelve times as many")
    parser.add_argument("--period", type=int, default=100, metavar="US", help="between two events (%(default)s)")
    parser.add_argument("--subscribers", type=int, default=1, help="of the floor and of the agent, 1 to 1024")
    parser.add_argument("--placement", choices=PLACEMENTS, default="one-core",
                        help="of sender, receiver and subscriber, one event at a time (%(default)s)")  # fmt: skip
    parser.add_argument("--polite", action="store_true", help="not ahead of the machine's other work (SCHED_RR)")
    parser.add_argument("--spin", action="store_true",
                        help="measure an agent with busy-poll and a subscriber that spins too; two-cores are needed")  # fmt: skip
    parser.add_argument("--only", choices=("latency", "flood", "fanout", "forward"))
    parser.add_argument("--burst", type=int, default=100_000, help="frames of a flood without a pause (%(default)s)")
    parser.add_argument("--bursts", type=int, default=3, help="in each round (%(default)s)")
    parser.add_argument("--histograms", type=Path, metavar="DIR", help="latencies as HdrHistogram writes percentiles")
    parser.add_argument("--json", type=Path, metavar="FILE", help="every sample and every count")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="the charts, as SVG")
    found = parser.parse_args()
    if found.quick:
        found.samples, found.rounds, found.bursts = min(found.samples, 1000), 1, 1
    if found.samples > 60_000:
        parser.error("--samples: at most 60000, each event is another path and the agent holds 65536")
    if not 1 <= found.subscribers <= 1024:
        parser.error("--subscribers wants 1 to 1024")
    return found


def agents(named: list[str]) -> list[tuple[str, Path]]:
    found = []
    for word in named or [str(build())]:
        name, _, path = word.rpartition("=")
        if not os.access(path, os.X_OK):
            raise LabError(f"--agent names {path}, which is no executable file")
        found.append((name or "mifd", Path(path).resolve()))
    return found


def build() -> Path:
    done = subprocess.run([ROOT / "tools" / "build-gateway"], stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise LabError("tools/build-gateway failed; name an agent with --agent")
    return ROOT / done.stdout.strip()


def progress(text: str) -> None:
    print(f"\r\x1b[K{text}" if sys.stderr.isatty() else text, end="" if sys.stderr.isatty() else "\n", file=sys.stderr)


def measure_latency(found: argparse.Namespace, named: list[tuple[str, Path]]) -> list[latency.Series]:
    all_series = []
    placement = Placement(*PLACEMENTS[found.placement], not found.polite)
    with ExitStack() as stack:
        stage = stack.enter_context(Stage(placement))
        contestants: list[Contestant] = [Floor("recvmsg"), *(Mifd(path, name) for name, path in named)]
        if not found.quick:
            contestants += [Mifd(path, f"{name}, flow check", ("icmp6",), icmp_check="flow") for name, path in named]
            contestants += [Floor(via) for via in ("v2", "loop", "v3", "raw6", "pcap") if via != "pcap" or stage.has_pcap]
            contestants += printers() if found.subscribers == 1 else []
        resting = sum(each.rests for each in contestants)
        stages = [stage, *(stack.enter_context(Stage(placement, beside=stage)) for _ in range(resting - 1))]
        for kind in ("icmp6", "ra"):
            for awake in (False, True):
                all_series += latency.measure(
                    stages, contestants, kind, awake, found.samples, found.period, found.subscribers, progress
                )
        if found.spin:
            all_series += measure_spinning(found, named)
    return all_series


def measure_spinning(found: argparse.Namespace, named: list[tuple[str, Path]]) -> list[latency.Series]:
    """Nobody sleeps. On two processors the sender is the subscriber too: if they shared one, they would take turns on it.
    Short rounds: what spins ahead of all others for a second is stopped by the kernel for a twentieth of one."""
    with Stage(Placement(0, 1, 0, not found.polite)) as stage:
        spinning: list[Contestant] = [Floor("v2", spin=True)]
        spinning += [
            Mifd(path, f"{name}, spinning, {way}", ("icmp6",), spin=True, ring=way == "ring", busy_poll="yes")
            for name, path in named
            for way in ("socket", "ring")
        ]
        return latency.measure([stage], spinning, "icmp6", True, found.samples, found.period, 1, progress)


def measure_floods(found: argparse.Namespace, named: list[tuple[str, Path]]) -> list[flood.Outcome]:
    outcomes = []
    with Stage(Placement(0, 1, 1, not found.polite)) as stage:
        # As it is configured by default, but that any address of the host's is enough.
        floods = flood.FLOODS[:2] if found.quick else flood.FLOODS
        contestants = [Mifd(path, name, unreachable_paths=4096) for name, path in named]
        vias = ("v2", "v3") if found.quick else ("recvmsg", "v2", "v3")
        rounds = 1 if found.quick else 2
        burst = found.burst // 2 if found.quick else found.burst
        outcomes += flood.measure(stage, contestants, floods, burst, found.bursts, rounds, vias, 0, progress)
        for rate in () if found.quick else RATES:
            # A third of a second at each rate.
            outcomes += flood.measure(
                stage, contestants, flood.FLOODS[:1], rate // 3, found.bursts, rounds, vias, rate, progress
            )
    return outcomes


def measure_fanout(found: argparse.Namespace, named: list[tuple[str, Path]]) -> list[fanout.Told]:
    """The agent has a processor, and the subscribers have the other one: where they share, each of them runs as soon as it
    is told something, and the agent waits for it."""
    with Stage(Placement(None, 0, 1, not found.polite)) as stage:
        contestants = [Mifd(path, name, subscribers=1100, subscribers_per_user=1100) for name, path in named]
        deliveries = fanout.DELIVERIES // 10 if found.quick else fanout.DELIVERIES
        return fanout.measure(stage, contestants, found.rounds, deliveries, progress)


def measure_forwarding(found: argparse.Namespace, named: list[tuple[str, Path]]) -> list[forward.Forwarded]:
    contestants = [Mifd(path, name) for name, path in named]
    # Fewer than fifty differ by 0.05 from one run to the next.
    rounds = 2 if found.quick else 12 * found.rounds
    return forward.measure(not found.polite, contestants, rounds, found.burst, progress)


def main() -> int:
    found = arguments()
    if os.geteuid() != 0:
        raise LabError("run it as root: it makes network namespaces")
    needed = [each for each in missing() if each in ("iproute2", "gcc")]
    if needed:
        raise LabError(f"{' '.join(needed)} not installed: run `tools/lab install`")
    named = agents(found.agent)
    series = measure_latency(found, named) if found.only in (None, "latency") else []
    outcomes = measure_floods(found, named) if found.only in (None, "flood") else []
    told = measure_fanout(found, named) if found.only in (None, "fanout") else []
    forwarded = measure_forwarding(found, named) if found.only in (None, "forward") else []
    progress("")
    tables = []
    if series:
        tables.append(report.latency_table(series))
    if outcomes:
        tables.append(report.flood_table(outcomes))
    if told:
        tables.append(report.fanout_table(told))
    if forwarded:
        tables.append(report.forward_table(forwarded))
    print("\n\n".join(tables))
    if found.json:
        settings = {key: value for key, value in vars(found).items() if not isinstance(value, Path)}
        settings |= {"kernel": platform.release(), "processors": os.cpu_count()}
        found.json.write_text(json.dumps(report.as_json(settings, series, outcomes, told, forwarded)))
    if found.histograms:
        found.histograms.mkdir(exist_ok=True)
        for each in series:
            name = f"{each.key} {each.contestant}".replace(",", "").replace(" ", "-")
            (found.histograms / f"{name}.hgrm").write_text(distribution.text(each.samples))
    if found.chart:
        found.chart.write_text(report.charts(series, outcomes))
    return 0


if __name__ == "__main__":
    end_by_signals()
    run_as_command("mif-bench", main)
