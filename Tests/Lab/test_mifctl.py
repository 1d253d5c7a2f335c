"""The command line against a living agent: what a person sees is what subscribers are told.

MIFCTL names the program."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest

from labkit import daemons
from labkit.agent import Agent
from labkit.mif_client import Mif
from labkit.processes import wait_until
from labkit.story import MifEar, Tdb, tell
from labkit.topology import DNS4, DNS6, PEER4, Lab, Uplink
from labkit.trigger_client import Kind, Verb

MIFCTL = os.environ.get("MIFCTL", "")
pytestmark = pytest.mark.skipif(not MIFCTL, reason="MIFCTL is not set: the path of mifctl")


def mifctl(agent: Agent, *arguments: str) -> str:
    command = [MIFCTL, "--runtime-dir", str(agent.directory), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)
    assert done.returncode == 0, done.stderr
    return done.stdout


def objects(output: Path) -> list[dict[str, Any]]:
    """One JSON object a line; a line that is being written is not one yet."""
    return [json.loads(line) for line in output.read_text().split("\n")[:-1]]


def test_monitor_and_lists(lab: Lab, up0: Uplink, agent: Agent, tdb: Tdb, mif: MifEar) -> None:
    """Uplinks come, an upstream dies, a link goes: the monitor has an object for each, the lists show what stands."""
    output = lab.record.directory / "monitor.json"
    monitor = lab.spawn(
        lab.host, "monitor", MIFCTL, "--runtime-dir", str(agent.directory), "monitor", "--json", stdout=output
    )

    def seen(what: str, test: Callable[[dict[str, Any]], bool]) -> None:
        wait_until(lambda: any(test(each) for each in objects(output)), f"the monitor says: {what}")

    seen("what exists is complete", lambda o: (o["event"], o["change"]) == ("agent", "complete"))
    daemons.radvd(lab, up0)
    daemons.dnsmasq(lab, up0)
    daemons.dhclient(lab, up0)
    [address] = lab.host.addresses("up0", 4)
    seen("a new PvD", lambda o: (o["event"], o["change"]) == ("pvd", "new") and "up0" in json.dumps(o))
    seen("the address of the lease", lambda o: o["event"] == "address" and address in json.dumps(o))
    mif.expect(kind=Mif.ADDRESS, ip=address)
    shown = mifctl(agent, "pvds")
    for word in (address, up0.slaac, DNS4, DNS6, daemons.DOMAIN):
        assert word in shown
    interfaces = mifctl(agent, "interfaces")
    assert all(name in interfaces for name in ("lo", "up0", "up1"))

    lab.cut(up0)
    lab.host.run("ping", "-c", "1", "-W", "1", "-I", address, PEER4, check=False)
    told = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD)
    seen(
        "the peer is unreachable", lambda o: o["event"] == "trigger" and o["change"] == "new" and PEER4 in json.dumps(o)
    )
    assert told.ips == (address, PEER4)
    triggers = mifctl(agent, "triggers")
    assert PEER4 in triggers and address in triggers
    lab.unplug(up0)
    seen("up0 is gone", lambda o: (o["event"], o["change"]) == ("interface", "gone") and "up0" in json.dumps(o))

    known = set(mif.client.statistics())
    counted = {line.split()[0] for line in mifctl(agent, "stats").splitlines() if line.split()}
    assert known <= counted, f"stats lacks {sorted(known - counted)}"
    monitor.signal(SIGINT)
    monitor.wait()
    for each in objects(output):
        assert each["time_ns"] > 0 and each["change"] in {"exists", "new", "changed", "gone", "connected", "complete"}
        tell(f"     {each['time']} {each['event']} {each['change']}")


def test_no_agent(tmp_path: Path) -> None:
    """One line that says where it looked, exit 1."""
    command = [MIFCTL, "--runtime-dir", str(tmp_path), "interfaces"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1 and str(tmp_path) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_usage() -> None:
    done = subprocess.run([MIFCTL, "no-such-command"], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2
