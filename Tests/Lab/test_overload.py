"""More than the agent can take at once: what the kernel dropped is made good, tables stay within their bounds."""

import socket
import time
from random import Random
from signal import SIGCONT, SIGSTOP

import pytest

from labkit import advertise, packets
from labkit.advertise import RouterAdvertisement
from labkit.agent import Agent
from labkit.mif_client import Element, Info, Mif
from labkit.packets import Wire
from labkit.processes import wait_until
from labkit.story import MifEar, Tdb, eventually, tell
from labkit.topology import DNS6, Lab, Uplink
from labkit.trigger_client import Kind, Verb

ROOMY = "subscriber-queue = 8388608\n"
"""A subscriber written in Python falls behind at these rates; that is another test's subject."""


@pytest.mark.configuration(ROOMY)
def test_resync(lab: Lab, up0: Uplink, agent: Agent, tdb: Tdb, mif: MifEar) -> None:
    """The agent sleeps through more of the kernel's news than a socket holds: when it wakes it tells the difference
    between then and now, and nothing of what was heard on the wire is lost."""
    with lab.r1.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        options = [advertise.prefix(f"{up0.prefix6}/64"), advertise.rdnss(DNS6)]
        advertise.send(raw, lab.r1.index("host0"), RouterAdvertisement(options=options).wire)
    pvd = mif.expect(kind=Mif.PVD)
    mif.expect(kind=Mif.ADDRESS, ip=up0.slaac)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.slaac,))
    lab.configure_by_hand(up0, "4")
    first = tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.host4,))
    lab.host.ip("addr add 192.0.2.1/32 dev up1")
    tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=("192.0.2.1",))
    tdb.mark()
    mif.mark()

    agent.child.signal(SIGSTOP)
    try:
        passing = [f"192.0.2.{n}/32" for n in range(10, 110)]
        for _ in range(36):
            lab.host.ip(*(f"addr add {each} dev up1" for each in passing))
            lab.host.ip(*(f"addr del {each} dev up1" for each in passing))
        lab.host.ip("addr del 192.0.2.1/32 dev up1", "addr add 192.0.2.2/32 dev up1")
    finally:
        agent.child.signal(SIGCONT)
    tell("net  7200 changes while the agent was stopped")

    tdb.expect_all(
        {"cause": Verb.DELETE, "type": Kind.IF_ADDRCHANGED, "ips": ("192.0.2.1",)},
        {"cause": Verb.ADD, "type": Kind.IF_ADDRCHANGED, "ips": ("192.0.2.2",)},
    )
    tdb.none(ips=lambda ips: bool(ips) and ips[0] in (up0.host4, up0.slaac))
    assert first.id in tdb.client.standing
    held = {ip for trigger in tdb.standing(type=Kind.IF_ADDRCHANGED, interface="up1") for ip in trigger.ips}
    assert {ip for ip in held if not ip.startswith("fe80:")} == {"192.0.2.2"}
    mif.none(kind=lambda kind: kind in (Mif.NO_PVD, Mif.NO_ELEMENT, Mif.NO_INTERFACE), interface=pvd.interface)
    assert mif.client.values(pvd.pvd, Element.RA, Info.DNS_SERVERS) == [DNS6]
    counters = mif.client.statistics()
    tell(f"     { ({name: n for name, n in counters.items() if n and name.startswith('kernel.')}) }")


@pytest.mark.configuration("control-ring = 1048576\n")
def test_more_than_a_look(lab: Lab, up0: Uplink, agent: Agent, mif: MifEar) -> None:
    """More advertisements wait than the agent takes at a look, and nothing comes behind them: all are heard."""
    mif.mark()
    before = mif.client.statistics()["capture.control.packets"]
    agent.child.signal(SIGSTOP)
    try:
        with lab.r1.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
            wire = RouterAdvertisement(options=[advertise.prefix(f"{up0.prefix6}/64")]).wire
            for _ in range(400):
                advertise.send(raw, lab.r1.index("host0"), wire)
    finally:
        agent.child.signal(SIGCONT)
    # A question would have it look once more.
    time.sleep(1)
    counters = mif.client.statistics()
    assert counters["capture.control.packets"] - before == 400
    assert counters["capture.control.dropped"] == 0


@pytest.mark.configuration(ROOMY)
def test_many_addresses(lab: Lab, tdb: Tdb, mif: MifEar) -> None:
    """A thousand addresses come and go: each is told once, in both directions."""
    many = [f"10.77.{n // 250}.{n % 250 + 1}" for n in range(1000)]
    lab.host.ip(*(f"addr add {each}/32 dev up1" for each in many))

    def told(verb: Verb) -> set[str]:
        tdb.client.drain()
        return {t.ips[0] for t in tdb.client.log if t.type == Kind.IF_ADDRCHANGED and t.cause == verb}

    wait_until(lambda: told(Verb.ADD) >= set(many), "all thousand are told", 30)
    wait_until(lambda: _drained(mif) >= set(many), "all thousand are announced", 30)
    lab.host.ip(*(f"addr del {each}/32 dev up1" for each in many))
    wait_until(lambda: told(Verb.DELETE) >= set(many), "all thousand are told as gone", 30)
    tdb.none(type=Kind.IF_REMOVED)
    wait_until(lambda: not _drained(mif) & set(many), "all thousand are announced as gone", 30)


def _drained(mif: MifEar) -> set[str]:
    mif.client.drain()
    return {ip for _, ip in mif.client.addresses}


@pytest.mark.configuration(ROOMY)
def test_many_links(lab: Lab, agent: Agent, tdb: Tdb, mif: MifEar) -> None:
    """Two hundred links appear and go, as on a host of containers."""
    before = agent.resident()
    names = [f"v{n}" for n in range(100)]
    lab.host.ip(*(f"link add {name} type veth peer name {name}p" for name in names))
    both = set(names) | {f"{name}p" for name in names}

    def present() -> set[str]:
        mif.client.drain()
        tdb.client.drain()
        return {told.name for told in mif.client.interfaces.values()}

    wait_until(lambda: present() >= both, "all links are announced")
    lab.host.ip(*(f"link del {name}" for name in names))
    wait_until(lambda: not present() & both, "all links are announced as gone")
    tdb.client.barrier()
    assert {t.interface for t in tdb.standing(type=Kind.IF_ADDED)} == {"lo", "up0", "up1"}
    tell(f"     {(agent.resident() - before) / 1024:.0f} KiB more resident")
    assert agent.resident() < before + 2_000_000


@pytest.mark.configuration(ROOMY)
def test_advertisements_without_end(lab: Lab, up0: Uplink, agent: Agent, mif: MifEar, tdb: Tdb) -> None:
    """A million advertisements of routers and prefixes at random, as fast as they can be sent: the agent stays under its
    bound, answers meanwhile, and the PvD of the real router is as it was."""
    rounds = 50
    lab.hide_advertisements()
    out = Wire(lab.r1.socket(socket.AF_PACKET, socket.SOCK_DGRAM), "host0", up0.host_mac)
    honest = RouterAdvertisement(options=[advertise.prefix(f"{up0.prefix6}/64"), advertise.rdnss(DNS6)]).wire
    out.send(packets.advertisement(up0.router_link_local, honest))
    pvd = mif.expect(kind=Mif.PVD)
    before, resident = mif.client.statistics(), agent.resident()
    random = Random(1)
    forged = [
        packets.advertisement(
            f"fe80::{random.getrandbits(16):x}:{random.getrandbits(16):x}:{number:x}:1",
            RouterAdvertisement(options=[advertise.prefix(f"2001:db8:{random.getrandbits(16):x}:{number:x}::/64")]).wire,
        )
        for number in range(20_000)
    ]
    highest, slowest = resident, 0.0
    for _ in range(rounds):
        for packet in forged:
            out.send(packet)
        began = time.monotonic()
        mif.client.barrier()
        slowest = max(slowest, time.monotonic() - began)
        highest = max(highest, agent.resident())
    out.send(packets.advertisement(up0.router_link_local, honest))
    mif.client.barrier()
    after = mif.client.statistics()
    heard = after["ra.heard"] - before["ra.heard"]
    tell(f"     {rounds * len(forged)} sent, {heard} heard, an answer after at most {slowest * 1000:.0f} ms")
    tell(f"     at most {(highest - resident) / 1024:.0f} KiB more resident, {highest / 1024:.0f} KiB in all")
    # Those that found room are heard again each round.
    assert heard > 1000 and after["ra.routers-full"] - before["ra.routers-full"] >= heard - 100 - 20 * rounds
    assert highest < resident + 1_000_000
    assert len(mif.client.pvds) <= 64 and pvd.pvd in mif.client.pvds
    assert mif.client.values(pvd.pvd, Element.RA, Info.DNS_SERVERS) == [DNS6]
    mif.none(kind=Mif.NO_PVD, pvd=pvd.pvd)
    tdb.none(type=Kind.CONN_LOST)


def test_many_routers(lab: Lab, up0: Uplink, agent: Agent, mif: MifEar, tdb: Tdb) -> None:
    """Ten thousand routers that nobody has: a bounded number becomes PvDs, the rest is counted, and the one that was
    there before stays."""
    lab.hide_advertisements()
    out = Wire(lab.r1.socket(socket.AF_PACKET, socket.SOCK_DGRAM), "host0", up0.host_mac)
    honest = RouterAdvertisement(options=[advertise.rdnss(DNS6)]).wire
    out.send(packets.advertisement(up0.router_link_local, honest))
    pvd = mif.expect(kind=Mif.PVD)
    before = agent.resident()
    for number in range(10_000):
        message = RouterAdvertisement(options=[advertise.pvd(f"p{number}.example", advertise.rdnss(DNS6))]).wire
        out.send(packets.advertisement(f"fe80::bad:{number:x}", message))

    def counted() -> None:
        assert mif.client.statistics()["ra.routers-full"] > 100

    eventually(counted)
    mif.client.barrier()
    tell(f"     {len(mif.client.pvds)} PvDs, {(agent.resident() - before) / 1024:.0f} KiB more resident")
    assert len(mif.client.pvds) <= 64 and pvd.pvd in mif.client.pvds
    assert agent.resident() < before + 1_000_000
    assert mif.client.values(pvd.pvd, Element.RA, Info.DNS_SERVERS) == [DNS6]
    tdb.none(type=Kind.CONN_LOST)
