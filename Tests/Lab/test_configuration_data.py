"""GET_CONFIG_DATA: every identifier of docs/protocol.md, from real servers and clients, with the time that is left.

Delegated prefixes are ConfigurationDataTests' subject: the lab's DHCPv6 clients are asked for addresses."""

import socket
import struct
from enum import IntEnum

import pytest

from labkit import advertise, daemons
from labkit.advertise import RouterAdvertisement
from labkit.mif_client import Datum, Element, Info, Lease, Mif, Prefix, PvdOption, Route, Router
from labkit.story import MifEar
from labkit.topology import DNS4, DNS6, Lab, Uplink

FOREVER = 0xFFFFFFFF
PORTAL = "https://portal.example/api"


class More(IntEnum):
    """The identifiers that `Info` has no use for elsewhere."""

    NTP_SERVERS = 8
    CAPTIVE_PORTAL = 9
    PREF64 = 10
    ENCRYPTED_DNS = 11
    HOST_NAME = 16
    TIME_ZONE = 17
    OPTION = 0x10000


def resolver(lifetime: int) -> bytes:
    """RFC 9463, 6.1: priority 1, and a name alone; padded as the option is."""
    name = advertise.names("dns.example")
    return (struct.pack("!HIH", 1, lifetime, len(name)) + name).ljust(22, b"\0")


def option(kind: int, body: bytes) -> bytes:
    size = (2 + len(body) + 7) // 8
    return (struct.pack("!BB", kind, size) + body).ljust(8 * size, b"\0")


def left(mif: MifEar, pvd: int, element: Element, info: int, low: int, high: int) -> list[object]:
    """The values, all of which have between `low` and `high` seconds left."""
    items: list[Datum] = mif.client.data(pvd, element, info)
    assert all(low <= item.preferred <= item.valid <= high for item in items), items
    return [item.value for item in items]


def nothing_else(mif: MifEar, pvd: int, element: Element, *identifiers: int) -> None:
    """Asked for everything it says these, and asked for any other NO_CONFIG_DATA."""
    told = {item.info for item in mif.client.data(pvd, element)}
    assert {info for info in told if info < More.OPTION} == set(identifiers)
    for info in set(range(1, 18)) - set(identifiers):
        assert mif.client.data(pvd, element, info) == []


def advertised(lab: Lab, mif: MifEar) -> None:
    """What a router says, one option of each kind, in a PvD of its own."""
    net64 = bytes.fromhex("0064ff9b") + bytes(8)
    wire = advertise.pvd(
        "net.example",
        advertise.prefix("2001:db8:77::/64", 7200, 3600, flags=0x80), advertise.mtu(1400),
        advertise.route("2001:db8:9::/48", 1200, 1), advertise.rdnss(DNS6, lifetime=1200),
        advertise.dnssl("a.example", "b.example", lifetime=1200), option(37, PORTAL.encode()),
        option(38, struct.pack("!H", 1200) + net64), option(144, resolver(1200)), option(200, b"sixtee"),
    )  # fmt: skip
    with lab.r1.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        advertise.send(raw, lab.r1.index("host0"), RouterAdvertisement(options=[wire], lifetime=1800).wire)


def test_every_identifier(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """From a Router Advertisement."""
    advertised(lab, mif)
    pvd = mif.expect(kind=Mif.PVD, name="net.example").pvd
    mif.expect(kind=Mif.ELEMENT, element=Element.RA, pvd=pvd)
    ra = Element.RA
    soon, later = (1190, 1200), (FOREVER, FOREVER)
    assert left(mif, pvd, ra, Info.DNS_SERVERS, *soon) == [DNS6]
    assert left(mif, pvd, ra, Info.SEARCH_LIST, *soon) == ["a.example", "b.example"]
    assert left(mif, pvd, ra, Info.MTU, *later) == [1400]
    assert left(mif, pvd, ra, Info.HOP_LIMIT, *later) == [64]
    assert left(mif, pvd, ra, Info.PREFIXES, 3590, 7200) == [Prefix("2001:db8:77::/64", 0x80)]
    assert left(mif, pvd, ra, Info.ROUTES, *soon) == [Route("2001:db8:9::/48", up0.router_link_local, 1)]
    assert left(mif, pvd, ra, Info.DEFAULT_ROUTER, 1790, 1800) == [Router(up0.router_link_local, 0)]
    assert left(mif, pvd, ra, More.CAPTIVE_PORTAL, *later) == [PORTAL]
    assert left(mif, pvd, ra, More.PREF64, *soon) == [Prefix("64:ff9b::/96", 0)]
    assert left(mif, pvd, ra, More.ENCRYPTED_DNS, *soon) == [resolver(0)]
    [said] = left(mif, pvd, ra, Info.PVD_OPTION, *later)
    assert isinstance(said, PvdOption)
    assert left(mif, pvd, ra, More.OPTION + 200, *later) == [b"sixtee"]
    nothing_else(mif, pvd, ra, 1, 2, 3, 4, 5, 6, 7, 9, 10, 11, 12)
    nothing_else(mif, pvd, Element.DHCPV4)
    nothing_else(mif, pvd, Element.KERNEL)


@pytest.mark.parametrize("client", ["dhclient", "dhcpcd"])
def test_dhcpv4(client: str, lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """Whatever the server sends is told, whether the client that runs here has a use for it or not."""
    options = (
        "26,1400", "119,a.example,b.example", "42,10.9.0.123", "12,laptop", f"114,{PORTAL}",
        "100,CET-1CEST", "101,Europe/Berlin", "121,10.8.0.0/16,10.1.0.1,0.0.0.0/0,10.1.0.1", "224,unread",
    )  # fmt: skip
    daemons.dnsmasq(lab, up0, options=[f"dhcp-option-force={each}" for each in options])
    {"dhclient": daemons.dhclient, "dhcpcd": daemons.dhcpcd}[client](lab, up0)
    pvd = mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV4).pvd
    v4 = Element.DHCPV4
    lease = (100, 120)
    assert left(mif, pvd, v4, Info.DNS_SERVERS, *lease) == [DNS4]
    assert left(mif, pvd, v4, Info.SEARCH_LIST, *lease) == ["a.example", "b.example"]
    assert left(mif, pvd, v4, Info.MTU, *lease) == [1400]
    assert left(mif, pvd, v4, Info.PREFIXES, *lease) == [Prefix("10.1.0.0/24", 0)]
    assert left(mif, pvd, v4, Info.ROUTES, *lease) == [Route("10.8.0.0/16", up0.router4, 0)]
    assert left(mif, pvd, v4, Info.DEFAULT_ROUTER, *lease) == [Router(up0.router4, 0)]
    assert left(mif, pvd, v4, More.NTP_SERVERS, *lease) == ["10.9.0.123"]
    assert left(mif, pvd, v4, More.CAPTIVE_PORTAL, *lease) == [PORTAL]
    [said] = left(mif, pvd, v4, Info.LEASE, *lease)
    assert isinstance(said, Lease) and said.server == up0.router4
    assert left(mif, pvd, v4, Info.DOMAIN_NAME, *lease) == [daemons.DOMAIN]
    assert left(mif, pvd, v4, More.HOST_NAME, *lease) == ["laptop"]
    assert left(mif, pvd, v4, More.TIME_ZONE, *lease) == ["Europe/Berlin", "CET-1CEST"]
    assert left(mif, pvd, v4, More.OPTION + 224, *lease) == [b"unread"]
    nothing_else(mif, pvd, v4, 1, 2, 3, 5, 6, 7, 8, 9, 13, 15, 16, 17)


def test_dhcpv6(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    options = (
        f"option6:ntp-server,[{DNS6}]", f"option6:103,{PORTAL}", "option6:42,Europe/Berlin", "option6:41,CET-1CEST",
        "option6:224,unread",
    )  # fmt: skip
    daemons.dnsmasq(
        lab, up0, dhcp4=False, dhcp6=True, advertise=True, options=[f"dhcp-option-force={each}" for each in options]
    )
    mif.expect(kind=Mif.ELEMENT, element=Element.RA)
    daemons.dhclient(lab, up0, 6)
    pvd = mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV6).pvd
    v6 = Element.DHCPV6
    lease = (100, 120)
    assert left(mif, pvd, v6, Info.DNS_SERVERS, *lease) == [DNS6]
    assert left(mif, pvd, v6, Info.SEARCH_LIST, *lease) == [daemons.DOMAIN]
    assert left(mif, pvd, v6, More.NTP_SERVERS, *lease) == [DNS6]
    assert left(mif, pvd, v6, More.CAPTIVE_PORTAL, *lease) == [PORTAL]
    assert set(left(mif, pvd, v6, More.TIME_ZONE, *lease)) == {"Europe/Berlin", "CET-1CEST"}
    [said] = left(mif, pvd, v6, Info.LEASE, *lease)
    assert isinstance(said, Lease) and said.server == up0.router_link_local
    assert left(mif, pvd, v6, More.OPTION + 224, *lease) == [b"unread"]
    nothing_else(mif, pvd, v6, 1, 2, 8, 9, 13, 17)


def test_by_hand(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """What nobody on the network was heard to configure."""
    lab.configure_by_hand(up0)
    element = mif.expect(kind=Mif.ELEMENT, element=Element.KERNEL)
    mif.expect(kind=Mif.ADDRESS, ip=up0.host6)
    lab.host.ip(f"link set {up0.interface} mtu 1400")
    mif.expect(kind=Mif.ELEMENT, element=Element.KERNEL)
    mif.client.barrier()
    kernel, later = Element.KERNEL, (FOREVER, FOREVER)
    assert left(mif, element.pvd, kernel, Info.MTU, *later) == [1400]
    prefixes = [Prefix("10.1.0.0/24", 0), Prefix(f"{up0.prefix6}/64", 0)]
    assert left(mif, element.pvd, kernel, Info.PREFIXES, *later) == prefixes
    routers = {Router(up0.router4, 0), Router(up0.router_link_local, 0)}
    assert set(left(mif, element.pvd, kernel, Info.DEFAULT_ROUTER, *later)) == routers
    nothing_else(mif, element.pvd, kernel, 3, 5, 7)
