"""Application connectivity management (draft-ietf-mif-api-extension-05, section 3.2.7.26) on a real host: links that
really go up and down, solicitations on the wire, programs that really run."""

import errno
import os
import select
import socket
import struct
import time
from collections.abc import Callable, Iterator
from ipaddress import ip_address
from pathlib import Path
from signal import SIGKILL

import pytest

from labkit import advertise
from labkit.advertise import RouterAdvertisement
from labkit.agent import Agent
from labkit.clients import mif_client, mif_client_of
from labkit.frame import Message, Payload
from labkit.mif_client import UDP, Mif, MifClient, interface_payload, pvd_payload
from labkit.packets import checksum, pseudo_header
from labkit.processes import wait_until
from labkit.story import MifEar, eventually, tell
from labkit.topology import PEER4, Lab, Uplink

ANNA, BERT = 23_001, 23_002
P_TIME = 11


class Hooks:
    """A program that writes down what it is run for, and agents that are configured with it."""

    def __init__(self, lab: Lab, binary: Path) -> None:
        self.lab = lab
        self.binary = binary
        self.file = lab.record.directory / "hooks"
        self.file.touch()

    def program(self, name: str, body: str = "") -> Path:
        path = self.lab.record.directory / name
        path.write_text(f'#!/bin/sh\necho "$1 $2" >> {self.file}\n{body}\n')
        path.chmod(0o755)
        return path

    def agent(self, *lines: str, body: str = "", interfaces: str = "up*") -> Agent:
        program = self.program("hook", body)
        keys = [f"{name}-hook = {program}" for name in ("connect", "idle", "break")]
        text = "\n".join([*keys, f"connect-interfaces = {interfaces}", *lines]) + "\n"
        configuration = self.lab.record.directory / "mifd.conf"
        configuration.write_text(text)
        return Agent(self.lab, self.binary, "--config", str(configuration))

    @property
    def run(self) -> list[str]:
        return self.file.read_text().splitlines()

    def expect(self, *lines: str, seconds: float = 3.0) -> None:
        wait_until(lambda: len(self.run) >= len(lines), f"hooks {lines}", seconds)
        assert self.run == list(lines)


@pytest.fixture
def hooks(lab: Lab, binary: Path) -> Hooks:
    return Hooks(lab, binary)


def listen(agent: Agent) -> MifEar:
    client = MifClient(agent.directory)
    client.follow()
    ear = MifEar(client)
    ear.mark()
    return ear


def done(answer: Message) -> None:
    assert answer.errno == 0, errno.errorcode[answer.errno]
    assert not answer.payloads


def idle(client: MifClient, pvd: int = 0) -> None:
    done(client.request(Mif.CONNECTION_IDLE, pvd_payload(pvd)))


def breakable(client: MifClient, pvd: int = 0) -> None:
    done(client.request(Mif.CONNECTION_CAN_BE_BROKEN, pvd_payload(pvd)))


def wants(client: MifClient) -> None:
    done(client.request(Mif.WANTS_TO_CONNECT))


def down(client: MifClient, index: int, milliseconds: int | None = None) -> Message:
    time = [] if milliseconds is None else [Payload(P_TIME, struct.pack("=I", milliseconds))]
    return client.request(Mif.TAKE_INTERFACE_DOWN, interface_payload(index), *time)


def connect(client: MifClient, pvd: int, identifier: int = 1) -> None:
    """A connected UDP socket: handed out without a word on the wire."""
    client.connect(PEER4, 4500, pvd, transport=UDP, identifier=identifier).socket().close()


def pvd_on(ear: MifEar, uplink: Uplink) -> int:
    index = next(told.interface for told in ear.client.interfaces.values() if told.name == uplink.interface)
    [pvd] = ear.client.pvds_on(index)
    return pvd.pvd


def is_up(lab: Lab, uplink: Uplink) -> bool:
    return "UP" in lab.host.show("-o", "link", "show", "dev", uplink.interface).split("<")[1].split(">")[0].split(",")


def statistic(agent: Agent, name: str) -> int:
    with mif_client(agent) as client:
        return client.statistics()[name]


def counted(agent: Agent, name: str, count: int, seconds: float = 3.0) -> None:
    wait_until(lambda: statistic(agent, name) == count, f"{name} {count}", seconds)


# WANTS_TO_CONNECT


class Solicitations:
    """Router Solicitations as they arrive at a router."""

    def __init__(self, lab: Lab, uplink: Uplink) -> None:
        router = lab.router(uplink)
        self.socket = router.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(0x86DD))
        router.inside(lambda: self.socket.bind(("host0", 0x86DD)))
        self.uplink = uplink
        self.times: list[float] = []

    def next(self, seconds: float) -> bytes | None:
        """The next one, a whole IPv6 packet."""
        deadline = time.monotonic() + seconds
        while select.select([self.socket], [], [], max(0.0, deadline - time.monotonic()))[0]:
            frame = self.socket.recv(2048)
            packet = frame[14:]
            if packet[6] == 58 and packet[40] == 133:
                self.times.append(time.monotonic())
                tell(f"net  {self.uplink.router} hears a Router Solicitation")
                return packet
        return None

    def well_formed(self, packet: bytes) -> None:
        """RFC 4861, 4.1 and 6.1.1."""
        source, destination = ip_address(packet[8:24]), ip_address(packet[24:40])
        assert str(destination) == "ff02::2" and packet[7] == 255
        assert str(source) == self.uplink.link_local
        message = packet[40:]
        assert message[1] == 0 and message[4:8] == bytes(4)
        assert checksum(pseudo_header(str(source), str(destination), 58, len(message)) + message) == 0
        assert message[8:] == b"\1\1" + bytes.fromhex(self.uplink.host_mac.replace(":", ""))


@pytest.fixture
def solicitations(lab: Lab, up0: Uplink) -> Iterator[Solicitations]:
    # The kernel would solicit as well when the link comes up.
    lab.host.sysctl({f"ipv6/conf/{up0.interface}/router_solicitations": 0})
    found = Solicitations(lab, up0)
    yield found
    found.socket.close()


def advertise_from(lab: Lab, uplink: Uplink) -> None:
    router = lab.router(uplink)
    with router.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        advertisement = RouterAdvertisement(options=[advertise.prefix(f"{uplink.prefix6}/64")])
        advertise.send(raw, router.index("host0"), advertisement.wire)


def test_wants_to_connect(lab: Lab, up0: Uplink, up1: Uplink, hooks: Hooks, solicitations: Solicitations) -> None:
    """What is down and may be used goes up: that is told, solicited on, the hook runs; then nothing is to be done."""
    lab.host.ip("link set up0 down", "link set up1 down")
    agent = hooks.agent(interfaces="wwan*, up0")
    ear = listen(agent)
    wants(ear.client)
    ear.expect(kind=Mif.INTERFACE_GOING_UP, name="up0")
    ear.expect(kind=Mif.INTERFACE, name="up0", flags=lambda flags: flags & 1)
    assert is_up(lab, up0) and not is_up(lab, up1)
    first = solicitations.next(5)
    assert first is not None
    solicitations.well_formed(first)
    hooks.expect("connect up0")
    # Nobody answers: again after four seconds. Meanwhile asking again does nothing.
    wants(ear.client)
    assert solicitations.next(5) is not None
    assert 3.8 < solicitations.times[1] - solicitations.times[0] < 4.6
    advertise_from(lab, up0)
    ear.expect(kind=Mif.ADDRESS, ip=up0.slaac)
    assert solicitations.next(4.5) is None, "a router is known"
    ear.mark()
    wants(ear.client)
    ear.silent_for(0.3, kind=Mif.INTERFACE_GOING_UP)
    assert hooks.run == ["connect up0"]
    assert statistic(agent, "keeper.links-set-up") == 1 and statistic(agent, "keeper.hooks-run") == 1
    assert statistic(agent, "keeper.solicitations-sent") == 2


def test_nothing_may_be_used(lab: Lab, up0: Uplink, agent: Agent) -> None:
    """Without a configuration nobody sets anything up."""
    lab.host.ip("link set up0 down")
    with mif_client(agent) as client:
        wants(client)
    time.sleep(0.3)
    assert not is_up(lab, up0)


def test_operational(lab: Lab, up0: Uplink, up1: Uplink, hooks: Hooks, solicitations: Solicitations) -> None:
    lab.configure_by_hand(up0)
    lab.configure_by_hand(up1)
    ear = listen(hooks.agent())
    wants(ear.client)
    ear.silent_for(0.5, kind=Mif.INTERFACE_GOING_UP)
    assert hooks.run == [] and solicitations.next(0.1) is None


def test_going_up_without_us(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """Somebody sets a link up whose other end is not there: it is going up until it runs."""
    lab.host.ip("link set up0 down")
    lab.carrier(up0, on=False)
    mif.expect(kind=Mif.INTERFACE, name="up0", flags=0)
    lab.host.ip("link set up0 up")
    mif.expect(kind=Mif.INTERFACE, name="up0", flags=1)
    mif.expect(kind=Mif.INTERFACE_GOING_UP, name="up0", flags=1, skip=False)
    lab.carrier(up0, on=True)
    mif.expect(kind=Mif.INTERFACE, name="up0", flags=3, skip=False)


# Votes


def test_votes_of_several(lab: Lab, up0: Uplink, up1: Uplink, hooks: Hooks) -> None:
    """All who have a connection over an interface, or voted on it, have to agree; then that is told and the hook runs."""
    lab.configure_by_hand(up0)
    lab.configure_by_hand(up1)
    agent = hooks.agent("grace-time = 400")
    ear = listen(agent)
    with mif_client(agent) as first, mif_client(agent) as second:
        pvd, other = pvd_on(ear, up0), pvd_on(ear, up1)
        connect(first, pvd)
        idle(second, pvd)
        ear.none(kind=Mif.INTERFACE_GOING_AWAY)
        breakable(first, pvd)
        ear.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up0")
        since = time.monotonic()
        assert hooks.run == []
        hooks.expect("idle up0")
        assert 0.35 < time.monotonic() - since < 1.5
        breakable(second, pvd)
        ear.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up0")
        hooks.expect("idle up0", "break up0")
        # On all interfaces at once; on up0 it has been done.
        breakable(second)
        ear.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up1")
        hooks.expect("idle up0", "break up0", "break up1")
        assert first.request(Mif.CONNECTION_IDLE, pvd_payload(0xFFFFFFF0)).errno == errno.ENOENT
        assert other != pvd


def test_withdrawn_within_the_grace_time(lab: Lab, up0: Uplink, hooks: Hooks) -> None:
    """A new connection, or WANTS_TO_CONNECT, and nothing happens."""
    lab.configure_by_hand(up0)
    agent = hooks.agent("grace-time = 500")
    ear = listen(agent)
    with mif_client(agent) as client:
        pvd = pvd_on(ear, up0)
        connect(client, pvd)
        for number, withdraw in enumerate((lambda: connect(client, pvd, 2), lambda: wants(client))):
            idle(client, pvd)
            ear.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up0")
            withdraw()
            time.sleep(0.8)
            assert [line for line in hooks.run if "connect" not in line] == [], number
        idle(client, pvd)
        wait_until(lambda: "idle up0" in hooks.run, "the hook")


def voter_in_a_process(agent: Agent, vote: Callable[[MifClient], None] | None, pvd: int) -> int:
    """A program of its own that holds a connection, and perhaps votes; its pid."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client = MifClient(agent.directory)
            connect(client, pvd)
            if vote:
                vote(client)
            os.write(writing, b"!")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    return pid


def test_killed(lab: Lab, up0: Uplink, hooks: Hooks) -> None:
    """A subscriber's death withdraws its vote and its stake."""
    lab.configure_by_hand(up0)
    agent = hooks.agent("grace-time = 200")
    ear = listen(agent)
    pvd = pvd_on(ear, up0)
    with mif_client(agent) as client:
        busy = voter_in_a_process(agent, None, pvd)
        idle(client, pvd)
        ear.none(kind=Mif.INTERFACE_GOING_AWAY)
        os.kill(busy, SIGKILL)
        os.waitpid(busy, 0)
        ear.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up0")
        hooks.expect("idle up0")
    # Its vote goes as well: who is left has none.
    with mif_client(agent) as client:
        connect(client, pvd)
        voter = voter_in_a_process(agent, lambda one: breakable(one, pvd), pvd)
        os.kill(voter, SIGKILL)
        os.waitpid(voter, 0)
        ear.silent_for(0.6, kind=Mif.INTERFACE_GOING_AWAY)
    ear.silent_for(0.6, kind=Mif.INTERFACE_GOING_AWAY)
    assert hooks.run == ["idle up0"]


# TAKE_INTERFACE_DOWN


def test_taken_down(lab: Lab, up0: Uplink, hooks: Hooks) -> None:
    """Who asked may leave: first it is told, then comes the grace time, then the link is down."""
    lab.configure_by_hand(up0)
    agent = hooks.agent("grace-time = 700")
    ear = listen(agent)
    index = lab.host.index("up0")
    for wanted, milliseconds in ((0.3, 300), (0.7, None), (0.0, 0)):
        with mif_client(agent) as client:
            done(down(client, index, milliseconds))
        gone = ear.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up0")
        after = ear.expect(kind=Mif.INTERFACE, name="up0", flags=0)
        passed = (after.received - gone.received) / 1e9
        assert wanted - 0.02 <= passed < wanted + 0.5, passed
        assert not is_up(lab, up0)
        ear.expect(kind=Mif.NO_PVD)
        lab.host.ip("link set up0 up")
        ear.expect(kind=Mif.PVD)
        if ear.client.interfaces[index].flags != 3:
            ear.expect(kind=Mif.INTERFACE, name="up0", flags=3)
    lab.host.ip("link set up0 down")
    ear.expect(kind=Mif.NO_PVD)
    with mif_client(agent) as client:
        done(down(client, index))
        ear.silent_for(0.2, kind=Mif.INTERFACE_GOING_AWAY)
        assert down(client, 9999).errno == errno.ENOENT
        assert client.request(Mif.TAKE_INTERFACE_DOWN).errno == errno.EINVAL
    assert statistic(agent, "keeper.links-taken-down") == 3
    assert hooks.run == []


# Who may


def test_who_may(lab: Lab, up0: Uplink, hooks: Hooks) -> None:
    """Root, and whom the configuration names. Others are refused; they may connect, and have a stake then."""
    lab.configure_by_hand(up0)
    agent = hooks.agent(f"connectivity = user {ANNA}", "grace-time = 100")
    ear = listen(agent)
    pvd = pvd_on(ear, up0)
    index = lab.host.index("up0")
    with mif_client_of(agent, BERT) as bert, mif_client_of(agent, ANNA) as anna, mif_client(agent) as root:
        for request in (
            (Mif.WANTS_TO_CONNECT,),
            (Mif.CONNECTION_IDLE, pvd_payload(0)),
            (Mif.CONNECTION_CAN_BE_BROKEN, pvd_payload(pvd)),
            (Mif.TAKE_INTERFACE_DOWN, interface_payload(index)),
            (Mif.TAKE_INTERFACE_DOWN, interface_payload(9999)),
        ):
            assert bert.request(*request).errno == errno.EPERM
        assert root.statistics()["subscribers.not-permitted"] == 5
        assert agent.child.output().count("was refused to manage connectivity (EPERM)") == 1
        connect(bert, pvd)
        idle(anna, pvd)
        ear.silent_for(0.3, kind=Mif.INTERFACE_GOING_AWAY)
        bert.close()
        hooks.expect("idle up0")
        done(down(anna, index, 0))
        wait_until(lambda: not is_up(lab, up0), "up0 is down")


# The keeper


def keeper(agent: Agent) -> int:
    (found,) = Path(f"/proc/{agent.child.pid}/task/{agent.child.pid}/children").read_text().split()
    return int(found)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.mark.parametrize("user", ["", "user = 0"])
def test_a_hook_hangs(lab: Lab, up0: Uplink, up1: Uplink, hooks: Hooks, user: str) -> None:
    """It and what it started are killed when its time is over. Nobody waits for it meanwhile: neither the engine, nor
    other interfaces, nor a link that is to go down."""
    lab.configure_by_hand(up0)
    lab.configure_by_hand(up1)
    pids = hooks.lab.record.directory / "pids"
    body = f'[ "$2" = up1 ] && exit 3\nsleep 100 &\necho $$ $! > {pids}.new; mv {pids}.new {pids}; wait'
    agent = hooks.agent("grace-time = 0", "hook-timeout = 2", user, body=body)
    ear = listen(agent)
    with mif_client(agent) as client:
        idle(client, pvd_on(ear, up0))
        wait_until(pids.exists, "the hook runs")
        since = time.monotonic()
        idle(client, pvd_on(ear, up1))
        hooks.expect("idle up0", "idle up1")
        counted(agent, "keeper.failed", 1)
        done(down(client, lab.host.index("up0"), 0))
        wait_until(lambda: not is_up(lab, up0), "up0 is down")
        assert time.monotonic() - since < 1.5
        wait_until(lambda: len(children(keeper(agent))) == 1, "the hook alone is left, its time not over")
        counted(agent, "keeper.timed-out", 1)
    assert children(keeper(agent)) == [], "and taken in"
    for pid in pids.read_text().split():
        wait_until(lambda pid=pid: not Path(f"/proc/{pid}").exists() or "Z (" in status(int(pid)), f"{pid} is gone")
    log = agent.child.output()
    assert "hook idle up1 ended with status 3" in log and "hook idle up0 took too long and was killed" in log
    assert agent.stop() == 0


def status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "State:\tZ (gone)"


def test_a_hook_ends_with_the_agent(lab: Lab, up0: Uplink, hooks: Hooks) -> None:
    lab.configure_by_hand(up0)
    pid = hooks.lab.record.directory / "pid"
    agent = hooks.agent("grace-time = 0", body=f"echo $$ > {pid}.new; mv {pid}.new {pid}; exec sleep 100")
    ear = listen(agent)
    idle(ear.client)
    wait_until(pid.exists, "the hook runs")
    assert agent.stop() == 0
    wait_until(lambda: "Z (" in status(int(pid.read_text())), "the hook is gone")


def test_what_a_hook_finds(lab: Lab, up0: Uplink, hooks: Hooks) -> None:
    """Root, a clean environment, nothing open, no signal held back."""
    lab.configure_by_hand(up0)
    found = hooks.lab.record.directory / "found"
    body = (
        f"{{ tr '\\0' '\\n' < /proc/$$/environ; echo cwd $(readlink /proc/$$/cwd)\n"
        f"for fd in /proc/$$/fd/*; do echo fd ${{fd##*/}}; readlink $fd; done\n"
        f"grep -E '^(Uid|Sig(Blk|Ign)|NoNewPrivs)' /proc/self/status; }} > {found}.new\n"
        f"mv {found}.new {found}; echo said by the hook"
    )
    agent = hooks.agent("grace-time = 0", body=body)
    ear = listen(agent)
    idle(ear.client, pvd_on(ear, up0))
    wait_until(found.exists, "the hook ran")
    lines = found.read_text().splitlines()
    assert [line for line in lines if "=" in line] == [
        "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
    ]
    assert "cwd /" in lines
    opened = {lines[place + 1] for place, line in enumerate(lines) if line.startswith("fd ")}
    log = lines[lines.index("fd 2") + 1]
    assert lines[lines.index("fd 0") + 1] == "/dev/null" and log.endswith("agent.log")
    # The shell's own beside: its script, where it saved 1, the directory that it lists.
    own = {"/dev/null", log, str(lab.record.directory / "hook"), f"{found}.new"}
    assert {path for path in opened if path.startswith(("/", "socket:", "pipe:")) and "/fd" not in path} <= own
    for line in lines:
        if line.startswith("Sig"):
            # 32 and 33 are the C library's own: posix_spawn has it ignore them.
            assert int(line.split()[1], 16) & ~(3 << 31) == 0, line
    assert "Uid:\t0\t0\t0\t0" in lines and "NoNewPrivs:\t0" in lines
    eventually(lambda: agent.child.says("said by the hook"))


def test_a_hook_that_is_not_there(lab: Lab, up0: Uplink, hooks: Hooks) -> None:
    lab.configure_by_hand(up0)
    agent = hooks.agent("grace-time = 0", "idle-hook = /nowhere/hook")
    ear = listen(agent)
    idle(ear.client, pvd_on(ear, up0))
    counted(agent, "keeper.failed", 1)
    assert "cannot run the hook /nowhere/hook: No such file or directory" in agent.child.output()
