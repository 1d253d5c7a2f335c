"""Part of `tools/profile-gateway`: the agent that counts what runs is given all that a gateway hears."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from labkit.processes import run_as_command
from labkit.topology import end_by_signals

from . import flood, latency
from .contestants import Mifd
from .stage import Placement, Stage, stop

EVENTS = 10_000
"""Of each kind, floods too: what comes one at a time is to count as much as what comes in a flood."""
CHANGES = 200
"""Of the kernel's state, of each kind: not so many that what they call grows by what is inlined into it."""
BITE = 20
"""So many of them are there at once."""
KINDS = ("icmp6", "ra", "icmp4")
PROFDATA = Path(__file__).parents[1] / "gateway" / "profdata"


def hear_packets(agent: Path) -> None:
    with Stage(Placement(1, 1, 1, True)) as stage:
        for kind in KINDS:
            # As root: it writes what it has counted.
            one_at_a_time(stage, Mifd(agent, "mifd", KINDS, user=0), kind)
        for each in flood.FLOODS:
            flood.flood_agent(stage, Mifd(agent, "mifd", user=0, unreachable_paths=4096), each, EVENTS, 1, 0)
    # Whoever reads a ring spins, so it has a processor of its own.
    with Stage(Placement(0, 1, 0, False)) as stage:
        one_at_a_time(stage, Mifd(agent, "mifd", user=0, ring=True, spin=True), "icmp6")


def one_at_a_time(stage: Stage, contestant: Mifd, kind: str) -> None:
    latency.measure([stage], [contestant], kind, False, EVENTS, 100, 1, lambda _: None)


def hear_kernel(agent: Path) -> None:
    """Addresses, routes and a link come and go."""
    with Stage(Placement(None, None, None, False)) as stage:
        heard = Mifd(agent, "mifd", user=0).launch(stage)
        log = stage.log(1)
        subscriber = stage.subscriber(log, "--to", "trigger", "--socket", str(heard.directory / "trigger.sock"))
        up = stage.uplink.interface
        addresses = [f"addr {{}} 2001:db8:77::{number + 1:x}/64 dev {up} nodad" for number in range(CHANGES)]
        addresses += [f"addr {{}} 10.77.{number >> 8}.{number & 255}/32 dev {up}" for number in range(CHANGES)]
        routes = [f"route {{}} default via {stage.uplink.router4} metric {number + 1000}" for number in range(CHANGES)]
        for lines in (addresses, routes):
            for begin in range(0, len(lines), BITE):
                for verb in ("add", "del"):
                    stage.lab.host.ip(*(line.format(verb) for line in lines[begin : begin + BITE]))
                    time.sleep(0.005)
        for _ in range(CHANGES // 10):
            for state in ("down", "up"):
                stage.lab.host.ip(f"link set {up} {state}")
                time.sleep(0.005)
        stop(subscriber)
        log.close()
        heard.stop()


def records(text: str) -> Iterator[list[str]]:
    """Lines of each function: its name, its hash, how many counters there are, and these. A line `$0` says that no bitmap
    follows: without it, llvm-profdata takes the next name for one, as Swift's begin with `$`."""
    lines = iter(line for line in text.splitlines() if not line.startswith(("#", ":")))
    for line in lines:
        if not line:
            continue
        record = [line, next(lines), next(lines)]
        record += [next(lines) for _ in range(int(record[2]))] + ["$0"]
        for rest in lines:
            if not rest:
                break
            record.append(rest)
        yield record


def main() -> int:
    agent, into = (Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as directory:
        # One file for both of its processes, which add to it.
        os.environ["LLVM_PROFILE_FILE"] = f"{directory}/%m.profraw"
        hear_packets(agent)
        hear_kernel(agent)
        text = Path(directory) / "text"
        found = [str(path) for path in Path(directory).glob("*.profraw")]
        subprocess.run([PROFDATA, "merge", "--text", "--output", text, *found], check=True)
        functions = sorted(records(text.read_text()))
    into.write_text(":ir\n" + "".join("\n".join(record) + "\n\n" for record in functions))
    ran = sum(any(count != "0" for count in record[3 : 3 + int(record[2])]) for record in functions)
    print(f"{ran} of {len(functions)} functions ran")
    return 0


if __name__ == "__main__":
    end_by_signals()
    run_as_command("profile-gateway", main)
