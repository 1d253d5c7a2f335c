"""The MIF API of libmif and its examples: from "which networks do I have" to a connected socket, in C, to an
address and to a host by its name.

MIFD_CLIENTS names the directory that tools/build-clients fills."""

import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from test_c_interface import C, CLANG, GCC, ROOT, SANITIZE, SHARED_PATH, VALGRIND, build, run

from labkit import dns
from labkit.agent import Agent
from labkit.dns import Answer, Server, reply, zone
from labkit.processes import Child, wait_until
from labkit.site import advertised
from labkit.story import MifEar
from labkit.topology import PEER4, PEER6, Lab, Uplink

pytestmark = pytest.mark.skipif(
    "MIFD_CLIENTS" not in os.environ, reason="MIFD_CLIENTS is not set: what tools/build-clients prints"
)
PORT = 8080
GREETING = "hello from the peer\n"
SERVER = f"""
import socket, sys, threading
server = socket.create_server(("::", {PORT}), family=socket.AF_INET6, dualstack_ipv6=True)
print("listening", flush=True)
while True:
    peer, address = server.accept()
    peer.sendall({GREETING.encode()!r} + address[0].removeprefix("::ffff:").encode() + b"\\n")
    threading.Thread(target=lambda: (peer.recv(1), peer.close())).start()
"""


@pytest.mark.parametrize(
    ("compiler", "link", "flags", "under"),
    [
        pytest.param(CLANG, "static", (), (), id="clang"),
        pytest.param(GCC, "static", SANITIZE, (), id="asan"),
        pytest.param(GCC, "shared", (), VALGRIND, id="valgrind"),
    ],
)
def test_messages(compiler: str, link: str, flags: tuple[str, ...], under: tuple[str, ...], tmp_path: Path) -> None:
    """Every request and message against the golden vectors; sockets, waiting, connecting; no agent is needed."""
    program = build(tmp_path / "mif", ROOT / "Tests/C/mif.c", link, compiler, "gnu17", flags)
    directory = tmp_path / "run"
    directory.mkdir()
    print(run(*under, program, ROOT / "Tests/Vectors/mif.txt", directory, seconds=120))


@pytest.mark.parametrize(("compiler", "standard"), C)
@pytest.mark.parametrize("example", ["first-subscriber", "mif-connect"])
@pytest.mark.parametrize("link", ["static", "shared"])
def test_examples(compiler: str, standard: str, example: str, link: str, tmp_path: Path) -> None:
    """In every standard, with either library; without an agent they say what is wrong."""
    program = build(tmp_path / example, ROOT / f"examples/{example}.c", link, compiler, standard)
    done = subprocess.run(
        [program, "host.example", "80"],
        capture_output=True,
        text=True,
        timeout=10,
        check=False,
        env={**os.environ, **SHARED_PATH, "MIFD_RUNTIME_DIR": str(tmp_path)},
    )
    assert done.returncode == 1
    assert done.stderr == f"{example}: cannot reach the agent: No such file or directory\n"


def test_first_subscriber(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, tmp_path: Path) -> None:
    """Everything that exists, top down; then the news."""
    program = build(tmp_path / "first-subscriber", ROOT / "examples/first-subscriber.c", "shared")
    lab.configure_by_hand(up0)
    wait_until(lambda: up0.host4 in subscriber(lab, program, agent), "the agent knows the addresses")
    told = subscriber(lab, program, agent)
    index = lab.host.index(up0.interface)
    assert f"interface {index} {up0.interface}\n" in told
    [domain] = re.findall(rf"domain (\d+) \S+ on {up0.interface}\n", told)
    for address in (f"{up0.host4}/24", f"{up0.host6}/64"):
        assert f"address {address} in domain {domain}\n" in told
    assert told.index("interface ") < told.index("domain ") < told.index("address ")

    output = lab.record.directory / "subscriber.txt"
    follower = lab.spawn(lab.host, "follower", str(program), "-f", stdout=output, environment=environment(agent))
    wait_until(lambda: output.exists() and up0.host6 in output.read_text(), "the follower is told")
    lab.configure_by_hand(up1)
    wait_until(lambda: f"address {up1.host4}/24" in output.read_text(), "the other uplink is told")
    lab.host.ip(f"addr del {up0.host4}/24 dev {up0.interface}")
    wait_until(lambda: f"no address {up0.host4} in domain {domain}\n" in output.read_text(), "the address goes")
    lab.unplug(up1)
    wait_until(lambda: "no interface " in output.read_text(), "the other uplink goes")
    assert follower.running


def environment(agent: Agent) -> dict[str, str]:
    return {**SHARED_PATH, "MIFD_RUNTIME_DIR": str(agent.directory)}


def subscriber(lab: Lab, program: Path, agent: Agent) -> str:
    words = [f"{name}={value}" for name, value in environment(agent).items()]
    return lab.host.run("env", *words, str(program))


# Connecting


@pytest.fixture
def peer(lab: Lab) -> Child:
    """A server behind both uplinks, that greets and says whom it sees."""
    child = lab.spawn(lab.peer, "peer", "python3", "-c", SERVER)
    child.says("listening")
    return child


@pytest.fixture
def connect(tmp_path: Path) -> Iterator[Path]:
    yield build(tmp_path / "mif-connect", ROOT / "examples/mif-connect.c", "shared")


class Connection:
    """One run of mif-connect: what came, what it said, how long it took."""

    def __init__(self, lab: Lab, program: Path, agent: Agent, host: str, milliseconds: int = 5000) -> None:
        started = time.monotonic()
        done = lab.host.inside(
            lambda: subprocess.run(
                [str(program), host, str(PORT), str(milliseconds)],
                input="x",
                capture_output=True,
                text=True,
                timeout=20,
                check=False,
                env={**os.environ, **environment(agent)},
            )
        )
        self.seconds = time.monotonic() - started
        self.status, self.came, self.said = done.returncode, done.stdout, done.stderr


def known(lab: Lab, agent: Agent, program: Path, *addresses: str) -> None:
    """Waits until the agent has these addresses."""
    wait_until(lambda: all(f"address {each}/" in subscriber(lab, program, agent) for each in addresses), "addresses")


@pytest.fixture
def ready(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, tmp_path: Path) -> None:
    """Both uplinks with both families."""
    program = build(tmp_path / "first-subscriber", ROOT / "examples/first-subscriber.c", "shared")
    for uplink in (up0, up1):
        lab.configure_by_hand(uplink)
        lab.reaches(uplink, PEER4)
        lab.reaches(uplink, PEER6)
    known(lab, agent, program, up0.host4, up0.host6, up1.host4, up1.host6)


@pytest.mark.parametrize("host", [PEER4, PEER6])
def test_connect_to_an_address(
    host: str, lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, peer: Child, connect: Path, ready: None
) -> None:
    """Through one of the uplinks, whose address the peer sees."""
    done = Connection(lab, connect, agent, host)
    assert done.status == 0, done.said
    greeting, seen = done.came.splitlines()
    assert greeting + "\n" == GREETING
    assert seen in {up0.host4, up0.host6, up1.host4, up1.host6}
    assert re.fullmatch(rf"connected to {re.escape(host)} in up[01]\S*\n", done.said)


def test_connect_around_a_dead_uplink(
    lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, peer: Child, connect: Path, ready: None
) -> None:
    """The first uplink's router says that it is unreachable: that starts the other at once, not after the delay."""
    lab.cut(up0)
    done = Connection(lab, connect, agent, PEER4)
    assert done.status == 0, done.said
    assert done.came.splitlines()[1] == up1.host4
    assert done.seconds < 0.24


def test_refused(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, connect: Path, ready: None) -> None:
    """Nobody listens: what was tried is told, per domain."""
    done = Connection(lab, connect, agent, PEER4)
    assert done.status == 1
    assert done.said.startswith(f"mif-connect: cannot connect to {PEER4}: Connection refused\n")
    for uplink in (up0, up1):
        assert re.search(rf"  {uplink.interface}\S*: {re.escape(PEER4)}: Connection refused\n", done.said)


def test_no_network(lab: Lab, agent: Agent, connect: Path) -> None:
    done = Connection(lab, connect, agent, PEER4)
    assert done.status == 1
    assert "cannot connect" in done.said
    assert done.seconds < 1


# By name

NAME = "host.example"


def service(uplink: Uplink) -> str:
    """The address of a network's own server."""
    return f"{uplink.prefix6}80"


@pytest.fixture
def networks(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> Iterator[Callable[[Answer, Answer], list[Server]]]:
    """Behind each uplink a DNS server, which the story's answers make, and a server that greets."""
    with ExitStack() as stack:

        def start(*answers: Answer) -> list[Server]:
            servers = []
            for uplink, answer in zip((up0, up1), answers, strict=True):
                router = lab.router(uplink)
                router.ip(f"addr add {service(uplink)}/64 dev host0")
                lab.spawn(router, f"server-{uplink.router}", "python3", "-c", SERVER).says("listening")
                servers.append(stack.enter_context(Server(router, uplink.router6, answer)))
                advertised(lab, mif, uplink, [uplink.router6])
            return servers

        yield start


def own(uplink: Uplink) -> Answer:
    """An honest DNS server of this network."""
    return zone({NAME: [service(uplink)]})


Networks = Callable[[Answer, Answer], list[Server]]


def won(done: Connection, uplink: Uplink) -> None:
    """The connection is to this network's server, from the host's address there, and its domain is told."""
    assert done.status == 0, done.said
    assert done.came == f"{GREETING}{uplink.slaac}\n"
    assert re.fullmatch(rf"connected to {service(uplink)} in {uplink.interface}/ra/\S+\n", done.said), done.said


def test_connect_by_name(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, connect: Path, networks: Networks) -> None:
    """Two networks whose DNS servers differ: whichever wins, it is with the address of its own DNS server."""
    servers = networks(own(up0), own(up1))
    done = Connection(lab, connect, agent, NAME)
    won(done, up0 if up0.interface in done.said else up1)
    for server, uplink in zip(servers, (up0, up1), strict=True):
        assert {query.source for query in server.queries} <= {uplink.slaac}


@pytest.mark.parametrize("good", [0, 1])
def test_connect_where_the_name_is_known(
    good: int, lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, connect: Path, networks: Networks
) -> None:
    """One of the networks has it, whichever of the two; the other says that there is no such name."""
    uplinks = [up0, up1]
    answers = [zone({}), zone({})]
    answers[good] = own(uplinks[good])
    networks(*answers)
    won(Connection(lab, connect, agent, NAME), uplinks[good])


def dead_end(_: Server, query: dns.Query) -> list[bytes]:
    """A lie: an address where nobody listens."""
    return [reply(query, *[dns.address(NAME, PEER6)] * (query.kind == dns.AAAA))]


def black_hole(_: Server, query: dns.Query) -> list[bytes]:
    """A lie: an address behind the router that nothing ever comes back from."""
    return [reply(query, *[dns.address(NAME, "2001:db8:9::dead:beef")] * (query.kind == dns.AAAA))]


def forged(_: Server, query: dns.Query) -> list[bytes]:
    """Answers to questions that nobody asked."""
    return [reply(query, dns.address(NAME, "2001:db8:1::1"), id=query.id ^ 1)]


FIRST_SERVER = {
    "hangs": dns.silent,
    "lies: nobody listens there": dead_end,
    "lies: a black hole": black_hole,
    "lies: forged": forged,
    "fails": dns.failing(dns.SERVFAIL),
    "refuses": dns.failing(dns.REFUSED),
    "truncates for ever": lambda _, query: [reply(query, truncated=True)],
}


@pytest.mark.parametrize("what", FIRST_SERVER)
def test_connect_around_a_bad_dns_server(
    what: str, lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, connect: Path, networks: Networks
) -> None:
    """The first network's DNS server is of no use, in whatever way: the other network wins, and soon."""
    networks(FIRST_SERVER[what], own(up1))
    lab.r1.ip("route add blackhole 2001:db8:9::dead:beef/128")
    done = Connection(lab, connect, agent, NAME)
    won(done, up1)
    assert done.seconds < 1.5


def test_connect_around_an_unreachable_dns_server(
    lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, agent: Agent, connect: Path, networks: Networks
) -> None:
    """The first network's DNS server is behind a router that has lost its way there."""
    networks(own(up0), own(up1))
    lab.cut(up0)
    advertised(lab, mif, up0, ["2001:db8:dead::53"])
    lab.r1.ip(f"addr del {up0.router6}/64 dev host0")
    done = Connection(lab, connect, agent, NAME)
    won(done, up1)
    assert done.seconds < 1.5


def test_connect_where_nobody_knows_the_name(
    lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, connect: Path, networks: Networks
) -> None:
    """What each network said is told."""
    networks(zone({}), dns.failing(dns.SERVFAIL))
    done = Connection(lab, connect, agent, NAME)
    assert done.status == 1 and done.came == ""
    assert done.said.startswith(f"mif-connect: cannot connect to {NAME}: "), done.said
    for uplink in (up0, up1):
        assert re.search(rf"^  {uplink.interface}/ra/\S+: no address: ", done.said, re.MULTILINE), done.said
    assert done.seconds < 1.5
