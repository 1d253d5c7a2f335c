"""What a lab leaves on the machine while it lives, written down so that another process can remove it.

Each lab owns a directory below ROOT. Its file `record` names the process that owns the lab, every process that the
lab started and every namespace that it made; a process is named by its id and its start time, so that an id that
the kernel gave to somebody else meanwhile is left alone.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path

ROOT = Path("/run/mifd-lab")


def start_time(pid: int) -> int | None:
    """The process' start in clock ticks since boot (proc(5), field 22), None if there is no such process."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return None
    fields = stat[stat.rindex(")") + 2 :].split()
    return None if fields[0] == "Z" else int(fields[19])


@dataclass(frozen=True)
class Process:
    pid: int
    started: int

    @staticmethod
    def named(pid: int) -> "Process":
        return Process(pid, start_time(pid) or 0)

    @property
    def alive(self) -> bool:
        return start_time(self.pid) == self.started


class Record:
    """The file that lists one lab's traces. Bounded by what a lab starts; rewritten whole at each change."""

    def __init__(self, directory: Path, owner: Process) -> None:
        self.directory = directory
        self.owner = owner
        self.children: list[Process] = []
        self.namespaces: list[str] = []

    @staticmethod
    def create() -> "Record":
        ROOT.mkdir(mode=0o755, exist_ok=True)
        pid = os.getpid()
        for number in range(1, 10_000):
            directory = ROOT / f"mif{pid}-{number}"
            try:
                directory.mkdir(mode=0o755)
            except FileExistsError:
                continue
            record = Record(directory, Process.named(pid))
            record.save()
            return record
        raise RuntimeError(f"{ROOT} is full of labs: run `tools/lab clean`")

    @staticmethod
    def load(directory: Path) -> "Record":
        """Refuses a record that somebody other than root may have written: what it names gets killed."""
        file = directory / "record"
        if file.stat().st_uid != 0 or directory.stat().st_uid != 0:
            raise PermissionError(f"{directory} is not root's")
        data = json.loads(file.read_text())
        record = Record(directory, Process(*data["owner"]))
        record.children = [Process(*child) for child in data["children"]]
        record.namespaces = data["namespaces"]
        return record

    @staticmethod
    def all() -> "list[Record]":
        records = []
        for directory in sorted(ROOT.glob("mif*-*")):
            try:
                records.append(Record.load(directory))
            except (OSError, ValueError, KeyError) as error:
                print(f"lab: {directory}: {error}", file=sys.stderr)
        return records

    @property
    def tag(self) -> str:
        return self.directory.name

    def save(self) -> None:
        data = {
            "owner": [self.owner.pid, self.owner.started],
            "children": [[child.pid, child.started] for child in self.children],
            "namespaces": self.namespaces,
        }
        scratch = self.directory / "record.new"
        scratch.write_text(json.dumps(data))
        scratch.rename(self.directory / "record")

    def add_child(self, pid: int) -> Process:
        child = Process.named(pid)
        self.children.append(child)
        self.save()
        return child

    def drop_child(self, child: Process) -> None:
        if child in self.children:
            self.children.remove(child)
            self.save()

    def add_namespace(self, name: str) -> None:
        self.namespaces.append(name)
        self.save()

    def erase(self, keep_files: bool = False) -> None:
        """Ends what is left of the lab. Safe to call twice, and from a process that isn't the lab's owner."""
        for child in self.children:
            end_group(child)
        for name in self.namespaces:
            end_inhabitants(name)
            subprocess.run(["ip", "netns", "del", name], stderr=subprocess.DEVNULL, check=False)
        if not keep_files:
            shutil.rmtree(self.directory, ignore_errors=True)


def end_group(child: Process) -> None:
    """Each child leads a process group of its own, where a daemon's helpers are as well."""
    if child.alive:
        try:
            os.killpg(child.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass


def end_inhabitants(namespace: str) -> None:
    """A namespace that a lab made holds nobody but the lab's own processes: whoever is left in it goes with it."""
    listing = subprocess.run(["ip", "netns", "pids", namespace], capture_output=True, text=True, check=False)
    pids = [int(pid) for pid in listing.stdout.split() if int(pid) != os.getpid()]
    for pid in pids:
        try:
            os.kill(pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
    deadline = time.monotonic() + 1
    while any(start_time(pid) is not None for pid in pids) and time.monotonic() < deadline:
        time.sleep(0.005)


def clean() -> tuple[int, int]:
    """Removes the labs whose owner is gone. Returns how many were removed and how many live on."""
    removed = living = 0
    for record in Record.all():
        if record.owner.alive:
            living += 1
        else:
            record.erase()
            removed += 1
    return removed, living


def guard(directory: Path) -> None:
    """Waits until the lab's owner closes our standard input, by whatever death, and then removes what it left."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    sys.stdin.buffer.read()
    if directory.exists():
        Record.load(directory).erase()


if __name__ == "__main__":
    guard(Path(sys.argv[1]))
