"""The command `tools/order-functions`: what one event calls, in the order in which it is called."""

import bisect
import re
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

EVENTS = 40
KEPT = 16
"""Of these, the last ones that are whole: from one wait to the next."""
LEAST, MOST = 3_000, 12_000
"""Instructions of a turn of the loop that brings one event, and not none or two."""


class Functions:
    """Who an instruction belongs to."""

    def __init__(self, file: Path) -> None:
        lines = subprocess.run(["nm", "-n", str(file)], capture_output=True, text=True, check=True).stdout.splitlines()
        found = [line.split() for line in lines if re.match(r"[0-9a-f]+ [tTwWi] ", line)]
        self._starts = [int(each[0], 16) for each in found]
        self._names = [each[2] for each in found]

    def start(self, name: str) -> int:
        return self._starts[self._names.index(name)]

    def at(self, address: int) -> str:
        return self._names[max(0, bisect.bisect_right(self._starts, address) - 1)]


def turns(trace: Path, wait: int) -> Iterator[list[int]]:
    """Addresses of the instructions from one call of epoll_wait to the next."""
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


def called(agent: Path, kind: str, work: Path) -> list[str]:
    """Functions that an event of this kind calls."""
    trace = work / f"{kind}.%p"
    wrapper = work / "agent"
    wrapper.write_text(f'#!/bin/sh\nexec valgrind --tool=lackey --trace-mem=yes --log-file={trace} {agent} "$@"\n')
    wrapper.chmod(0o755)
    with Stage(Placement(None, None, None, False)) as stage:
        # As root: it writes the trace.
        contestant = Mifd(wrapper, "mifd", user=0)
        latency.measure([stage], [contestant], kind, False, EVENTS, 20_000, 1, lambda _: None)
    functions = Functions(agent)
    # The keeper's is the shorter one.
    longest = max(work.glob(f"{kind}.*"), key=lambda path: path.stat().st_size)
    whole = [turn for turn in turns(longest, functions.start("epoll_wait")) if LEAST < len(turn) < MOST][-KEPT:]
    if not whole:
        raise LabError(f"no turn of the loop brought one event of {kind}")
    return list(dict.fromkeys(functions.at(address) for turn in whole for address in turn))


def main() -> int:
    agent, into = (Path(word).resolve() for word in sys.argv[1:3])
    with tempfile.TemporaryDirectory() as directory:
        names = dict.fromkeys(name for kind in ("icmp6", "ra") for name in called(agent, kind, Path(directory)))
    into.write_text("".join(f"{name}\n" for name in names))
    print(f"{len(names)} functions")
    return 0


if __name__ == "__main__":
    end_by_signals()
    run_as_command("order-functions", main)
