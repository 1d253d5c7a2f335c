"""Links, carriers, addresses, routes and gateways that come and go, in the kernel of the lab's host."""

import socket
from pathlib import Path

import pytest

from labkit import advertise, daemons
from labkit.advertise import RouterAdvertisement
from labkit.agent import Agent
from labkit.mif_client import CARRIER, UP, Info, Mif, MifClient
from labkit.processes import wait_until
from labkit.story import MifEar, Tdb, eventually, tell
from labkit.topology import DNS6, PEER4, PEER6, Lab, Uplink
from labkit.trigger_client import Kind, Reason, TriggerClient, Verb


def established(lab: Lab, uplink: Uplink, tdb: Tdb) -> None:
    """Both families, by hand."""
    lab.configure_by_hand(uplink)
    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (uplink.host4,), "interface": uplink.interface},
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (uplink.host6,), "interface": uplink.interface},
    )
    tdb.mark()


def test_what_exists_at_start(lab: Lab, tdb: Tdb, mif: MifEar) -> None:
    """A subscriber that comes is told what there is: every interface, once, to both protocols."""
    names = {"lo", "up0", "up1"}
    assert {each.name for each in mif.client.interfaces.values()} == names
    assert all(told.snapshot for told in mif.client.log)
    index = lab.host.index("up0")
    assert mif.client.interfaces[index].flags & (UP | CARRIER) == UP | CARRIER
    added = tdb.standing(type=Kind.IF_ADDED)
    assert {trigger.interface for trigger in added} == names and len(added) == len(names)
    assert not tdb.standing(type=Kind.CONN_ESTABLISHED) and not tdb.standing(type=Kind.IF_REMOVED)


def test_established_step_by_step(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """CONN_ESTABLISHED wants carrier, address and default route, and goes with any of them."""
    lab.host.ip(f"addr add {up0.host4}/24 dev up0")
    tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=(up0.host4,))
    tdb.none(type=Kind.CONN_ESTABLISHED)
    lab.host.ip(f"route add default via {up0.router4} dev up0")
    first = tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.host4,), interface="up0")
    lab.host.ip("route del default dev up0")
    _, lost = tdb.expect_all(
        {"cause": Verb.DELETE, "type": Kind.CONN_ESTABLISHED, "id": first.id},
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (up0.host4,)},
    )
    tdb.none(type=Kind.IF_ADDRCHANGED)
    lab.host.ip(f"route add default via {up0.router4} dev up0")
    back, _ = tdb.expect_all(
        {"cause": Verb.DELETE, "type": Kind.CONN_LOST, "id": lost.id},
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (up0.host4,)},
    )
    assert back.origin is not None and back.origin.reason == Reason.CONTRADICTED


def test_carrier_lost(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """The cable's other end goes: the paths are lost, the addresses stay."""
    established(lab, up0, tdb)
    mif.mark()
    lab.carrier(up0, False)
    tell("net  up0 loses its carrier")
    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (up0.host4,), "interface": "up0"},
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (up0.host6,), "interface": "up0"},
    )
    changed = mif.expect(kind=Mif.INTERFACE, name="up0")
    assert changed.flags & UP and not changed.flags & CARRIER
    assert set(lab.host.addresses("up0")) == {up0.host4, up0.host6}
    assert not [
        trigger for trigger in tdb.client.log if trigger.cause == Verb.DELETE and trigger.type == Kind.IF_ADDRCHANGED
    ]
    lab.carrier(up0, True)
    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (up0.host4,)},
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (up0.host6,)},
    )


def test_lost_before_the_address_goes(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """`ip link set down` takes the IPv6 addresses with it; who listens hears first that the path is lost."""
    established(lab, up0, tdb)
    start = tdb.place
    lab.host.ip("link set up0 down")
    tell("net  up0 is set down")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(up0.host6,))
    tdb.expect(cause=Verb.DELETE, type=Kind.IF_ADDRCHANGED, ips=(up0.host6,))
    tdb.place = start
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(up0.host4,))
    assert lab.host.addresses("up0") == [up0.host4]
    tdb.client.barrier()
    assert not tdb.standing(type=Kind.CONN_ESTABLISHED)
    assert [trigger.ips for trigger in tdb.standing(type=Kind.IF_ADDRCHANGED, interface="up0")] == [(up0.host4,)]


def test_address_alone_goes(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """An address is taken off: the path that it was the source of is lost before it is told as gone."""
    established(lab, up0, tdb)
    lab.host.ip(f"addr del {up0.host4}/24 dev up0")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(up0.host4,))
    tdb.expect(cause=Verb.DELETE, type=Kind.IF_ADDRCHANGED, ips=(up0.host4,))
    tdb.none(ips=(up0.host6,))


def test_link_deleted(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """The draft's order: addresses and elements, then their PvDs, then the interface."""
    daemons.radvd(lab, up0)
    daemons.dnsmasq(lab, up0)
    daemons.dhclient(lab, up0)
    index = lab.host.index("up0")
    address = lab.host.addresses("up0", 4)[0]
    mif.expect_all(
        {"kind": Mif.ADDRESS, "interface": index, "ip": up0.slaac},
        {"kind": Mif.ADDRESS, "interface": index, "ip": address},
    )
    mif.mark()
    pvds = mif.client.pvds_on(index)
    elements = [key for key in mif.client.elements if key[0] in {pvd.pvd for pvd in pvds}]
    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (address,)},
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (up0.slaac,)},
    )
    tdb.mark()
    existence = tdb.standing(type=Kind.IF_ADDED, interface="up0")[0]
    before = mif.place
    lab.unplug(up0)
    tell("net  up0 is deleted")

    mif.expect(kind=Mif.NO_INTERFACE, interface=index)
    going = (Mif.NO_ADDRESS, Mif.NO_ELEMENT, Mif.NO_PVD, Mif.NO_INTERFACE)
    told = [each for each in mif.client.log[before:] if each.kind in going]
    assert told[-1].kind == Mif.NO_INTERFACE
    assert {each.pvd for each in told if each.kind == Mif.NO_PVD} == {pvd.pvd for pvd in pvds}
    assert {(each.pvd, each.element) for each in told if each.kind == Mif.NO_ELEMENT} == set(elements)
    for pvd in pvds:
        of_this = [each.kind for each in told if each.pvd == pvd.pvd]
        assert of_this[-1] == Mif.NO_PVD and of_this.count(Mif.NO_PVD) == 1
        assert Mif.NO_ADDRESS in of_this and Mif.NO_ELEMENT in of_this
    assert index not in mif.client.interfaces

    removed = tdb.expect(cause=Verb.ADD, type=Kind.IF_REMOVED, interface="up0")
    assert set(removed.ips) >= {address, up0.slaac}
    tdb.mark()
    order = [(trigger.cause, trigger.type, trigger.ips) for trigger in tdb.client.log]
    for ip in (address, up0.slaac):
        assert order.index((Verb.ADD, Kind.CONN_LOST, (ip,))) < order.index((Verb.DELETE, Kind.IF_ADDRCHANGED, (ip,)))
        assert order.index((Verb.DELETE, Kind.IF_ADDRCHANGED, (ip,))) < order.index((Verb.DELETE, Kind.IF_ADDED, ()))
    assert existence.id not in tdb.client.standing

    lab.plug(up0)
    tell("net  up0 is back")
    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.IF_ADDED, "interface": "up0"},
        {"cause": Verb.DELETE, "type": Kind.IF_REMOVED, "id": removed.id},
    )
    mif.expect(kind=Mif.INTERFACE, name="up0", interface=lab.host.index("up0"))


def test_link_comes_and_goes_quickly(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """Deleted and made again a number of times: the rules of order hold at each step, and the end is what is there."""
    for _ in range(20):
        lab.unplug(up0)
        lab.plug(up0)
    index = lab.host.index("up0")
    lab.number_router(up0)
    established(lab, up0, tdb)
    mif.client.barrier()
    assert {each.name for each in mif.client.interfaces.values()} == {"lo", "up0", "up1"}
    assert index in mif.client.interfaces
    existing = [trigger for trigger in tdb.standing(type=Kind.IF_ADDED) if trigger.interface == "up0"]
    assert len(existing) == 1 and existing[0].origin is not None and existing[0].origin.interface == index


def test_interface_renamed(lab: Lab, tdb: Tdb, mif: MifEar) -> None:
    index = lab.host.index("up1")
    lab.host.ip("link set up1 down", "link set up1 name wan1", "link set wan1 up")
    mif.expect(kind=Mif.INTERFACE, interface=index, name="wan1")
    mif.none(kind=Mif.NO_INTERFACE)


@pytest.mark.configuration("hold-time = 1\n")
def test_lost_and_removed_expire(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """CONN_LOST and IF_REMOVED are news for the hold time, and then nothing is known any more."""
    established(lab, up0, tdb)
    lab.unplug(up0)
    start = tdb.place
    wanted = [(Kind.CONN_LOST, (up0.host4,)), (Kind.CONN_LOST, (up0.host6,))]
    for kind, ips in wanted:
        tdb.place = start
        lost = tdb.expect(cause=Verb.ADD, type=kind, ips=ips)
        gone = tdb.expect(cause=Verb.DELETE, id=lost.id)
        assert gone.origin is not None and gone.origin.reason in (Reason.EXPIRED, Reason.CONTRADICTED)
    tdb.place = start
    removed = tdb.expect(cause=Verb.ADD, type=Kind.IF_REMOVED, interface="up0")
    gone = tdb.expect(cause=Verb.DELETE, id=removed.id)
    assert gone.origin is not None and gone.origin.reason == Reason.EXPIRED
    tdb.client.barrier()
    assert not tdb.standing(interface="up0")


def await_failure(lab: Lab, family: socket.AddressFamily, destination: str, gateway: str) -> None:
    """Sends until the kernel's neighbour discovery has given the gateway up: the lab's own proof of it."""
    with lab.host.socket(family, socket.SOCK_DGRAM) as opened:

        def failed() -> bool:
            listing = lab.host.show("neigh", "show", "dev", "up0")
            if any(line.startswith(gateway + " ") and "FAILED" in line for line in listing.splitlines()):
                return True
            try:
                opened.sendto(b"anybody?", (destination, 9))
            except OSError:
                pass  # no route to host: said once the gateway has failed
            return False

        wait_until(failed, f"neighbour discovery gives up on {gateway}", 8, every=0.05)


def test_gateway_stops_answering(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """Routes that nobody takes back: the kernel finds the gateway dead by neighbour discovery, and the path is lost."""
    for family in ("ipv4", "ipv6"):
        lab.host.sysctl(
            {
                f"{family}/neigh/up0/base_reachable_time_ms": 300,
                f"{family}/neigh/up0/delay_first_probe_time": 1,
                f"{family}/neigh/up0/retrans_time_ms": 100,
                f"{family}/neigh/up0/ucast_solicit": 1,
                f"{family}/neigh/up0/mcast_solicit": 1,
            }
        )
    established(lab, up0, tdb)
    lab.reaches(up0, "10.9.0.2")
    lab.reaches(up0, "2001:db8:9::2")
    tdb.mark()
    lab.r1.ip("addr flush dev host0")
    tell("net  r1 has no addresses any more")
    await_failure(lab, socket.AF_INET, "10.9.0.2", up0.router4)
    await_failure(lab, socket.AF_INET6, "2001:db8:9::2", up0.router_link_local)
    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (up0.host4,)},
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (up0.host6,)},
    )
    assert "default" in lab.host.show("route") and "default" in lab.host.show("-6", "route")
    tdb.none(type=Kind.IF_ADDRCHANGED)
    # It answers again: the path is back.
    lab.r1.ip(f"addr add {up0.router4}/24 dev host0")
    lab.host.run("ping", "-n", "-c", "3", "-i", "0.2", "-W", "0.5", up0.router4, check=False)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.host4,))


def test_agent_starts_into_a_living_network(lab: Lab, up0: Uplink, binary: Path) -> None:
    """What was there before the agent is told as it stands, not as change."""
    lab.configure_by_hand(up0)
    agent = Agent(lab, binary)
    tdb = Tdb(TriggerClient(agent.directory))
    mif = MifEar(MifClient(agent.directory))
    tdb.client.register()
    mif.client.follow()
    wanted = {(up0.host4,), (up0.host6,)}
    wait_until(lambda: {t.ips for t in tdb.standing(type=Kind.CONN_ESTABLISHED)} == wanted, "both paths are told")
    assert wanted <= {t.ips for t in tdb.standing(type=Kind.IF_ADDRCHANGED)}
    assert not tdb.standing(type=Kind.CONN_LOST) and not tdb.standing(type=Kind.IF_REMOVED)
    wait_until(lambda: _addresses(mif) >= {up0.host4, up0.host6}, "the addresses are announced")
    # A router is heard for the first time: what was by hand stays what it was.
    with lab.r1.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        options = [advertise.rdnss("2001:db8:9::53")]
        advertise.send(raw, lab.r1.index("host0"), RouterAdvertisement(options=options).wire)
    mif.expect(kind=Mif.ELEMENT, element=1)
    tdb.none(cause=Verb.DELETE)


def test_agent_starts_between_advertisements(lab: Lab, up0: Uplink, binary: Path) -> None:
    """What the kernel has from a router is matched to the router's PvD as soon as it is asked, not with its next
    advertisement of its own, which may take half an hour."""
    daemons.radvd(lab, up0, interval=1800)
    lab.host.run("ip", "link", "set", "up0", "down")  # Up again, the kernel solicits.
    lab.host.run("ip", "link", "set", "up0", "up")
    wait_until(lambda: up0.slaac in lab.host.addresses("up0", 6), "the kernel has an address", 10)
    for _ in range(2):
        agent = Agent(lab, binary)
        mif = MifEar(MifClient(agent.directory))
        mif.client.follow()
        pvd = mif.expect(kind=Mif.PVD, name=f"up0/ra/{up0.router_link_local}", seconds=10)
        mif.expect(kind=Mif.ADDRESS, pvd=pvd.pvd, ip=up0.slaac)
        assert mif.client.values(pvd.pvd, 1, Info.DNS_SERVERS) == [DNS6]
        # None if one of radvd's first three came just then.
        assert mif.client.statistics()["keeper.solicitations-sent"] <= 1
        agent.stop()


def test_forwarding_host(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """A kernel that forwards believes no advertisements (accept_ra 1): the PvD is announced, without an address."""
    lab.host.sysctl({"ipv6/conf/all/forwarding": 1})
    daemons.radvd(lab, up0)
    pvd = mif.expect(kind=Mif.PVD, name=f"up0/ra/{up0.router_link_local}", seconds=10)
    mif.expect(kind=Mif.ELEMENT, pvd=pvd.pvd, element=1)
    assert mif.client.values(pvd.pvd, 1, Info.DNS_SERVERS) == [DNS6]
    assert not lab.host.addresses("up0", 6)
    mif.none(kind=Mif.ADDRESS)
    tdb.none(type=Kind.CONN_ESTABLISHED)


@pytest.mark.lab(shared_link=True)
@pytest.mark.parametrize("family", [4, 6])
def test_redirected(family: int, lab: Lab, tdb: Tdb, mif: MifEar) -> None:
    """A router's own redirects, towards the other router on the link: the kernel follows them, no PvD changes."""
    one, other = lab.uplinks
    lab.r1.sysctl({"ipv4/conf/all/send_redirects": 1, "ipv4/conf/host0/send_redirects": 1})
    lab.configure_by_hand(one)
    lab.r2.ip("addr add 10.1.0.2/24 dev host0", "addr add 2001:db8:1::2/64 dev host0")
    path = (one.host4, PEER4) if family == 4 else (one.host6, PEER6)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=path[:1])
    eventually(lambda: _has_address(mif, path[0]))
    lab.reaches(one, path[1])
    tdb.mark()
    mif.mark()
    # For the peer the first router sends through the second one: over the link that packets come from.
    lab.core.ip(f"route replace {one.prefix6}/64 via 2001:db8:ff:2::1", "route replace 10.1.0.0/24 via 10.255.2.1")
    if family == 4:
        lab.r1.ip(f"route add {PEER4} via 10.1.0.2 dev host0")
    else:
        lab.r1.ip(f"route add {PEER6} via {other.router_link_local} dev host0")

    def redirected() -> None:
        lab.host.run("ping", "-n", "-c", "1", "-W", "0.3", "-I", path[0], path[1], check=False)
        assert mif.client.statistics().get("redirect.heard", 0) >= 1

    eventually(redirected, 10)
    assert mif.client.statistics().get("redirect.not-from-first-hop", 0) == 0
    mif.none(kind=lambda kind: kind != Mif.ADDRESS)
    tdb.none()


def _has_address(mif: MifEar, address: str) -> None:
    assert address in _addresses(mif)


def _addresses(mif: MifEar) -> set[str]:
    mif.client.drain()
    return {ip for _, ip in mif.client.addresses}
