"""One size: the agent's start, its memory, and what each kind of event costs it."""

import ipaddress
import os
import re
import signal
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from labkit.agent import SOCKETS, Agent, answers
from labkit.frame import Payload
from labkit.mif_client import MifClient
from labkit.processes import LabError, wait_until
from labkit.trigger_client import CAUSE, Kind, TriggerClient, Verb, address, filter, trigger

from ..flood import counters, cpu_time
from ..stage import Stage, stop
from . import rtnetlink
from .host import BigHost, Size
from .rtnetlink import DELADDR, NEWADDR, RouteSocket

EVENTS = ("ICMP error, new path", "ICMP error, known path", "Router Advertisement", "address comes or goes", "MODIFY of a trigger")
OWN_TYPE = 1000
"""Of the clients' triggers; from 7 on types are a client's own."""
WINDOW = 64
"""Requests on their way at once."""


@dataclass
class Cost:
    """What one kind of event costs."""

    events: int = 0
    cpu: int = 0
    """Nanoseconds that the engine ran, for all events."""
    latencies: list[int] = field(default_factory=list)
    """Nanoseconds until a subscriber knows, or the client has its answer."""

    @property
    def cpu_each(self) -> float:
        return self.cpu / self.events / 1000 if self.events else 0.0

    @property
    def median(self) -> float:
        return statistics.median(self.latencies) / 1000 if self.latencies else 0.0


@dataclass
class Outcome:
    """Of one size. Times in seconds, memory in bytes."""

    size: Size
    start: float = 0.0
    """From the start of the process until both sockets have answered."""
    start_cpu: float = 0.0
    resident: int = 0
    """Of engine and keeper together, with all triggers."""
    proportional: int = 0
    resident_before: int = 0
    """Without the clients' triggers."""
    clients_triggers: int = 0
    per_trigger: float = 0.0
    costs: dict[str, Cost] = field(default_factory=dict)
    route_cpu: float = 0.0
    """Microseconds of the engine's for each route that comes and goes while it runs."""
    route_overruns: int = 0
    resync_cpu: float = 0.0
    """To find out what was missed after notifications were lost."""


class Run:
    """An agent on the host as it is."""

    def __init__(self, stage: Stage, host: BigHost, binary: Path, size: Size, events: int) -> None:
        self.stage = stage
        self.host = host
        self.events = events
        self.outcome = Outcome(size)
        file = stage.lab.directory("configuration") / stage.name("mifd.conf")
        file.write_text(
            f"triggers = {size.triggers}\ntriggers-per-user = {size.triggers}\nunreachable-paths = 4096\n"
            "hold-time = 86400\nicmp-check = address\n"
        )
        self._kernel = RouteSocket(stage.lab.host)
        # What a child inherits: it is ahead of the machine's other work from its first moment on.
        stage.placement.put(0, None)
        began = time.monotonic()
        self.agent = Agent(stage.lab, binary, "--config", str(file), name=stage.name("mifd"), ready=False)
        self._await_start()
        self.outcome.start = time.monotonic() - began
        os.sched_setscheduler(0, os.SCHED_OTHER, os.sched_param(0))
        self.outcome.start_cpu = self._cpu() / 1e9
        stage.placement.put(self.agent.child.pid, stage.placement.receiver)
        self.clients = TriggerClient(self.agent.directory)

    def _await_start(self) -> None:
        def there() -> bool:
            if not self.agent.child.running:
                raise LabError(f"the agent ended:\n{self.agent.child.output()}")
            return all(answers(self.agent.directory / name) for name in SOCKETS)

        wait_until(there, "the agent's sockets", 30, every=0.001)
        # Whoever connects early is served when everything is known.
        for kind in (TriggerClient, MifClient):
            client = kind(self.agent.directory)
            client.barrier()
            client.close()

    def _cpu(self) -> int:
        return cpu_time(self.agent.child.pid)

    # Memory

    def fill(self) -> None:
        """Clients' triggers about two addresses each, as a peer of MOBIKE's would have them."""
        # What the start needed for a moment is given back by now, or never.
        time.sleep(0.2)
        before = self.agent.allocated()
        self.outcome.resident_before = self.agent.resident()
        counted = counters(self.agent.directory)
        own = counted["triggers.added"] - counted["triggers.removed"]
        count = self.outcome.clients_triggers = max(1, self.outcome.size.triggers - own)
        self.ids: list[int] = []
        asked: list[int] = []
        for number in range(count):
            asked.append(self.clients.send(Verb.ADD, *_trigger(number)))
            if len(asked) >= WINDOW:
                self._take(asked, WINDOW // 2)
        self._take(asked, len(asked))
        self.outcome.per_trigger = (self.agent.allocated() - before) / count
        self.outcome.resident = self.agent.resident()
        self.outcome.proportional = sum(proportional(pid) for pid in self.agent.family)

    def _take(self, asked: list[int], count: int) -> None:
        for seq in asked[:count]:
            answer = self.clients.answer(seq, 30)
            if answer.errno:
                raise LabError(f"ADD of trigger {len(self.ids) + 1}: {os.strerror(answer.errno)}")
            self.ids.append(int.from_bytes(answer.payloads[0].body[4:8], "little"))
        del asked[:count]

    # Events

    def costs(self) -> None:
        found = self.outcome.costs
        found["address comes or goes"] = self._addresses()
        found["MODIFY of a trigger"] = self._modifications()
        found["Router Advertisement"] = self._packets("ra", "mif.sock", "mif")
        found["ICMP error, new path"] = self._packets("icmp6", "trigger.sock", "trigger")
        found["ICMP error, known path"] = self._repeated()

    def _packets(self, kind: str, socket: str, to: str) -> Cost:
        """One at a time, as mif-bench measures latency."""
        run = self.stage.take_events(self.events)
        log = self.stage.log(run.stop)
        where = ("--to", to, "--socket", str(self.agent.directory / socket), "--interface", str(self.stage.index))
        listener = self.stage.subscriber(log, *where)
        time.sleep(0.1)
        before = self._cpu()
        self.stage.send(log, "--kind", kind, "--first", str(run.start), "--count", str(len(run)), "--period", "200")
        time.sleep(0.05)
        cost = Cost(len(run), self._cpu() - before, log.latencies(run))
        stop(listener)
        log.close()
        return cost

    def _repeated(self) -> Cost:
        """About one path, at a rate at which the agent looks at several at once: nobody is told of each."""
        log = self.stage.log(1)
        count = 10 * self.events
        before = self._cpu()
        told = self.stage.send(log, "--kind", "icmp6", "--unique", "1", "--count", str(count), "--rate", "50000")
        time.sleep(0.05)
        log.close()
        return Cost(told["sent"], self._cpu() - before)

    def _addresses(self) -> Cost:
        """On the uplink, which has a tenth of all addresses."""
        ip = ipaddress.ip_address("192.0.2.77")
        client = TriggerClient(self.agent.directory)
        client.register(CAUSE, filter(Kind.IF_ADDRCHANGED, prefix=f"{ip}/32"))
        cost = Cost(self.events)
        before = self._cpu()
        for number in range(self.events):
            told = len(client.log)
            began = time.monotonic_ns()
            kind = DELADDR if number % 2 else NEWADDR
            self._kernel.send([rtnetlink.address(kind, ip, 32, self.stage.index)])
            while len(client.log) == told:
                if not client.pump(5):
                    raise LabError("an address came or went, and nobody was told")
            cost.latencies.append(time.monotonic_ns() - began)
        cost.cpu = self._cpu() - before
        if self.events % 2:
            self._kernel.send([rtnetlink.address(DELADDR, ip, 32, self.stage.index)])
        client.close()
        return cost

    def _modifications(self) -> Cost:
        """Of triggers all over the database."""
        cost = Cost(self.events)
        step = max(1, len(self.ids) // self.events)
        before = self._cpu()
        for number in range(self.events):
            place = number * step % len(self.ids)
            other = _addresses_of(place + len(self.ids) + number)
            began = time.monotonic_ns()
            answer = self.clients.modify(self.ids[place], OWN_TYPE, *other)
            cost.latencies.append(time.monotonic_ns() - began)
            if answer.errno:
                raise LabError(f"MODIFY: {os.strerror(answer.errno)}")
        cost.cpu = self._cpu() - before
        return cost

    # Routes

    def flood_of_routes(self, count: int) -> None:
        """Routes that concern nobody here come and go."""
        before, counted = self._cpu(), counters(self.agent.directory)
        self.host.add_routes(count)
        self.host.remove_routes(count)
        self.clients.barrier()
        self.outcome.route_cpu = (self._cpu() - before) / 2 / count / 1000
        self.outcome.route_overruns = counters(self.agent.directory)["kernel.overruns"] - counted["kernel.overruns"]

    def resync(self) -> None:
        """Held up until the kernel has to drop what it tells."""
        counted = counters(self.agent.directory)
        ip = ipaddress.ip_address("192.0.2.78")
        os.kill(self.agent.child.pid, signal.SIGSTOP)
        turns = [rtnetlink.address(kind, ip, 32, self.stage.index) for kind in (NEWADDR, DELADDR)]
        self._kernel.send(turns * 4000)
        before = self._cpu()
        os.kill(self.agent.child.pid, signal.SIGCONT)

        def settled() -> bool:
            now = counters(self.agent.directory)
            if now["kernel.resyncs"] == counted["kernel.resyncs"]:
                return False
            seen = self._cpu()
            time.sleep(0.3)
            return self._cpu() - seen < 5_000_000

        wait_until(settled, "the agent asks for everything anew", 30, every=0.05)
        if counters(self.agent.directory)["kernel.overruns"] == counted["kernel.overruns"]:
            raise LabError("the kernel dropped nothing, so there was nothing to find out")
        self.outcome.resync_cpu = (self._cpu() - before) / 1e9

    def close(self) -> None:
        self._kernel.close()
        self.clients.close()
        self.agent.stop()


def _addresses_of(number: int) -> tuple[Payload, Payload]:
    low = f"{number >> 16:x}:{number & 0xFFFF:x}"
    return address("2001:db8:1::10"), address(f"2001:db8:beef::{low}")


def _trigger(number: int) -> tuple[Payload, ...]:
    return trigger(OWN_TYPE), *_addresses_of(number)


def proportional(pid: int) -> int:
    """PSS, bytes: what is shared counts by its share."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return 1024 * int(found[1]) if found else 0


def measure(
    stage: Stage, binary: Path, full: Size, divisors: tuple[int, ...], events: int, tell: Callable[[str], None]
) -> list[Outcome]:
    """From the smallest size to the largest: the host grows."""
    host = BigHost(stage.lab)
    try:
        return [_one(stage, host, binary, full.part(divisor), events, tell) for divisor in divisors]
    finally:
        host.close()


def _one(
    stage: Stage, host: BigHost, binary: Path, size: Size, events: int, tell: Callable[[str], None]
) -> Outcome:
    tell(f"{size.interfaces} interfaces, {size.addresses} addresses, {size.routes} routes")
    host.grow(size)
    run = Run(stage, host, binary, size, events)
    tell(f"{size.triggers} triggers")
    run.fill()
    tell("events")
    run.costs()
    tell("routes that come and go")
    run.flood_of_routes(max(1000, size.routes // 10))
    run.resync()
    run.close()
    return run.outcome
