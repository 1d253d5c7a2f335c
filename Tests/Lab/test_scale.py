"""A host of many interfaces, addresses and routes: all of it is told, and what concerns nobody is not."""

import ipaddress
from collections.abc import Iterator
from pathlib import Path

import pytest

from labkit.agent import Agent
from labkit.mif_client import MifClient
from labkit.story import tell
from labkit.topology import Lab, Uplink
from labkit.trigger_client import Kind, TriggerClient, Verb
from mifbench.flood import counters
from mifbench.scale.host import BigHost, Size

SIZE = Size(interfaces=200, addresses=1_000, triggers=0, routes=20_000)


def standing(lab: Lab) -> set[tuple[str, str]]:
    """Interface and address of all that the kernel has, but for the host's own."""
    lines = [line.split() for line in lab.host.show("-o", "addr", "show").splitlines()]
    found = {(words[1].split("@")[0], words[3].split("/")[0]) for words in lines}
    return {(name, ip) for name, ip in found if not ipaddress.ip_address(ip).is_loopback}


@pytest.fixture
def large(lab: Lab) -> Iterator[BigHost]:
    host = BigHost(lab)
    yield host
    host.close()


@pytest.mark.lab(uplinks=1)
def test_a_large_host_is_told_whole(lab: Lab, up0: Uplink, large: BigHost, binary: Path) -> None:
    """Everything that is there at the start; later a default route in the midst of thousands that are none."""
    large.grow(SIZE)
    lab.host.ip(f"addr add {up0.host4}/24 dev up0")
    tell(f"net  {SIZE.interfaces} interfaces, {SIZE.addresses} addresses, {SIZE.routes} routes")
    there = standing(lab)
    assert len(there) >= SIZE.addresses

    agent = Agent(lab, binary)
    tdb = TriggerClient(agent.directory)
    told = tdb.register()
    tell(f"tdb  {len(told)} triggers")
    added = [trigger.interface for trigger in told if trigger.type == Kind.IF_ADDED]
    assert len(added) == len(set(added)) == SIZE.interfaces
    usable = {(trigger.interface, trigger.ips[0]) for trigger in told if trigger.type == Kind.IF_ADDRCHANGED}
    assert usable == there

    mif = MifClient(agent.directory)
    mif.follow(15)
    tell(f"mif  {len(mif.log)} announcements")
    assert len(mif.interfaces) == SIZE.interfaces
    names = {index: each.name for index, each in mif.interfaces.items()}
    in_domains = {(names[each.interface], each.ip) for each in mif.addresses.values()}
    assert in_domains == {(name, ip) for name, ip in there if not ipaddress.ip_address(ip).is_link_local}

    before, heard = counters(agent.directory), len(tdb.log)
    large.add_routes(2_000)
    lab.host.ip(f"route add default via {up0.router4} dev up0")
    large.add_routes(2_000)
    large.remove_routes(4_000)
    while not any(trigger.type == Kind.CONN_ESTABLISHED for trigger in tdb.log[heard:]):
        assert tdb.pump(5)
    tdb.barrier()
    news = [(trigger.cause, trigger.type, trigger.ips) for trigger in tdb.log[heard:]]
    assert news == [(Verb.ADD, Kind.CONN_ESTABLISHED, (up0.host4,))]
    after = counters(agent.directory)
    assert after["kernel.overruns"] == before["kernel.overruns"]
    # The kernel keeps them from the agent.
    assert after["kernel.routes.skipped"] == before["kernel.routes.skipped"]
    mif.close()
    tdb.close()
