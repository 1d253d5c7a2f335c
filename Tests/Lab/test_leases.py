"""DHCP: real servers, real clients, and what their leases and renewals tell."""

import socket
from collections.abc import Callable

import pytest

from labkit import advertise, daemons
from labkit.advertise import RouterAdvertisement
from labkit.mif_client import Element, Info, Lease, Mif, Router, Told
from labkit.processes import Child, wait_until
from labkit.story import MifEar, Tdb, eventually, tell
from labkit.topology import DNS4, DNS6, Lab, Uplink
from labkit.trigger_client import Kind, Verb

Start = Callable[[Lab, Uplink], Child]

V4: dict[str, tuple[Start, Start]] = {
    "dnsmasq-dhclient": (daemons.dnsmasq, daemons.dhclient),
    "dnsmasq-dhcpcd": (daemons.dnsmasq, daemons.dhcpcd),
    "kea-dhclient": (daemons.kea4, daemons.dhclient),
    "kea-dhcpcd": (daemons.kea4, daemons.dhcpcd),
}


def lease4(lab: Lab, uplink: Uplink, tdb: Tdb, mif: MifEar) -> tuple[Told, str]:
    """Waits for the PvD that a DHCPv4 lease makes: it and the address."""
    element = mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV4, interface=lab.host.index(uplink.interface))
    pvd = mif.client.pvds[element.pvd]
    [address] = lab.host.addresses(uplink.interface, 4)
    eventually(lambda: _has(mif, pvd, address))
    tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=(address,), interface=uplink.interface)
    return pvd, address


def _has(mif: MifEar, pvd: Told, address: str) -> None:
    mif.client.drain()
    assert address in mif.client.addresses_of(pvd.pvd)


@pytest.mark.parametrize("pair", V4)
def test_dhcpv4(pair: str, lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """A lease makes a PvD of the server, with a DHCPv4 element and the address that the client configured."""
    server, client = V4[pair]
    server(lab, up0)
    client(lab, up0)
    pvd, address = lease4(lab, up0, tdb, mif)
    assert "up0" in pvd.name
    assert mif.client.values(pvd.pvd, Element.DHCPV4, Info.DNS_SERVERS) == [DNS4]
    assert mif.client.values(pvd.pvd, Element.DHCPV4, Info.DOMAIN_NAME) == [daemons.DOMAIN]
    assert mif.client.values(pvd.pvd, Element.DHCPV4, Info.DEFAULT_ROUTER) == [Router(up0.router4, 0)]
    [lease] = mif.client.data(pvd.pvd, Element.DHCPV4, Info.LEASE)
    assert isinstance(lease.value, Lease) and lease.value.server == up0.router4
    assert 100 <= lease.valid <= 120 and 0 < lease.value.renewal < lease.value.rebinding < 120
    told = mif.client.addresses[pvd.pvd, address]
    assert told.prefix == 24
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(address,), interface="up0")
    lab.reaches(up0, "10.9.0.2")


def dnsmasq6(lab: Lab, uplink: Uplink) -> Child:
    return daemons.dnsmasq(lab, uplink, dhcp4=False, dhcp6=True, advertise=True)


def kea6(lab: Lab, uplink: Uplink) -> Child:
    daemons.radvd(lab, uplink, managed=True, autonomous=False)
    return daemons.kea6(lab, uplink)


V6 = {
    "dnsmasq-dhclient": (dnsmasq6, daemons.dhclient),
    "kea-dhclient": (kea6, daemons.dhclient),
    "kea-dhcpcd": (kea6, daemons.dhcpcd),
}


@pytest.mark.parametrize("pair", V6)
def test_dhcpv6(pair: str, lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """Stateful DHCPv6 joins the PvD of the router whose advertisement has the M flag and a prefix with the address."""
    server, client = V6[pair]
    server(lab, up0)
    mif.expect(kind=Mif.ELEMENT, element=Element.RA)
    client(lab, up0, 6)
    element = mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV6, interface=lab.host.index("up0"))
    [address] = lab.host.addresses("up0", 6)
    assert daemons.has_lease(lab, up0, 6)

    def joined() -> None:
        mif.client.drain()
        assert mif.client.elements_of(element.pvd) >= {Element.RA, Element.DHCPV6}
        assert address in mif.client.addresses_of(element.pvd)

    eventually(joined)
    assert mif.client.values(element.pvd, Element.DHCPV6, Info.DNS_SERVERS) == [DNS6]
    assert mif.client.values(element.pvd, Element.DHCPV6, Info.SEARCH_LIST) == [daemons.DOMAIN]
    tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=(address,), interface="up0")


def test_stateless_dhcpv6(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """Stateless DHCPv6 joins the PvD whose advertisement has the O flag; the address is the advertisement's."""
    stateless = [
        "enable-ra",
        f"dhcp-range={up0.prefix6},ra-stateless,64,10m",
        f"dhcp-option=option6:dns-server,[{DNS6}]",
        f"dhcp-option=option6:domain-search,{daemons.DOMAIN}",
    ]
    daemons.dnsmasq(lab, up0, dhcp4=False, options=stateless)
    router = mif.expect(kind=Mif.ELEMENT, element=Element.RA, seconds=10)
    daemons.dhclient(lab, up0, 6, stateless=True)
    element = mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV6)
    assert element.pvd == router.pvd
    assert mif.client.values(element.pvd, Element.DHCPV6, Info.SEARCH_LIST) == [daemons.DOMAIN]
    eventually(lambda: _has(mif, mif.client.pvds[element.pvd], up0.slaac))


def test_dhcpv4_joins_the_explicit_pvd(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """A PvD option with the L flag claims the link's DHCPv4 for its PvD (RFC 8801, 3.1)."""
    with lab.r1.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        option = advertise.pvd("pvd.corp.example", advertise.rdnss(DNS6), legacy=True)
        advertise.send(raw, lab.r1.index("host0"), RouterAdvertisement(options=[option]).wire)
    explicit = mif.expect(kind=Mif.PVD, name="pvd.corp.example")
    daemons.dnsmasq(lab, up0)
    daemons.dhclient(lab, up0)
    element = mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV4)
    assert element.pvd == explicit.pvd
    [address] = lab.host.addresses("up0", 4)
    eventually(lambda: _has(mif, explicit, address))
    assert mif.client.values(explicit.pvd, Element.DHCPV4, Info.DNS_SERVERS) == [DNS4]


def nothing_but_lifetimes(mif: MifEar, tdb: Tdb) -> None:
    """The address has new ones, which is said by announcing it again; nothing else is said."""
    mif.none(kind=lambda kind: kind != Mif.ADDRESS)
    tdb.none()


def test_dhcpv4_renewal_dhclient(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """A renewed lease without change is a new lifetime to the MIF API and no news to the trigger database."""
    daemons.kea4(lab, up0, lease=60, renewal=2, rebinding=40)
    client = daemons.dhclient(lab, up0)
    pvd, address = lease4(lab, up0, tdb, mif)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    mif.mark()
    tdb.mark()
    client.says("script: RENEW", 8)
    tell("net  dhclient renewed its lease")
    renewed = mif.expect(kind=Mif.ADDRESS, pvd=pvd.pvd, ip=address)
    assert 55 <= renewed.valid <= 60
    nothing_but_lifetimes(mif, tdb)
    [lease] = mif.client.data(pvd.pvd, Element.DHCPV4, Info.LEASE)
    assert 55 <= lease.valid <= 60


def test_dhcpv4_renewal_dhcpcd(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """The same with the other client and server; dhcpcd is asked to renew."""
    daemons.dnsmasq(lab, up0)
    client = daemons.dhcpcd(lab, up0)
    lease4(lab, up0, tdb, mif)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    mif.mark()
    tdb.mark()
    client.within("dhcpcd", "-4", "-N", "up0")
    client.says("executing: /bin/true RENEW")
    tell("net  dhcpcd renewed its lease")
    eventually(lambda: _count(mif, "dhcpv4.replies-heard", 3))
    nothing_but_lifetimes(mif, tdb)


def _count(mif: MifEar, counter: str, at_least: int) -> None:
    assert mif.client.statistics()[counter] >= at_least


def test_dhcpv6_renewal(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    daemons.radvd(lab, up0, managed=True, autonomous=False)
    router = mif.expect(kind=Mif.ELEMENT, element=Element.RA, seconds=10)
    daemons.kea6(lab, up0, lease=60, renewal=2, rebinding=40)
    client = daemons.dhclient(lab, up0, 6)
    [address] = lab.host.addresses("up0", 6)
    eventually(lambda: _joined(mif, router.pvd, address))
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(address,))
    mif.mark()
    tdb.mark()
    client.says("script: RENEW6", 8)
    tell("net  dhclient renewed its DHCPv6 lease")
    renewed = mif.expect(kind=Mif.ADDRESS, ip=address)
    assert 50 <= renewed.valid <= 60
    nothing_but_lifetimes(mif, tdb)


def _joined(mif: MifEar, pvd: int, address: str) -> None:
    _has(mif, mif.client.pvds[pvd], address)
    assert (pvd, Element.DHCPV6) in mif.client.elements


def test_lease_is_released(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """dhcpcd gives its lease back and takes the address away: the path is lost, then the address, then the PvD goes."""
    daemons.dnsmasq(lab, up0)
    client = daemons.dhcpcd(lab, up0)
    pvd, address = lease4(lab, up0, tdb, mif)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(address,))
    client.within("dhcpcd", "-4", "-k", "up0")
    wait_until(lambda: not lab.host.addresses("up0", 4), "dhcpcd takes the address away")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(address,))
    tdb.expect(cause=Verb.DELETE, type=Kind.IF_ADDRCHANGED, ips=(address,))
    mif.expect(kind=Mif.NO_ADDRESS, pvd=pvd.pvd, ip=address)


def test_lease_outlives_the_link(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """`ip link set down` ends no lease: the address stays in the kernel, and with the link what the server said of it
    is back, as DHCPv4's and nobody else's."""
    daemons.dnsmasq(lab, up0)
    daemons.dhclient(lab, up0)
    _, address = lease4(lab, up0, tdb, mif)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(address,))
    mif.mark()
    lab.host.ip("link set up0 down")
    tell("net  up0 is set down")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(address,))
    mif.expect(kind=Mif.INTERFACE, name="up0")
    lab.host.ip("link set up0 up", f"route add default via {up0.router4} dev up0")
    tell("net  up0 is up again")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(address,))

    def back() -> None:
        mif.client.drain()
        [held] = [key for key, ip in mif.client.addresses if ip == address]
        assert Element.DHCPV4 in mif.client.elements_of(held)
        assert mif.client.values(held, Element.DHCPV4, Info.DNS_SERVERS) == [DNS4]

    eventually(back)
    kernel = [told for told in mif.rest if told.kind == Mif.ELEMENT and told.element == Element.KERNEL]
    assert not kernel, "the lease's address was taken for one set by hand"


def test_lease_runs_out(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """The server dies and nobody renews: at its end the lease takes path, address, element and PvD with it."""
    server = daemons.kea4(lab, up0, lease=5, renewal=3, rebinding=4)
    daemons.dhclient(lab, up0)
    pvd, address = lease4(lab, up0, tdb, mif)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(address,))
    server.stop()
    tell("net  the server is gone")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(address,), seconds=10)
    tdb.expect(cause=Verb.DELETE, type=Kind.IF_ADDRCHANGED, ips=(address,))
    mif.expect_all(
        {"kind": Mif.NO_ADDRESS, "pvd": pvd.pvd, "ip": address},
        {"kind": Mif.NO_ELEMENT, "pvd": pvd.pvd, "element": Element.DHCPV4},
    )
    mif.expect(kind=Mif.NO_PVD, pvd=pvd.pvd)


def test_both_uplinks(lab: Lab, up0: Uplink, up1: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """Two networks, each with its own daemons: the PvDs of one hold nothing of the other."""
    daemons.radvd(lab, up0)
    daemons.dnsmasq(lab, up0)
    daemons.dnsmasq(lab, up1, options=[f"dhcp-option=option:ntp-server,{up1.router4}"])
    daemons.dhclient(lab, up0)
    daemons.dhclient(lab, up1)

    def apart() -> None:
        mif.client.drain()
        for uplink in (up0, up1):
            index = lab.host.index(uplink.interface)
            network = uplink.router4.rpartition(".")[0] + "."
            pvds = [p for p in mif.client.pvds_on(index) if Element.DHCPV4 in mif.client.elements_of(p.pvd)]
            assert len(pvds) == 1
            v4 = {ip for ip in mif.client.addresses_of(pvds[0].pvd) if ":" not in ip}
            assert len(v4) == 1 and v4.pop().startswith(network)
            assert mif.client.values(pvds[0].pvd, Element.DHCPV4, Info.DEFAULT_ROUTER) == [Router(uplink.router4, 0)]
        assert not [p for p in mif.client.pvds_on(lab.host.index("up1")) if Element.RA in mif.client.elements_of(p.pvd)]

    eventually(apart)
    tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "interface": "up0", "ips": lambda ips: ":" not in ips[0]},
        {"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "interface": "up1", "ips": lambda ips: ":" not in ips[0]},
    )
