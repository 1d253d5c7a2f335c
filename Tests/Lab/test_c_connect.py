"""The MIF API of libmif and its examples: from "which networks do I have" to a connected socket, in C.

MIFD_CLIENTS names the directory that tools/build-clients fills."""

import os
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from test_c_interface import C, CLANG, GCC, ROOT, SANITIZE, SHARED_PATH, VALGRIND, build, run

from labkit.agent import Agent
from labkit.processes import Child, wait_until
from labkit.topology import DNS4, PEER4, PEER6, Lab, Uplink

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
