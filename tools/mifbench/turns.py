"""What the agent executes for one event: a turn of its loop, from one wait to the next. As a program it prints how many instructions
that are, for `tools/bench-instructions`."""

import bisect
import re
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from labkit.processes import LabError, run_as_command
from labkit.topology import end_by_signals

from . import latency
from .contestants import Mifd
from .stage import Placement, Stage

KINDS = {"icmp6": "event-error", "ra": "event-changed"}
EVENTS = 200
LEAST, MOST = 3_000, 7_500
"""Instructions of a turn that brings one event, and not none or two."""


class Functions:
    """Who an instruction belongs to, in a file that has kept its names."""

    def __init__(self, file: Path) -> None:
        lines = subprocess.run(["nm", "-n", str(file)], capture_output=True, text=True, check=True).stdout.splitlines()
        found = [line.split() for line in lines if re.match(r"[0-9a-f]+ [tTwWi] ", line)]
        self._starts = [int(each[0], 16) for each in found]
        self._names = [each[2] for each in found]

    def start(self, name: str) -> int:
        return self._starts[self._names.index(name)]

    def at(self, address: int) -> str:
        return self._names[max(0, bisect.bisect_right(self._starts, address) - 1)]


def measure(agent: Path, functions: Functions, kind: str) -> list[list[int]]:
    """Addresses of the instructions of each turn that brought one event of this kind."""
    with tempfile.TemporaryDirectory() as directory:
        work = Path(directory)
        wrapper = work / "agent"
        command = f"valgrind --tool=lackey --trace-mem=yes --log-file={work}/trace.%p {agent}"
        wrapper.write_text(f'#!/bin/sh\nexec {command} "$@"\n')
        wrapper.chmod(0o755)
        with Stage(Placement(None, None, None, False)) as stage:
            # As root: it writes the trace.
            contestant = Mifd(wrapper, "mifd", user=0)
            latency.measure([stage], [contestant], kind, False, EVENTS, 20_000, 1, lambda _: None)
        # The keeper's is the shorter one.
        longest = max(work.glob("trace.*"), key=lambda path: path.stat().st_size)
        found = [turn for turn in _turns(longest, functions.start("epoll_wait")) if LEAST < len(turn) < MOST]
    if len(found) < EVENTS // 2:
        raise LabError(f"of {EVENTS} events ({kind}), only {len(found)} had a turn of the loop for themselves")
    return found


def _turns(trace: Path, wait: int) -> Iterator[list[int]]:
    turn: list[int] = []
    with open(trace) as lines:
        for line in lines:
            if not line.startswith("I  "):
                continue
            address = int(line[3:].split(",")[0], 16)
            if address == wait:
                yield turn
                turn = []
            turn.append(address)


def main() -> int:
    agent = Path(sys.argv[1]).resolve()
    functions = Functions(agent)
    for kind, name in KINDS.items():
        print(name, round(statistics.median(len(turn) for turn in measure(agent, functions, kind))))
    return 0


if __name__ == "__main__":
    end_by_signals()
    run_as_command("bench-instructions", main)
