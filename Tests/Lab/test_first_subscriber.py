"""The newcomer's page: its programs are those of examples/, they build, and they say what is true.

MIFD_CLIENTS names the directory that tools/build-clients fills."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from labkit.agent import Agent
from labkit.processes import wait_until
from labkit.topology import Lab, Uplink

ROOT = Path(__file__).parents[2]
EXAMPLES = ROOT / "examples"
CLIENTS = Path(os.environ.get("MIFD_CLIENTS", "")).absolute()


def test_page() -> None:
    """Every listing is the file, to the letter; every file and function that is named exists."""
    page = (ROOT / "docs/first-subscriber.md").read_text()
    listings = re.findall(r"^```(c|swift)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    files = ["first-subscriber.c", "first-subscriber/FirstSubscriber.swift", "first-subscriber/Package.swift"]
    assert [text for _, text in listings] == [(EXAMPLES / name).read_text() for name in files]
    for link in re.findall(r"\]\(([^)#]+)", page):
        assert (ROOT / "docs" / link).exists(), link
    header = (ROOT / "Sources/CMIF/include/mif.h").read_text()
    swift = "".join(file.read_text() for file in (ROOT / "Sources/MIF").glob("*.swift"))
    prose = re.sub(r"^```.*?^```$", "", page, flags=re.MULTILINE | re.DOTALL)
    for name in re.findall(r"`((?:mif|trigger)_[a-z_]+)`", prose):
        assert f"{name}(" in header, name
    for name in re.findall(r"`(\w+)(?:\.\w+)?\([\w:]+\)`", prose) + re.findall(r"`([A-Z]\w+[a-z])`", prose):
        assert re.search(rf"public (?:final )?(?:class|struct|func) {name}\b", swift), name


@pytest.fixture(scope="session")
def c_program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Built as the page says."""
    if "MIFD_CLIENTS" not in os.environ:
        pytest.skip("MIFD_CLIENTS is not set: what tools/build-clients prints")
    program = tmp_path_factory.mktemp("c") / "first-subscriber"
    flags = subprocess.run(
        ["pkg-config", "--cflags", "--libs", "mif"],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "PKG_CONFIG_PATH": str(CLIENTS / "lib/pkgconfig")},
    ).stdout.split()
    subprocess.run(
        ["cc", "-o", program, EXAMPLES / "first-subscriber.c", *flags, f"-Wl,-rpath,{CLIENTS / 'lib'}"], check=True
    )
    return program


@pytest.fixture(scope="session")
def swift_program() -> Path:
    """A package of its own that uses the library, as anybody's would."""
    swift = shutil.which("swift")
    if swift is None:
        pytest.skip("there is no swift in PATH")
    package, scratch = EXAMPLES / "first-subscriber", ROOT / ".build/examples"
    command = [swift, "build", "--product", "first-subscriber", "--package-path", package, "--scratch-path", scratch]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return scratch / "debug/first-subscriber"


@pytest.fixture(params=["c", "swift"])
def program(request: pytest.FixtureRequest) -> Path:
    found: Path = request.getfixturevalue(f"{request.param}_program")
    return found


def test_no_agent(program: Path, tmp_path: Path) -> None:
    done = subprocess.run(
        [program], capture_output=True, text=True, timeout=10, check=False,
        env={**os.environ, "MIFD_RUNTIME_DIR": str(tmp_path)},
    )  # fmt: skip
    assert (done.returncode, done.stdout) == (1, "")
    [line] = done.stderr.splitlines()
    assert line.startswith("first-subscriber: ")


def test_first_subscriber(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, program: Path) -> None:
    """What exists, top down, and it ends; with -f the news of an uplink that comes, an address and an uplink that go."""
    variable = f"MIFD_RUNTIME_DIR={agent.directory}"

    def told() -> str:
        return lab.host.run("env", variable, str(program))

    lab.configure_by_hand(up0)
    wait_until(lambda: up0.host4 in told() and up0.host6 in told(), "the agent knows the addresses")
    lines = told().splitlines()
    index = lab.host.index(up0.interface)
    assert f"interface {index} {up0.interface}" in lines
    [domain] = re.findall(rf"^domain (\d+) \S+ on {up0.interface}$", "\n".join(lines), re.MULTILINE)
    for address in (f"{up0.host4}/24", f"{up0.host6}/64"):
        assert f"address {address} in domain {domain}" in lines
    # Top down: nothing is told before what it belongs to.
    of_interface = lines.index(f"interface {index} {up0.interface}")
    of_domain = next(n for n, line in enumerate(lines) if line.startswith(f"domain {domain} "))
    assert of_interface < of_domain < lines.index(f"address {up0.host4}/24 in domain {domain}")

    output = lab.record.directory / "subscriber.txt"
    follower = lab.spawn(lab.host, "follower", "env", variable, str(program), "-f", stdout=output)

    def soon(line: str) -> Callable[[], bool]:
        return lambda: output.exists() and line in output.read_text().splitlines()

    wait_until(soon(f"address {up0.host6}/64 in domain {domain}"), "the follower is told what exists")
    lab.configure_by_hand(up1)
    wait_until(lambda: f"address {up1.host4}/24 in domain " in output.read_text(), "the other uplink is told")
    lab.host.ip(f"addr del {up0.host4}/24 dev {up0.interface}")
    wait_until(soon(f"no address {up0.host4} in domain {domain}"), "the address goes")
    gone = lab.host.index(up1.interface)
    lab.unplug(up1)
    wait_until(soon(f"no interface {gone}"), "the other uplink goes")
    assert follower.running
