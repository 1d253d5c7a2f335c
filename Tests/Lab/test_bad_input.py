"""Strangers' bytes on the wire: refused, counted by a reason that anyone can see, told to nobody."""

import random
import socket
import struct

import pytest

from labkit import advertise, daemons, packets
from labkit.advertise import RouterAdvertisement
from labkit.agent import Agent
from labkit.mif_client import Element, Info, Mif
from labkit.packets import Wire
from labkit.story import MifEar, Tdb, eventually, tell
from labkit.topology import DNS6, PEER4, PEER6, Lab, Uplink
from labkit.trigger_client import Kind, Verb

# Counters of packets that were taken, not refused.
TAKEN = ("heard", "seen", "accepted", "requests", "answers", "news", "packets", "bytes", "wakeups", "frames", "events")


def refusals(before: dict[str, int], after: dict[str, int]) -> dict[str, int]:
    grown = {name: value - before.get(name, 0) for name, value in after.items() if value > before.get(name, 0)}
    return {name: by for name, by in grown.items() if not any(word in name for word in TAKEN)}


def wire(lab: Lab, uplink: Uplink) -> Wire:
    return Wire(lab.router(uplink).socket(socket.AF_PACKET, socket.SOCK_DGRAM), "host0", uplink.host_mac)


def good(uplink: Uplink) -> bytes:
    return RouterAdvertisement(
        options=[advertise.prefix(f"{uplink.prefix6}/64"), advertise.rdnss(DNS6), advertise.pvd("bad.example")]
    ).wire


def raw_option(kind: int, length: int, body: bytes = b"") -> bytes:
    return struct.pack("!BB", kind, length) + body


def broken_advertisements(uplink: Uplink) -> dict[str, bytes]:
    """Whole packets, each with one thing wrong that discards it (RFC 4861, 6.1.2; RFC 6980)."""
    message, source = good(uplink), uplink.router_link_local
    whole = packets.advertisement(source, message)
    fragment = struct.pack("!BBHI", 58, 0, 0, 7) + packets.icmpv6(source, "ff02::1", message)
    return {
        "hop limit 254": packets.advertisement(source, message, hop_limit=254),
        "source not link-local": packets.advertisement(uplink.router6, message),
        "checksum": packets.spoil(whole, 43),
        "code 1": packets.advertisement(source, message[:1] + b"\1" + message[2:]),
        "shorter than its header": packets.advertisement(source, message[:12]),
        "option of length 0": packets.advertisement(source, message + raw_option(25, 0, b"\0" * 6)),
        "option past the end": packets.advertisement(source, message + raw_option(25, 4, b"\0" * 6)),
        "atomic fragment": packets.ipv6(source, "ff02::1", 44, fragment, 255),
        "payload length past the packet": packets.spoil(whole, 5, 0xF8),
    }


def test_broken_advertisements(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    lab.host.sysctl({"ipv6/conf/up0/accept_ra": 0})  # the kernel has opinions of its own on some of them
    out = wire(lab, up0)
    for what, packet in broken_advertisements(up0).items():
        before = mif.client.statistics()
        out.send(packet)
        counted: dict[str, int] = {}

        def seen(before: dict[str, int] = before, counted: dict[str, int] = counted, what: str = what) -> None:
            counted.update(refusals(before, mif.client.statistics()))
            assert counted, f"{what}: no reason counted"

        eventually(seen)
        tell(f"net  RA with {what}: {counted}")
        mif.none(kind=lambda kind: kind in (Mif.PVD, Mif.ELEMENT))
        tdb.none()
    out.send(packets.advertisement(up0.router_link_local, good(up0)))
    mif.expect(kind=Mif.PVD, name="bad.example")


def test_options_that_lie(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """An option that is wrong in itself is left out and counted; the advertisement counts all the same."""
    out = wire(lab, up0)
    lies = [
        raw_option(3, 3, b"\0" * 22),  # PIO of length 3
        raw_option(25, 2, struct.pack("!HI", 0, 600) + b"\0" * 8),  # RDNSS of even length
        advertise.mtu(1200),
        advertise.prefix("fe80::/64"),
        raw_option(24, 1, bytes([64, 0]) + struct.pack("!I", 600)),  # RIO /64 without room for its prefix
        raw_option(31, 2, struct.pack("!HI", 0, 600) + b"\x3f" + b"a" * 7),  # DNSSL whose label runs out
        raw_option(99, 1, b"\0" * 6),  # unknown: skipped, not wrong
    ]
    message = RouterAdvertisement(options=[*lies, advertise.rdnss(DNS6)]).wire
    before = mif.client.statistics()
    out.send(packets.advertisement(up0.router_link_local, message))
    pvd = mif.expect(kind=Mif.PVD)
    mif.expect(kind=Mif.ELEMENT, pvd=pvd.pvd)
    data = {datum.info: datum.value for datum in mif.client.data(pvd.pvd, Element.RA)}
    assert data[Info.DNS_SERVERS] == DNS6
    assert not {Info.PREFIXES, Info.MTU, Info.ROUTES, Info.SEARCH_LIST} & set(data)
    counted = refusals(before, mif.client.statistics())
    tell(f"     counted: {counted}")
    assert sum(counted.values()) >= 6


def test_mutated_advertisements(lab: Lab, up0: Uplink, agent: Agent, tdb: Tdb, mif: MifEar) -> None:
    """Three thousand of them, cut and changed at random with right checksums: the agent lives, its memory stays, and
    the protocol's rules hold for all that it tells of them."""
    lab.host.sysctl({"ipv6/conf/up0/accept_ra": 0})
    out = wire(lab, up0)
    chance = random.Random(4861)
    before = agent.resident()
    for _ in range(3000):
        message = bytearray(good(up0))
        for _ in range(chance.choice((1, 2, 8))):
            message[chance.randrange(4, len(message))] = chance.randrange(256)
        size = chance.choice((len(message), len(message), chance.randrange(1, len(message))))
        out.send(packets.advertisement(up0.router_link_local, bytes(message[:size]).ljust(4, b"\0")))
    mif.client.barrier()
    tdb.client.barrier()
    tell(f"     {len(mif.client.log)} announcements, {(agent.resident() - before) / 1024:.0f} KiB more resident")
    assert agent.resident() < before + 1_000_000 and agent.child.running
    counted = mif.client.statistics()
    assert sum(value for name, value in counted.items() if "ra" in name and not any(w in name for w in TAKEN)) > 100


def mutated(chance: random.Random, packet: bytes, start: int) -> bytes:
    """Changed behind `start`, or cut."""
    changed = bytearray(packet)
    for _ in range(chance.choice((0, 1, 2, 8))):
        changed[chance.randrange(start, len(changed))] = chance.randrange(256)
    return bytes(changed[: chance.choice((len(changed), len(changed), chance.randrange(1, len(changed))))])


def test_noise(lab: Lab, up0: Uplink, agent: Agent, tdb: Tdb, mif: MifEar) -> None:
    """Six thousand DHCP replies and ICMP errors, mutated before their checksums are made or after: nothing is believed
    that should not be, nothing grows, and a real lease is heard all the same."""
    lab.configure_by_hand(up0, "6")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    tdb.mark()
    chance, out = random.Random(2131), wire(lab, up0)
    before, refused = agent.resident(), mif.client.statistics()
    dhcp4 = packets.dhcp4_reply(up0.host_mac, 7, "10.1.0.77", up0.router4)[28:]
    dhcp6 = bytes.fromhex("07000007000100060003000102000000000200060003000102000000")
    quote = packets.ipv6(up0.host6, PEER6, 17, packets.udp(up0.host6, PEER6, 4500, 4500, b"hello"))
    for _ in range(1000):
        data = mutated(chance, dhcp4, 0)
        datagram = packets.udp(up0.router4, "255.255.255.255", 67, 68, data)
        out.send(packets.ipv4(up0.router4, "255.255.255.255", 17, datagram))
        out.send(mutated(chance, packets.ipv4(up0.router4, "255.255.255.255", 17, datagram), 1))
        data = mutated(chance, dhcp6, 0)
        datagram = packets.udp(up0.router_link_local, up0.link_local, 547, 546, data)
        out.send(packets.ipv6(up0.router_link_local, up0.link_local, 17, datagram))
        out.send(mutated(chance, packets.ipv6(up0.router_link_local, up0.link_local, 17, datagram), 1))
        # The quoted source is spoilt too, so that none of them may be believed.
        spoilt = mutated(chance, packets.spoil(quote, 12), 1)
        message = packets.icmpv6_error(up0.router6, up0.host6, 1, 0, spoilt)
        out.send(packets.ipv6(up0.router6, up0.host6, 58, message))
        out.send(mutated(chance, packets.ipv6(up0.router6, up0.host6, 58, message), 1))
    mif.client.barrier()
    counted = refusals(refused, mif.client.statistics())
    tell(f"     refused by {len(counted)} reasons, {(agent.resident() - before) / 1024:.0f} KiB more resident")
    assert len(counted) >= 8
    assert agent.child.running and agent.resident() < before + 1_000_000
    mif.none(element=Element.DHCPV4)
    mif.none(element=Element.DHCPV6)
    tdb.none(type=Kind.DEST_UNREACHABLE)
    daemons.dnsmasq(lab, up0)
    daemons.dhclient(lab, up0)
    mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV4)


def test_foreign_dhcp_replies(lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """An ACK that no client here asked for, one for other hardware, and a request's shape from the wrong side."""
    out = wire(lab, up0)
    daemons.dnsmasq(lab, up0)
    replies = {
        "transaction nobody began": packets.dhcp4_reply(up0.host_mac, 0x12345678, "10.1.0.77", up0.router4),
        "other hardware": packets.dhcp4_reply("02:00:00:00:77:77", 0x12345678, "10.1.0.77", up0.router4),
        "no cookie": _without_cookie(up0),
        "checksum": packets.spoil(packets.dhcp4_reply(up0.host_mac, 1, "10.1.0.77", up0.router4), 27),
    }
    daemons.dhclient(lab, up0)
    mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV4)
    [address] = lab.host.addresses("up0", 4)
    mif.expect(kind=Mif.ADDRESS, ip=address)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    mif.mark()
    tdb.mark()
    for what, packet in replies.items():
        before = mif.client.statistics()
        out.send(packet)

        def seen(before: dict[str, int] = before, what: str = what) -> None:
            counted = refusals(before, mif.client.statistics())
            assert counted, f"{what}: no reason counted"

        eventually(seen)
        tell(f"net  DHCP reply: {what}: {refusals(before, mif.client.statistics())}")
        mif.none()
        tdb.none()


def _without_cookie(uplink: Uplink) -> bytes:
    packet = packets.dhcp4_reply(uplink.host_mac, 1, "10.1.0.77", uplink.router4)
    data = packets.spoil(packet[28:], 236)
    return packets.ipv4(
        uplink.router4, "255.255.255.255", 17, packets.udp(uplink.router4, "255.255.255.255", 67, 68, data)
    )


@pytest.mark.parametrize("what", ["total length", "header length", "checksum", "fragment"])
def test_broken_ipv4(what: str, lab: Lab, up0: Uplink, tdb: Tdb, mif: MifEar) -> None:
    """ICMP errors in IPv4 packets that lie about themselves."""
    lab.configure_by_hand(up0, "4")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    quote = packets.ipv4(up0.host4, PEER4, 17, packets.udp(up0.host4, PEER4, 4500, 4500, b"hello"))
    packet = packets.ipv4(up0.router4, up0.host4, 1, packets.icmp_error(3, 0, quote))
    head = {
        "total length": packet[:2] + struct.pack("!H", len(packet) + 400) + packet[4:20],
        "header length": b"\x4f" + packet[1:20],
        "checksum": packet[:20],
        "fragment": packet[:6] + struct.pack("!H", 0x2000) + packet[8:20],
    }[what]
    if what == "checksum":
        head = packets.spoil(head, 10)
    else:
        head = head[:10] + struct.pack("!H", packets.checksum(head[:10] + b"\0\0" + head[12:])) + head[12:]
    before = mif.client.statistics()
    out = wire(lab, up0)
    out.send(head + packet[20:])

    def seen() -> None:
        # The kernel may drop it before a packet socket's turn; nothing does here: the ring sees every frame.
        assert refusals(before, mif.client.statistics()), "no reason counted"

    eventually(seen)
    tell(f"net  {what}: {refusals(before, mif.client.statistics())}")
    tdb.none(type=Kind.DEST_UNREACHABLE)
