"""tools/bench: micro-benchmarks of decoders, encoders, ring, state and timers."""

import argparse
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .comparison import compare, comparison_table, table
from .programs import GROUPS, Failure, Program, build, chosen, is_wanted, run

ROOT = Path(__file__).parents[2]


@contextmanager
def worktree(revision: str) -> Iterator[Path]:
    """A revision's files in a folder of their own, for as long as it is needed."""

    def git(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(["git", "-C", ROOT, *words], capture_output=True, text=True, timeout=120, check=False)

    if git("rev-parse", "--verify", "--quiet", revision + "^{commit}").returncode != 0:
        raise Failure(f"{revision} is no revision of {ROOT}: see git log")
    with tempfile.TemporaryDirectory(prefix="mifd-bench-") as folder:
        tree = Path(folder) / "tree"
        added = git("worktree", "add", "--detach", str(tree), revision)
        try:
            if added.returncode != 0:
                raise Failure(f"no worktree of {revision} in {folder}: {added.stderr}")
            yield tree
        finally:
            git("worktree", "remove", "--force", str(tree))


def take_rounds(
    programs: Sequence[Program], folders: Sequence[Path], count: int, names: Sequence[str], is_polite: bool
) -> list[dict[str, list[float]]]:
    """For each folder, in turn within each round, since the machine changes more than what is compared."""
    found: list[dict[str, list[float]]] = [{} for _ in folders]
    for _ in range(count):
        for program in programs:
            for rounds, folder in zip(found, folders, strict=True):
                for name, value in run(program, folder, ROOT, is_polite).items():
                    if is_wanted(name, names):
                        rounds.setdefault(name, []).append(value)
    return found


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="tools/bench",
        description="Nanoseconds for one operation: the least of several rounds, each the least of five. With "
        "--compare, another revision is built beside this one, both take turns, and the status is 1 where something "
        "got slower by more than the limit and by more than the noise, which is how far the same revision's rounds "
        "are apart; 2 where nothing could be measured.",
    )
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help=f"only these: {', '.join(GROUPS)}, or one of a group, as decode.ack"
    )
    parser.add_argument("--compare", metavar="REV", help="the revision to compare with, as git names it")
    parser.add_argument("--rounds", type=int, default=6, help="how many (default: %(default)s)")
    parser.add_argument("--limit", type=float, default=10, metavar="PERCENT", help="default: %(default)s")
    parser.add_argument("--polite", action="store_true", help="not ahead of the machine's other work")
    chosen_arguments = parser.parse_args()
    if chosen_arguments.rounds < 1:
        parser.error("--rounds is at least 1")
    return chosen_arguments


def main() -> int:
    given = arguments()
    programs = chosen(given.names)
    if given.compare is None:
        (rounds,) = take_rounds(programs, [build(ROOT)], given.rounds, given.names, given.polite)
        print(table(rounds))
        return 0
    with worktree(given.compare) as tree:
        folders = [build(tree), build(ROOT)]
        before, after = take_rounds(programs, folders, given.rounds, given.names, given.polite)
    comparisons = compare(before, after)
    limit = given.limit / 100
    print(comparison_table(comparisons, limit))
    return 1 if any(each.is_slower_by(limit) for each in comparisons) else 0


signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
try:
    sys.exit(main())
except Failure as failure:
    print(f"tools/bench: {failure}", file=sys.stderr)
    sys.exit(2)
