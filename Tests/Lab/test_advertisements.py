"""Router Advertisements: from the router's wire to provisioning domains, elements, addresses and data."""

import socket
from ipaddress import IPv6Address

import pytest

from labkit import advertise, daemons
from labkit.advertise import RouterAdvertisement
from labkit.mif_client import CARRIER, EXPLICIT, Datum, Element, Info, Mif, Prefix, PvdOption, Route, Router, Told
from labkit.processes import wait_until
from labkit.story import MifEar, Tdb, eventually, tell
from labkit.topology import DNS6, Lab, Uplink
from labkit.trigger_client import Kind, Verb


def send(lab: Lab, uplink: Uplink, advertisement: RouterAdvertisement) -> None:
    router = lab.router(uplink)
    with router.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        advertise.send(raw, router.index("host0"), advertisement.wire)
    tell(f"net  {uplink.router} advertises, lifetime {advertisement.lifetime} s")


def only(data: list[Datum], info: int) -> list[object]:
    return [datum.value for datum in data if datum.info == info]


def test_radvd(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """An advertisement makes a PvD of its router, with an RA element, and the address that the kernel makes of it."""
    daemons.radvd(lab, up0)
    index = lab.host.index("up0")
    pvd = mif.expect(kind=Mif.PVD, interface=index)
    assert "up0" in pvd.name and not pvd.flags & EXPLICIT
    mif.expect_all(
        {"kind": Mif.ELEMENT, "pvd": pvd.pvd, "element": Element.RA},
        {"kind": Mif.ADDRESS, "pvd": pvd.pvd, "ip": up0.slaac, "prefix": 64},
    )
    data = mif.client.data(pvd.pvd, Element.RA)
    assert only(data, Info.DNS_SERVERS) == [DNS6]
    assert only(data, Info.SEARCH_LIST) == [daemons.DOMAIN]
    assert only(data, Info.MTU) == [1480]
    assert only(data, Info.HOP_LIMIT) == [64]
    assert only(data, Info.PREFIXES) == [Prefix(f"{up0.prefix6}/64", 0xC0)]
    assert only(data, Info.DEFAULT_ROUTER) == [Router(up0.router_link_local, 0)]
    assert only(data, Info.ROUTES) == [Route("2001:db8:9::/48", up0.router_link_local, 0)]
    lifetimes = {datum.info: datum.valid for datum in data}
    for info, whole in {Info.DNS_SERVERS: 1200, Info.PREFIXES: 3600, Info.DEFAULT_ROUTER: 1800}.items():
        assert whole - 10 <= lifetimes[info] <= whole
    assert mif.client.data(pvd.pvd, Element.DHCPV4) == []
    assert only(mif.client.data(pvd.pvd, Element.RA, Info.DNS_SERVERS), Info.DNS_SERVERS) == [DNS6]

    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.IF_ADDRCHANGED, "ips": (up0.slaac,), "interface": "up0"},
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (up0.slaac,), "interface": "up0"},
    )
    lab.reaches(up0, "2001:db8:9::2")


def test_repeated_advertisement(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """The same advertisement again renews lifetimes and is no other news; none at all to the trigger database."""
    send(lab, up0, RouterAdvertisement(options=[advertise.prefix(f"{up0.prefix6}/64"), advertise.rdnss(DNS6)]))
    pvd = mif.expect(kind=Mif.PVD)
    mif.expect(kind=Mif.ADDRESS, ip=up0.slaac)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    mif.mark()
    tdb.mark()
    # A longer life for the prefix: the kernel gives the address a new one, and that is told as a lifetime.
    send(
        lab, up0,
        RouterAdvertisement(options=[advertise.prefix(f"{up0.prefix6}/64", 7200, 7200), advertise.rdnss(DNS6)]),
    )  # fmt: skip
    renewed = mif.expect(kind=Mif.ADDRESS, pvd=pvd.pvd, ip=up0.slaac)
    assert 7190 <= renewed.valid <= 7200 and 7190 <= renewed.preferred <= 7200
    mif.none(kind=lambda kind: kind not in (Mif.ADDRESS, Mif.ELEMENT))
    tdb.none()


def test_explicit_pvd(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """What a PvD option holds belongs to the PvD that it names, what stands outside to the router's own (RFC 8801)."""
    lab.host.ip("addr add 2001:db8:77::5/64 dev up0")
    inside = [
        advertise.prefix("2001:db8:77::/64", flags=0x80),
        advertise.rdnss("2001:db8:77::53"),
        advertise.dnssl("corp.example"),
    ]
    send(
        lab, up0,
        RouterAdvertisement(
            options=[
                advertise.prefix(f"{up0.prefix6}/64"),
                advertise.rdnss(DNS6),
                advertise.pvd("pvd.corp.example", *inside, sequence=7),
            ]
        ),
    )  # fmt: skip
    index = lab.host.index("up0")
    explicit, implicit = mif.expect_all(
        {"kind": Mif.PVD, "interface": index, "name": "pvd.corp.example"},
        {"kind": Mif.PVD, "interface": index, "flags": 0, "name": lambda name: "kernel" not in name.lower()},
    )
    assert explicit.flags & EXPLICIT
    mif.expect_all(
        {"kind": Mif.ELEMENT, "pvd": explicit.pvd, "element": Element.RA},
        {"kind": Mif.ADDRESS, "pvd": explicit.pvd, "ip": "2001:db8:77::5"},
    )

    def sorted_out() -> None:
        own = mif.client.data(explicit.pvd, Element.RA)
        assert only(own, Info.DNS_SERVERS) == ["2001:db8:77::53"]
        assert only(own, Info.SEARCH_LIST) == ["corp.example"]
        assert only(own, Info.PREFIXES) == [Prefix("2001:db8:77::/64", 0x80)]
        assert only(own, Info.PVD_OPTION) == [PvdOption(0, 7)]
        mif.client.drain()
        [other] = [
            p
            for p in mif.client.pvds_on(index)
            if Element.RA in mif.client.elements_of(p.pvd) and p.pvd != explicit.pvd
        ]
        assert not other.flags & EXPLICIT
        outside = mif.client.data(other.pvd, Element.RA)
        assert only(outside, Info.DNS_SERVERS) == [DNS6]
        assert only(outside, Info.PREFIXES) == [Prefix(f"{up0.prefix6}/64", 0xC0)]
        assert only(outside, Info.SEARCH_LIST) == [] and only(outside, Info.PVD_OPTION) == []
        assert up0.slaac in mif.client.addresses_of(other.pvd)
        assert mif.client.addresses_of(explicit.pvd) == {"2001:db8:77::5"}

    eventually(sorted_out)
    assert implicit.pvd != explicit.pvd


@pytest.mark.lab(shared_link=True)
def test_two_routers_on_one_link(lab: Lab, mif: MifEar) -> None:
    """Two PvDs; an element of one router is never mixed into the other's (RFC 7556)."""
    one, other = lab.uplinks
    for uplink, dns in ((one, "2001:db8:1::53"), (other, "2001:db8:2::53")):
        send(lab, uplink, RouterAdvertisement(options=[advertise.prefix(f"{uplink.prefix6}/64"), advertise.rdnss(dns)]))
    index = lab.host.index("up0")
    first = mif.expect(kind=Mif.PVD, interface=index)
    second = mif.expect(kind=Mif.PVD, interface=index)
    assert first.pvd != second.pvd and first.name != second.name

    # Both addresses are made of the one host interface.
    tail = IPv6Address(one.slaac).packed[8:]
    made = {uplink: str(IPv6Address(IPv6Address(uplink.prefix6).packed[:8] + tail)) for uplink in lab.uplinks}

    def apart() -> None:
        mif.client.drain()
        seen: set[str] = set()
        for pvd in (first, second):
            [router] = mif.client.values(pvd.pvd, Element.RA, Info.DEFAULT_ROUTER)
            assert isinstance(router, Router)
            uplink = one if router.ip == one.router_link_local else other
            assert router.ip == uplink.router_link_local
            assert mif.client.values(pvd.pvd, Element.RA, Info.PREFIXES) == [Prefix(f"{uplink.prefix6}/64", 0xC0)]
            assert mif.client.values(pvd.pvd, Element.RA, Info.DNS_SERVERS) == [f"{uplink.prefix6}53"]
            assert mif.client.addresses_of(pvd.pvd) == {made[uplink]}
            seen.add(router.ip)
        assert len(seen) == 2

    eventually(apart)


def test_radvd_shuts_down(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """A last advertisement with Router Lifetime 0 ends the router as a default, and nothing else (RFC 4861, 6.3.4)."""
    router = daemons.radvd(lab, up0)
    pvd = mif.expect(kind=Mif.PVD)
    mif.expect(kind=Mif.ADDRESS, pvd=pvd.pvd, ip=up0.slaac)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.slaac,))
    mif.mark()
    tdb.mark()
    router.stop()
    wait_until(lambda: "default" not in lab.host.show("-6", "route"), "the kernel takes the default route away")
    lost = tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, interface="up0")
    assert lost.ips == (up0.slaac,)
    tdb.none(type=Kind.IF_ADDRCHANGED)
    eventually(lambda: _gone(mif, pvd, Info.DEFAULT_ROUTER))
    assert mif.client.values(pvd.pvd, Element.RA, Info.PREFIXES) == [Prefix(f"{up0.prefix6}/64", 0xC0)]
    mif.none(kind=lambda kind: kind in (Mif.NO_PVD, Mif.NO_ELEMENT, Mif.NO_ADDRESS))


def _gone(mif: MifEar, pvd: Told, info: Info) -> None:
    assert mif.client.values(pvd.pvd, Element.RA, info) == []


def test_router_comes_back(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """Router Lifetime 0 is CONN_LOST, and a new lifetime takes that back."""
    options = [advertise.prefix(f"{up0.prefix6}/64")]
    send(lab, up0, RouterAdvertisement(options=options))
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.slaac,))
    send(lab, up0, RouterAdvertisement(lifetime=0, options=options))
    lost = tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(up0.slaac,))
    send(lab, up0, RouterAdvertisement(options=options))
    tdb.expect_all(
        {"cause": Verb.DELETE, "type": Kind.CONN_LOST, "id": lost.id},
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (up0.slaac,)},
    )
    mif.none(kind=Mif.NO_PVD)


def test_lifetimes_expire(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """What an advertisement says ends by its own lifetimes: DNS first, then the address, then the rest of the PvD."""
    send(
        lab, up0,
        RouterAdvertisement(
            lifetime=1, hop_limit=0,
            options=[advertise.prefix(f"{up0.prefix6}/64", 3, 3), advertise.rdnss(DNS6, lifetime=1)],
        ),
    )  # fmt: skip
    pvd = mif.expect(kind=Mif.PVD)
    address = mif.expect(kind=Mif.ADDRESS, pvd=pvd.pvd, ip=up0.slaac)
    assert address.valid <= 3
    assert mif.client.values(pvd.pvd, Element.RA, Info.DNS_SERVERS) == [DNS6]
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    # The data go first: the element is announced again for it, and then has no DNS.
    mif.expect(kind=Mif.ELEMENT, pvd=pvd.pvd, element=Element.RA, seconds=3)
    eventually(lambda: _gone(mif, pvd, Info.DNS_SERVERS))
    assert mif.client.values(pvd.pvd, Element.RA, Info.PREFIXES) != []
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(up0.slaac,))
    tdb.expect(cause=Verb.DELETE, type=Kind.IF_ADDRCHANGED, ips=(up0.slaac,), seconds=6)
    mif.expect_all(
        {"kind": Mif.NO_ADDRESS, "pvd": pvd.pvd, "ip": up0.slaac},
        {"kind": Mif.NO_ELEMENT, "pvd": pvd.pvd, "element": Element.RA},
    )
    mif.expect(kind=Mif.NO_PVD, pvd=pvd.pvd)
    assert up0.slaac not in lab.host.addresses("up0", 6)


@pytest.mark.lab(dad=True)
def test_tentative_addresses_are_not_told(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """With duplicate address detection an address is told when it is usable, a second later, and not before."""
    lab.host.ip("addr add 2001:db8:1::77/64 dev up0")
    added = "2001:db8:1::77"
    told = tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=(added,), seconds=6)
    assert told.origin is not None and not told.origin.address_flags & 0x01
    assert "tentative" not in lab.host.show("addr", "show", "dev", "up0", "to", added)
    # The router has this one: detection finds it, and nobody is told that it could be used.
    lab.host.ip(f"addr add {up0.router6}/64 dev up0")
    wait_until(lambda: "dadfailed" in lab.host.show("addr", "show", "dev", "up0"), "the duplicate is found")
    tdb.none(type=Kind.IF_ADDRCHANGED, ips=(up0.router6,))


def test_a_port_of_a_bridge_is_not_where_an_advertisement_ends(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """An advertisement that comes in on a bridge's port is the bridge's, and is told once. Without the bridge it is the port's."""
    lab.host.ip("link add br0 type bridge forward_delay 0", "link set br0 up", "link set up0 master br0")
    # The bridge has a carrier once it has a port: then the agent knows the port.
    mif.expect(kind=Mif.INTERFACE, name="br0", flags=lambda flags: flags & CARRIER)
    send(lab, up0, RouterAdvertisement(lifetime=600))
    assert mif.expect(kind=Mif.PVD).interface == lab.host.index("br0")
    counters = mif.client.statistics()
    assert (counters["ra.heard"], counters["state.heard-on-port"]) == (1, 1)

    lab.host.ip("link set up0 nomaster")
    mif.expect(kind=Mif.INTERFACE, name="br0", flags=lambda flags: not flags & CARRIER)
    send(lab, up0, RouterAdvertisement(lifetime=600))
    assert mif.expect(kind=Mif.PVD).interface == lab.host.index("up0")
