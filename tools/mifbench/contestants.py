"""Who is measured: each hears the network its own way and tells a subscriber."""

import shutil
from abc import ABC, abstractmethod
from pathlib import Path

from labkit.agent import Agent
from labkit.processes import Child, wait_until

from .log import Log
from .stage import Stage, end_politely, stop


class Contestant(ABC):
    """Started for its turns, and ended after them."""

    name: str
    kinds: tuple[str, ...] = ("icmp6", "ra")
    """What it can tell of."""
    rests = True
    """It leaves the processors alone while nothing is sent to it."""
    spin = False
    """Nobody ever sleeps, and the subscriber is the sender: on two processors they would take turns otherwise."""
    heard: tuple[str, ...] = ()
    """How the sender hears it, where it does."""
    _subscriber: Child | None = None

    @abstractmethod
    def start(self, stage: Stage, log: Log, kind: str) -> None: ...

    @abstractmethod
    def stop(self) -> None: ...

    def _listen(self, stage: Stage, log: Log, where: tuple[str, ...], *rest: str) -> None:
        """Has a subscriber hear it there, or the sender."""
        self._subscriber = None if self.spin else stage.subscriber(log, *where, *rest)
        self.heard = where if self.spin else ()

    def _stop_listening(self) -> None:
        if self._subscriber is not None:
            stop(self._subscriber)


class Floor(Contestant):
    def __init__(self, via: str, spin: bool = False) -> None:
        self.via = "v2-spin" if spin else via
        self.spin = spin
        # The kernel looks at a V3 ring each millisecond.
        self.rests = not spin and via != "v3"
        self.name = "floor, spinning" if spin else "floor" if via == "recvmsg" else f"floor, {via}"

    def start(self, stage: Stage, log: Log, kind: str) -> None:
        path = stage.lab.directory("sockets") / stage.name("floor")
        readers = str(log.receivers)
        self.child = stage.receiver(
            "floor", str(stage.build / "floor"), "--via", self.via, "--socket", str(path), "--readers", readers,
            "--interface", stage.uplink.interface,
        )  # fmt: skip
        wait_until(path.exists, "the floor's socket")
        self._listen(stage, log, ("--to", "frames", "--socket", str(path)), "--count", readers)

    def stop(self) -> None:
        self._stop_listening()
        end_politely(self.child)


class Mifd(Contestant):
    """The agent. Where others have their turns on the same stage, it is ended after each of its own: it would hear what is sent
    for them, and take its share of the processor."""

    def __init__(
        self,
        binary: Path,
        label: str = "mifd",
        kinds: tuple[str, ...] = ("icmp6", "ra"),
        spin: bool = False,
        ring: bool = False,
        **settings: object,
    ) -> None:
        self.binary = binary
        self.name = label
        self.kinds = kinds
        self.spin = spin
        self.rests = not spin
        self.ring = ring
        # Each event is another path: all of them are kept, and none runs out while it is measured.
        paths: dict[str, object] = {"unreachable-paths": 65536, "hold-time": 86400, "icmp-check": "address"}
        self.settings = paths | {key.replace("_", "-"): value for key, value in settings.items()}

    def launch(self, stage: Stage) -> Agent:
        file = stage.lab.directory("configuration") / stage.name("mifd.conf")
        file.write_text("".join(f"{key} = {value}\n" for key, value in self.settings.items()))
        agent = Agent(stage.lab, self.binary, "--config", str(file), name=stage.name("mifd"))
        stage.placement.put(agent.child.pid, stage.placement.receiver)
        return agent

    def start(self, stage: Stage, log: Log, kind: str) -> None:
        self.agent = self.launch(stage)
        socket, to = ("trigger.sock", "ring" if self.ring else "trigger") if kind.startswith("icmp") else ("mif.sock", "mif")
        where = ("--to", to, "--socket", str(self.agent.directory / socket))
        self._listen(stage, log, where, "--count", str(log.receivers), "--interface", str(stage.index))

    def stop(self) -> None:
        self._stop_listening()
        self.agent.stop()


class Printer(Contestant):
    """A program that prints a line for each event: the time counts until somebody has read it from the pipe."""

    def __init__(self, name: str, command: list[str], kinds: tuple[str, ...]) -> None:
        self.name = name
        self.command = command
        self.kinds = kinds

    @property
    def installed(self) -> bool:
        return shutil.which(self.name.split()[0]) is not None

    def start(self, stage: Stage, log: Log, kind: str) -> None:
        command = [word.replace("IFACE", stage.uplink.interface) for word in self.command]
        placement = stage.placement
        hear = [*placement.prefix(placement.receiver), *command]
        listen = [*placement.prefix(placement.subscriber), str(stage.build / "subscriber")]
        listen += ["--log", str(log.path), "--to", "pipe"]
        self.child: Child = stage.receiver(
            "printer", "sh", "-c", '"$@" | ' + " ".join(listen), "sh", *hear
        )
        wait_until(lambda: log.ready == 1, f"{self.name} is there")

    def stop(self) -> None:
        stop(self.child)


def printers() -> list[Printer]:
    both = ("icmp6", "ra")
    found = [
        Printer("ip monitor prefix", ["ip", "monitor", "prefix", "dev", "IFACE"], ("ra",)),
        Printer("ndptool monitor", ["stdbuf", "-oL", "ndptool", "monitor", "-t", "ra", "-i", "IFACE"], ("ra",)),
        Printer("rdisc6", ["stdbuf", "-oL", "rdisc6", "-m", "-w", "600000", "IFACE"], ("ra",)),
        Printer("tcpdump", ["tcpdump", "--immediate-mode", "-l", "-n", "-i", "IFACE", "icmp6"], both),
    ]
    return [each for each in found if each.installed]
