"""Children of a lab: started in the foreground with a log, ended with the lab whatever happens."""

import os
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from signal import SIGKILL, SIGTERM, Signals
from typing import NoReturn

from .record import Record


PATIENCE = float(os.environ.get("LAB_PATIENCE", "1"))
"""How much longer than usual to wait for what should come: an emulated machine is ten times slower than this one."""


class LabError(Exception):
    """The lab, not the agent, did not do what a story needs."""


class Timeout(AssertionError):
    """Something that a story waits for did not come in time."""


def wait_until(condition: Callable[[], object], what: str, seconds: float = 5.0, every: float = 0.01) -> None:
    """Returns as soon as the condition holds, and fails with `what` when it doesn't within that many seconds."""
    deadline = time.monotonic() + seconds * PATIENCE
    while not condition():
        if time.monotonic() > deadline:
            raise Timeout(f"not within {seconds:g} s: {what}")
        time.sleep(every)


def patiently(work: Callable[[], object], *numbers: int, seconds: float = 5.0) -> None:
    """Does it again as long as it fails with one of these errno: the kernel comes round to a new link or address in its
    own time."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            work()
            return
        except OSError as error:
            if error.errno not in numbers or time.monotonic() > deadline:
                raise
        time.sleep(0.01)


@dataclass(frozen=True)
class Mounts:
    """What a process sees in another place than the rest of the machine, in a mount namespace of its own.

    Daemons keep their standard paths that way (a security profile may allow nothing else), and the machine's own
    state is out of their reach.
    """

    binds: Mapping[str, Path] = field(default_factory=dict)
    private_run: Sequence[str] = ()
    """Directories to make in an empty /run; none leaves the machine's /run in place."""

    def wrap(self, command: Sequence[str]) -> list[str]:
        if not self.binds and not self.private_run:
            return list(command)
        steps = ["set -e"]
        for target, source in self.binds.items():
            steps.append(shlex.join(["mount", "--bind", str(source), target]))
        if self.private_run:
            steps.append("mount -t tmpfs -o mode=755 tmpfs /run")
            steps += [shlex.join(["mkdir", "-p", path]) for path in self.private_run]
        return ["sh", "-c", "; ".join([*steps, 'exec "$@"']), "sh", *command]


class Child:
    """One process of the lab. Its id is the daemon's: all wrappers end in exec."""

    def __init__(
        self,
        record: Record,
        name: str,
        command: Sequence[str],
        *,
        namespace: str | None = None,
        mounts: Mounts = Mounts(),
        environment: Mapping[str, str] | None = None,
        stdout: Path | None = None,
    ) -> None:
        self.name = name
        self.namespace = namespace
        self.log = record.directory / f"{name}.log"
        self._record = record
        # SIGKILL when we die, however we die; ip netns exec gives the process a mount namespace of its own.
        prefix = ["setpriv", "--pdeathsig", "KILL"]
        if namespace is not None:
            prefix += ["ip", "netns", "exec", namespace]
        with open(self.log, "ab") as log, open(stdout or self.log, "ab") as output:
            self.process = subprocess.Popen(
                [*prefix, *mounts.wrap(command)],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
                env=None if environment is None else {**os.environ, **environment},
                start_new_session=True,
            )
        self._entry = record.add_child(self.process.pid)

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def running(self) -> bool:
        return self.process.poll() is None

    def output(self) -> str:
        return self.log.read_text(errors="replace")

    def says(self, text: str, seconds: float = 5.0) -> None:
        """Waits for a line of the log that contains the text; fails at once if the process ends before."""

        def said() -> bool:
            if text in self.output():
                return True
            if not self.running:
                raise LabError(f"{self.name} ended with {self.process.returncode}:\n{self.output()}")
            return False

        wait_until(said, f"{self.name} says {text!r}:\n{self.output()}", seconds)

    def signal(self, number: Signals) -> None:
        if self.running:
            os.kill(self.pid, number)

    def within(self, *command: str, seconds: float = 10.0) -> str:
        """Runs a command in the process' own network and mount namespaces and returns what it prints."""
        done = subprocess.run(
            ["nsenter", "-t", str(self.pid), "-n", "-m", *command],
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
            stdin=subprocess.DEVNULL,
        )
        if done.returncode != 0:
            raise LabError(f"{shlex.join(command)}: {done.stderr.strip() or done.stdout.strip()}")
        return done.stdout

    def wait(self, seconds: float = 5.0) -> int:
        """The exit status; negative for a signal."""
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Timeout(f"{self.name} still runs after {seconds:g} s") from None

    def stop(self, number: Signals = SIGTERM, seconds: float = 3.0) -> int:
        """Asks the process to end, waits, and ends its whole group by force if it doesn't."""
        if self.running:
            self.signal(number)
            try:
                self.process.wait(seconds)
            except subprocess.TimeoutExpired:
                pass
        try:
            os.killpg(self.pid, SIGKILL)
        except ProcessLookupError:
            pass
        status = self.process.wait(5.0)
        self._record.drop_child(self._entry)
        return status


def run_as_command(name: str, main: Callable[[], int]) -> NoReturn:
    """Ends this process with the status of a command; what it can't do is one line."""
    try:
        sys.exit(main())
    except (LabError, Timeout) as error:
        sys.exit(f"{name}: {error}")
    except KeyboardInterrupt:
        sys.exit(130)
