"""The benchmarks' programs: how they are built, run and read."""

import os
import subprocess
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

SCRATCH = ".build-benchmarks"
LONGEST_BUILD = 1800
LONGEST_RUN = 120


class Failure(Exception):
    """What went wrong, where, and what to do."""


@dataclass(frozen=True)
class Program:
    """Prints lines of a benchmark's name and its nanoseconds; what else is on a line is left alone."""

    group: str
    command: tuple[str, ...]
    # What tells these benchmarks from others that the same program calls by the same name.
    variant: str = ""

    def read(self, output: str) -> Iterator[tuple[str, float]]:
        for line in output.splitlines():
            name, value = line.split()[:2]
            yield f"{self.group}.{name}{self.variant}", float(value)


PACKETS = "{root}/Benchmarks/decoders/packets.txt"
PROGRAMS = (
    Program("decode", ("decoders", PACKETS, "200000")),
    Program("encode", ("encode", "1000000")),
    Program("ring", ("ring", "publish", "1", "256"), "-1"),
    Program("ring", ("ring", "publish", "256", "256"), "-256"),
    Program("state", ("state", "200000")),
    Program("timers", ("timers", "200000")),
)
GROUPS = tuple(dict.fromkeys(program.group for program in PROGRAMS))


def chosen(names: Iterable[str]) -> tuple[Program, ...]:
    """The programs that have benchmarks of these names: a group, or one of a group."""
    groups = [name.split(".")[0] for name in names]
    for group in groups:
        if group not in GROUPS:
            raise Failure(f"{group} is no group of benchmarks; there are {', '.join(GROUPS)}")
    return tuple(program for program in PROGRAMS if not groups or program.group in groups)


def is_wanted(benchmark: str, names: Iterable[str]) -> bool:
    wanted = list(names)
    return not wanted or any(benchmark == name or benchmark.startswith(name + ".") for name in wanted)


def build(tree: Path) -> Path:
    """Builds a revision's benchmarks. Gives the folder with the programs that it has, which may be none."""
    folder = tree / SCRATCH / "release"
    if (tree / "Benchmarks" / "Package.swift").exists():
        command = ["swift", "build", "--package-path", "Benchmarks", "--scratch-path", SCRATCH, "-c", "release"]
        done = subprocess.run(
            command, cwd=tree, capture_output=True, text=True, timeout=LONGEST_BUILD, check=False
        )  # fmt: skip
        if done.returncode != 0:
            raise Failure(f"the benchmarks in {tree} don't build:\n{done.stdout}{done.stderr}")
    return folder


def go_ahead() -> None:
    """This process is served before the machine's other work, where that is allowed."""
    try:
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    except PermissionError:
        pass


def run(program: Program, folder: Path, root: Path, is_polite: bool) -> dict[str, float]:
    """The nanoseconds of each benchmark; nothing where this revision has no such program."""
    path = folder / program.command[0]
    if not path.exists():
        return {}
    words = [word.replace("{root}", str(root)) for word in program.command[1:]]
    done = subprocess.run(
        [path, *words], capture_output=True, text=True, timeout=LONGEST_RUN, check=False,
        preexec_fn=None if is_polite else go_ahead,
    )  # fmt: skip
    if done.returncode != 0:
        raise Failure(f"{path} {' '.join(words)} ended with {done.returncode}: {done.stdout}{done.stderr}")
    return dict(program.read(done.stdout))
