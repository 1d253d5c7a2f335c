"""Where it is measured: a host and its router in namespaces of their own, the compiled programs, and who runs where."""

import json
import os
import select
import shutil
import signal
import socket
import struct
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from labkit.processes import Child, LabError, wait_until
from labkit.topology import Lab

from .log import Log

SOURCES = Path(__file__).parents[2] / "Benchmarks" / "bench"
PROGRAMS = ("sender", "floor", "subscriber", "fanout", "stream")
PARTS = {
    "sender": ("log", "frames", "client", "ring", "ways"),
    "subscriber": ("log", "frames", "client", "ring", "ways"),
    "fanout": ("log", "frames", "client", "ring"),
    "stream": (),
}
UDP_PORT = 4500


def compile_programs(into: Path) -> bool:
    """Compiles what measures. True if libpcap is there, so that it can be measured too."""
    common = ["-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror"]
    has_pcap = Path("/usr/include/pcap/pcap.h").exists()
    for name in PROGRAMS:
        pcap = ["-DWITH_PCAP", "-lpcap"] if has_pcap and name == "floor" else []
        files = [str(SOURCES / f"{file}.c") for file in (name, *PARTS.get(name, ("log", "frames")))]
        command = ["gcc", *common, "-o", str(into / name), *files, "-pthread", *pcap]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise LabError(f"gcc can't compile {name}:\n{done.stderr}")
    return has_pcap


@dataclass(frozen=True)
class Placement:
    """Which processor each party runs on, and whether ahead of the machine's other work."""

    sender: int | None
    receiver: int | None
    subscriber: int | None
    first: bool
    """Scheduled as SCHED_RR: what else the machine does waits. The sender is ahead of those who hear, who may spin."""

    def prefix(self, processor: int | None, priority: int = 1) -> list[str]:
        words = ["chrt", "-r", str(priority)] if self.first else []
        return words + (["taskset", "-c", str(processor)] if processor is not None else [])

    def put(self, pid: int, processor: int | None) -> None:
        """The same for a process that runs."""
        if self.first:
            os.sched_setscheduler(pid, os.SCHED_RR, os.sched_param(1))
        if processor is not None:
            os.sched_setaffinity(pid, {processor})


class Awake:
    """Keeps the processors from halting while it lasts (Linux: Documentation/power/pm_qos_interface.rst)."""

    def __init__(self, wanted: bool) -> None:
        self._wanted = wanted

    def __enter__(self) -> None:
        self._file = os.open("/dev/cpu_dma_latency", os.O_WRONLY) if self._wanted else -1
        if self._wanted:
            os.write(self._file, struct.pack("=i", 0))

    def __exit__(self, *_: object) -> None:
        if self._wanted:
            os.close(self._file)


class Stage:
    """`with Stage(...) as stage:` The host has a UDP socket open that the ICMP errors are about."""

    def __init__(self, placement: Placement, uplinks: int = 1, beside: "Stage | None" = None) -> None:
        """`beside` another one, which is there longer: its programs are used."""
        self.placement = placement
        self._has_programs = beside is None
        self.build = Path(tempfile.mkdtemp(prefix="mif-bench-")) if beside is None else beside.build
        self.has_pcap = compile_programs(self.build) if beside is None else beside.has_pcap
        self.lab = Lab(uplinks=uplinks)
        uplink = self.lab.uplinks[0]
        self.uplink = uplink
        self.lab.configure_by_hand(uplink)
        self.lab.reaches(uplink, uplink.router4)
        self._flow = self.lab.host.socket(socket.AF_INET6, socket.SOCK_DGRAM)
        self._flow.bind(("::", UDP_PORT))
        self.index = self.lab.host.index(uplink.interface)
        self._names = 0
        self._events = 0

    def __enter__(self) -> "Stage":
        return self

    def __exit__(self, *_: object) -> None:
        self._flow.close()
        self.lab.close()
        if self._has_programs:
            shutil.rmtree(self.build, ignore_errors=True)

    def take_events(self, count: int) -> range:
        """Numbers that no event had before: each is another state."""
        run = range(self._events, self._events + count)
        self._events = run.stop
        return run

    def name(self, what: str) -> str:
        self._names += 1
        return f"{what}-{self._names}"

    def log(self, events: int, receivers: int = 1) -> Log:
        return Log(self.lab.directory("logs") / self.name("log"), events, receivers)

    def receiver(self, what: str, *command: str, **options: Any) -> Child:
        """A program on the host that hears the network."""
        prefix = self.placement.prefix(self.placement.receiver)
        return self.lab.spawn(self.lab.host, self.name(what), *prefix, *command, **options)

    def subscriber(self, log: Log, *arguments: str) -> Child:
        before = log.ready
        prefix = self.placement.prefix(self.placement.subscriber)
        command = [*prefix, str(self.build / "subscriber"), "--log", str(log.path), *arguments]
        child = self.lab.spawn(self.lab.host, self.name("subscriber"), *command)
        count = int(arguments[arguments.index("--count") + 1]) if "--count" in arguments else 1

        def ready() -> bool:
            if not child.running:
                raise LabError(f"the subscriber ended:\n{child.output()}")
            return log.ready >= before + count

        wait_until(ready, "the subscribers hear", 20)
        return child

    def send(self, log: Log, *arguments: str, seconds: float = 600) -> dict[str, int]:
        """Runs the sender to its end; what it prints."""
        text = self.lab.r1.run(*self._sender(log, *arguments), seconds=seconds)
        found: dict[str, int] = json.loads(text) if text.strip() else {}
        return found

    def sender(self, log: Log, *arguments: str) -> "Sender":
        return Sender(self.lab.r1.name, self._sender(log, *arguments))

    def _sender(self, log: Log, *arguments: str) -> list[str]:
        uplink = self.uplink
        path = ["--host-mac", uplink.host_mac, "--router-mac", uplink.router_mac, "--port", str(UDP_PORT)]
        path += ["--host6", uplink.host6, "--router6", uplink.router6]
        path += ["--host4", uplink.host4, "--router4", uplink.router4]
        command = [*self.placement.prefix(self.placement.sender, 2), str(self.build / "sender")]
        return [*command, "--interface", "host0", "--log", str(log.path), *path, *arguments]


class Sender:
    """One that sends when it is its turn (`--turn`). It ends with whoever has it."""

    def __init__(self, namespace: str, command: Sequence[str]) -> None:
        self._process = subprocess.Popen(
            ["ip", "netns", "exec", namespace, *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE, bufsize=0
        )

    def turn(self, seconds: float = 10.0) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(b".")
        if not select.select([self._process.stdout], [], [], seconds)[0]:
            raise LabError(f"events don't arrive: a turn took more than {seconds:g} s")
        if self._process.stdout.read(1) != b".":
            raise LabError(f"the sender ended with {self._process.wait()}")

    def end(self) -> None:
        self._process.communicate()


def stop(child: Child) -> None:
    child.stop()
    Path(child.log).unlink(missing_ok=True)


def end_politely(child: Child, seconds: float = 5.0) -> str:
    """SIGTERM until it has ended (it may just be on its way into the call that waits); what it printed."""
    deadline = time.monotonic() + seconds
    while child.running and time.monotonic() < deadline:
        child.signal(signal.SIGTERM)
        time.sleep(0.01)
    child.stop()
    return child.output()
