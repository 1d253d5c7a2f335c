"""The agent under test, run on the lab's host like any daemon of a real one."""

import functools
import os
import re
import subprocess
from collections.abc import Sequence
from pathlib import Path
from signal import SIGTERM

from .connection import Connection
from .mif_client import MifClient
from .processes import LabError, Mounts, wait_until
from .topology import Lab
from .trigger_client import TriggerClient

SOCKETS = (TriggerClient.name, MifClient.name)


class Agent:
    """One run of the agent's binary in the host's namespace. Its sockets are reachable from anywhere."""

    def __init__(
        self,
        lab: Lab,
        binary: Path,
        *arguments: str,
        name: str = "agent",
        ready: bool = True,
        mounts: Mounts = Mounts(),
    ) -> None:
        self.binary = binary
        self.directory = lab.directory(f"{name}-run")
        command = [str(binary), "--runtime-dir", str(self.directory), *arguments]
        self.child = lab.spawn(lab.host, name, *command, mounts=mounts)
        if ready:
            self.wait_ready()

    def wait_ready(self) -> None:
        def ready() -> bool:
            if not self.child.running:
                raise LabError(f"the agent ended with {self.child.process.returncode}:\n{self.child.output()}")
            return all(answers(self.directory / name) for name in SOCKETS)

        wait_until(ready, f"the agent's sockets in {self.directory}")

    @property
    def family(self) -> list[int]:
        """The agent's pid and those of whatever it forked."""
        children = Path(f"/proc/{self.child.pid}/task/{self.child.pid}/children").read_text()
        return [self.child.pid, *(int(pid) for pid in children.split())]

    def descriptors(self) -> int:
        """How many descriptors are open in the agent and in whatever it forked."""
        return sum(len(os.listdir(f"/proc/{pid}/fd")) for pid in self.family)

    def resident(self) -> int:
        """VmRSS of the agent and of whatever it forked, in bytes."""
        return self._memory("VmRSS")

    def allocated(self) -> int:
        """The same without code that was read from its file, which comes in steps of many pages."""
        return self._memory("RssAnon")

    def footprint(self) -> int:
        """What both need of the machine's memory, in bytes: all that is resident of the agent's, and of what it forked that
        which is not the agent's too."""
        total = _sum(f"/proc/{self.child.pid}/smaps_rollup", "Rss") * 1024
        for pid in self.family[1:]:
            total += _sum(f"/proc/{pid}/smaps_rollup", "Private_[A-Za-z]+") * 1024
        return total

    def wakeups(self) -> int:
        """How often they have begun to wait for something, and had to be woken up again or will be."""
        return sum(_sum(f"/proc/{pid}/status", "voluntary_ctxt_switches") for pid in self.family)

    def _memory(self, field: str) -> int:
        return 1024 * sum(_sum(f"/proc/{pid}/status", field) for pid in self.family)

    def stop(self, seconds: float = 3.0) -> int:
        """The exit status of a polite end."""
        self.child.signal(SIGTERM)
        status = self.child.wait(seconds)
        self.child.stop()
        return status


def _sum(file: str, field: str) -> int:
    return sum(int(value) for value in re.findall(rf"^{field}:\s+(\d+)", Path(file).read_text(), re.MULTILINE))


def answers(socket_path: Path) -> bool:
    class Knock(Connection):
        name = socket_path.name

    try:
        Knock(socket_path.parent).close()
    except OSError:
        return False
    return True


def run_briefly(
    lab: Lab, binary: Path, arguments: Sequence[str], seconds: float = 5.0, prefix: Sequence[str] = ()
) -> "subprocess.CompletedProcess[str]":
    """Runs the binary to its end on the lab's host: for what it says and refuses at its start."""
    return lab.host.inside(
        lambda: subprocess.run(
            [*prefix, str(binary), *arguments],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
    )


def is_static(binary: Path) -> bool:
    """Whether the file needs no interpreter and no shared library (no PT_INTERP and no PT_DYNAMIC)."""
    data = binary.read_bytes()
    if data[:4] != b"\x7fELF" or data[4] not in (1, 2):
        raise LabError(f"{binary} is not an ELF file")
    places = slice(28, 32), slice(42, 44), slice(44, 46)
    if data[4] == 2:
        places = slice(32, 40), slice(54, 56), slice(56, 58)
    offset, size, count = (int.from_bytes(data[place], "little") for place in places)
    kinds = {int.from_bytes(data[at : at + 4], "little") for at in range(offset, offset + size * count, size)}
    return not kinds & {2, 3}


@functools.cache
def binaries() -> list[Path]:
    """The agents to test: MIFD_AGENTS, a list separated by colons. Always the same objects: it is by identity that
    pytest knows which fixtures it can keep."""
    listed = [Path(word) for word in os.environ.get("MIFD_AGENTS", "").split(":") if word]
    for path in listed:
        if not os.access(path, os.X_OK):
            raise LabError(f"MIFD_AGENTS names {path}, which is no executable file")
    return [path.resolve() for path in listed]
