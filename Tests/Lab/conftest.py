"""Fixtures of the end-to-end tests. `MIFD_AGENTS=path[:path]` names the agents; each test runs against each of them.

A test marked `lab(...)` gets a lab laid out with these arguments; labs are made in a tenth of a second, so each test
has its own.
"""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[2] / "tools"))
sys.dont_write_bytecode = True

from labkit import story  # noqa: E402
from labkit.agent import Agent, binaries  # noqa: E402
from labkit.mif_client import MifClient  # noqa: E402
from labkit.path import FAMILIES  # noqa: E402
from labkit.path import Path as NetworkPath  # noqa: E402
from labkit.story import MifEar, Tdb  # noqa: E402
from labkit.topology import Lab, Uplink, end_by_signals  # noqa: E402
from labkit.trigger_client import TriggerClient  # noqa: E402

FAILED = pytest.StashKey[bool]()


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "lab(**arguments): how the test's lab is laid out")
    config.addinivalue_line("markers", "last_build: the last of the agents is enough")
    config.addinivalue_line("markers", "configuration(text): the agent's configuration file")
    end_by_signals()


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "binary" in metafunc.fixturenames:
        found = binaries()
        if metafunc.definition.get_closest_marker("last_build"):
            found = found[-1:]
        names = [path.parent.name + "/" + path.name for path in found]
        labels = [name if names.count(name) == 1 else str(path) for name, path in zip(names, found, strict=True)]
        metafunc.parametrize("binary", found, ids=labels, scope="session")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    needs = [item for item in items if {"lab", "quiet", "binary"} & set(getattr(item, "fixturenames", ()))]
    if os.geteuid() != 0:
        for item in needs:
            item.add_marker(pytest.mark.skip(reason="the lab makes network namespaces: run as root"))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[None]:
    outcome = yield
    report = outcome.get_result()  # type: ignore[attr-defined]
    if report.failed:
        item.stash[FAILED] = True
        lab = getattr(item, "funcargs", {}).get("lab")
        if isinstance(lab, Lab) and lab.record.directory.exists():
            for name, text in lab.logs().items():
                report.sections.append((f"log of {name}", text[-4000:]))
            agent = item.funcargs.get("agent")  # type: ignore[attr-defined]
            if isinstance(agent, Agent) and agent.child.running:
                report.sections.append(("the agent's counters", counters(agent)))
            report.sections.append(
                ("the host", lab.host.show("addr") + lab.host.show("route") + lab.host.show("-6", "route"))
            )


def counters(agent: Agent) -> str:
    try:
        client = MifClient(agent.directory)
        found = client.statistics()
        client.close()
    except (OSError, AssertionError) as error:
        return f"none: {error}"
    return "  ".join(f"{name} {value}" for name, value in found.items() if value)


@pytest.fixture
def lab(request: pytest.FixtureRequest) -> Iterator[Lab]:
    marker = request.node.get_closest_marker("lab")
    story.begin(request.node.name)
    with Lab(**(marker.kwargs if marker else {})) as laid_out:
        yield laid_out


@pytest.fixture
def up0(lab: Lab) -> Uplink:
    return lab.uplinks[0]


@pytest.fixture
def up1(lab: Lab) -> Uplink:
    return lab.uplinks[1]


@pytest.fixture(params=FAMILIES)
def path(request: pytest.FixtureRequest, lab: Lab, up0: Uplink) -> NetworkPath:
    """Configured by hand in both families and proven, for each family in turn."""
    lab.configure_by_hand(up0)
    found = NetworkPath(lab, up0, request.param)
    lab.reaches(up0, found.peer)
    return found


@pytest.fixture
def agent(request: pytest.FixtureRequest, lab: Lab, binary: Path) -> Agent:
    marker = request.node.get_closest_marker("configuration")
    if marker is None:
        return Agent(lab, binary)
    file = lab.record.directory / "mifd.conf"
    file.write_text(marker.args[0])
    return Agent(lab, binary, "--config", str(file))


@pytest.fixture
def tdb(agent: Agent) -> Iterator[Tdb]:
    """A subscriber of the trigger database with all extensions, everything replayed."""
    client = TriggerClient(agent.directory)
    client.register()
    ear = Tdb(client)
    ear.mark()
    yield ear
    client.close()


@pytest.fixture
def mif(agent: Agent) -> Iterator[MifEar]:
    """A subscriber of the MIF API that follows everything."""
    client = MifClient(agent.directory)
    client.follow()
    ear = MifEar(client)
    ear.mark()
    yield ear
    client.close()


@pytest.fixture(scope="module")
def quiet(binary: Path) -> Iterator[Agent]:
    """An agent in a lab where nothing happens, shared by a module's tests of the protocols themselves."""
    with Lab(uplinks=1) as laid_out:
        yield Agent(laid_out, binary)
