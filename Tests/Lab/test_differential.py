"""Messages that scapy builds at random (the same ones each time), as the agent's decoders and as tshark understand
them: the same. What neither program knows is decoded by `labkit.rfc`. Then the same messages spoilt, one fault each."""

import os
import random
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from labkit import advertise, captures, packets, rfc
from labkit.decoding import Decoded, content, decode
from labkit.dissect import dissect

scapy = pytest.importorskip("scapy")
from scapy.layers import dhcp, dhcp6, inet, inet6, l2  # noqa: E402

pytestmark = pytest.mark.skipif("MIFCTL" not in os.environ, reason="MIFCTL is not set: the path of mifctl")

COUNT = 300
"""Messages of each kind."""
ROUTER, HOST = "fe80::ff:fe00:101", "fe80::ff:fe00:164"
LIFETIMES = (0, 1, 600, 7200, 0x7FFFFFFF, 0xFFFFFFFE, 0xFFFFFFFF)


class Dice(random.Random):
    """Seeded with what is made: each run makes the same."""

    def lifetime(self) -> int:
        return self.choice((*LIFETIMES, self.getrandbits(32)))

    def pair(self) -> tuple[int, int]:
        """Preferred and valid."""
        one, other = sorted((self.lifetime(), self.lifetime()))
        return one, other

    def name(self) -> str:
        letters = "abcdefghijklmnopqrstuvwxyz0123456789-"
        return ".".join("x" + "".join(self.choices(letters, k=self.randint(0, 20))) for _ in range(self.randint(1, 5)))

    def names(self) -> list[str]:
        return [self.name() for _ in range(self.randint(1, 4))]

    def global6(self) -> str:
        return rfc.ipv6(struct.pack("!QQ", 0x2000 << 48 | self.getrandbits(61), self.getrandbits(64)))

    def servers6(self) -> list[str]:
        return [self.global6() for _ in range(self.randint(1, 4))]

    def ipv4(self) -> str:
        return f"10.{self.randrange(256)}.{self.randrange(256)}.{self.randint(1, 254)}"

    def packed4(self) -> bytes:
        return bytes([10, *self.randbytes(3)])

    def uri(self) -> str:
        return f"https://{self.name()}/{'p' * self.randint(0, 30)}"

    def some(self, choices: list[Callable[[], bytes]]) -> list[bytes]:
        return [self.choice(choices)() for _ in range(self.randint(0, 7))]

    def parameters(self) -> bytes:
        """SvcParams (RFC 9460, 2.2): alpn and port."""
        return b"\0\1\0\3\2h3" + b"\0\3\0\2" + struct.pack("!H", self.getrandbits(16))


def counted(data: bytes) -> bytes:
    return struct.pack("!H", len(data)) + data


# Builders


def ra_options(dice: Dice, nested: bool = False) -> bytes:
    def prefix() -> bytes:
        preferred, valid = dice.choice((dice.pair(), (dice.lifetime(), dice.lifetime())))
        option = inet6.ICMPv6NDOptPrefixInfo(
            prefixlen=dice.randint(0, 128), L=dice.getrandbits(1), A=dice.getrandbits(1), R=dice.getrandbits(1),
            res1=dice.getrandbits(5), validlifetime=valid, preferredlifetime=preferred, prefix=dice.global6(),
        )  # fmt: skip
        return bytes(option)

    def route() -> bytes:
        length = dice.choice((0, 1, 47, 48, 63, 64, 65, 128, dice.randint(0, 128)))
        return bytes(
            inet6.ICMPv6NDOptRouteInfo(
                plen=length, prefix=dice.global6(), prf=dice.choice((0, 1, 3)), rtlifetime=dice.lifetime()
            )
        )

    def pref64() -> bytes:
        code = dice.randint(0, 5)
        return struct.pack("!BBH", 38, 2, dice.getrandbits(13) << 3 | code) + dice.randbytes(12)

    def resolver() -> bytes:
        body = struct.pack("!HI", dice.getrandbits(16), dice.lifetime()) + counted(advertise.names(dice.name()))
        if dice.getrandbits(1):
            packed = b"".join(map(_packed, dice.servers6()))
            body += counted(packed) + counted(dice.parameters())
        return advertise._option(144, body)

    def domain() -> bytes:
        header = advertise.RouterAdvertisement(lifetime=dice.getrandbits(16), flags=dice.getrandbits(8)).header
        return advertise.pvd(
            dice.name(), ra_options(dice, nested=True), http=bool(dice.getrandbits(1)),
            legacy=bool(dice.getrandbits(1)), delay=dice.getrandbits(4), sequence=dice.getrandbits(16),
            header=dice.choice((None, header)),
        )  # fmt: skip

    options = dice.some(
        [
            prefix, route, pref64, resolver,
            lambda: bytes(inet6.ICMPv6NDOptRDNSS(lifetime=dice.lifetime(), dns=dice.servers6())),
            lambda: advertise.dnssl(*dice.names(), lifetime=dice.lifetime()),
            lambda: bytes(inet6.ICMPv6NDOptMTU(mtu=dice.randint(1280, 0xFFFFFFFF))),
            lambda: bytes(inet6.ICMPv6NDOptAdvInterval(advint=dice.getrandbits(32))),
            lambda: bytes(inet6.ICMPv6NDOptHAInfo(pref=dice.getrandbits(16), lifetime=dice.randint(1, 65535))),
            lambda: advertise._option(26, dice.randbytes(dice.choice((6, 14)))),
            lambda: bytes(inet6.ICMPv6NDOptSrcLLAddr(lladdr="02:00:00:00:01:01")),
            lambda: advertise._option(37, dice.uri().encode()),
            # An experimental type that nobody knows (RFC 4727).
            lambda: advertise._option(253, dice.randbytes(dice.randint(0, 30))),
        ]
    )  # fmt: skip
    if not nested and dice.getrandbits(1):
        options.insert(dice.randint(0, len(options)), domain())
    return b"".join(options)


def _packed(address: str) -> bytes:
    return bytes(inet6.inet_pton(10, address))


def ra(dice: Dice) -> bytes:
    message = inet6.ICMPv6ND_RA(
        chlim=dice.getrandbits(8), M=dice.getrandbits(1), O=dice.getrandbits(1), H=dice.getrandbits(1),
        prf=dice.getrandbits(2), P=dice.getrandbits(1), routerlifetime=dice.choice((0, 1, 1800, 9000, 65535)),
        reachabletime=dice.getrandbits(32), retranstimer=dice.getrandbits(32),
    )  # fmt: skip
    return bytes(inet6.IPv6(src=ROUTER, dst="ff02::1", hlim=255) / message / ra_options(dice))


def dhcpv4(dice: Dice) -> bytes:
    def routes() -> bytes:
        result = b""
        for _ in range(dice.randint(1, 4)):
            width = dice.randint(0, 32)
            result += bytes([width]) + dice.packed4()[: (width + 7) // 8] + dice.packed4()
        return result

    def resolvers() -> bytes:
        result = b""
        for _ in range(dice.randint(1, 2)):
            name = advertise.names(dice.name())
            instance = struct.pack("!HB", dice.getrandbits(16), len(name)) + name
            if dice.getrandbits(1):
                servers = b"".join(dice.packed4() for _ in range(dice.randint(1, 3)))
                instance += bytes([len(servers)]) + servers + dice.parameters()
            result += counted(instance)
        return result

    def addresses() -> bytes:
        return b"".join(dice.packed4() for _ in range(dice.randint(1, 5)))

    def seconds() -> bytes:
        return struct.pack("!I", dice.lifetime())

    kind = dice.choice((1, 2, 3, 4, 5, 6, 7, 8))
    from_server = kind in (2, 5, 6)
    makers: dict[int, Callable[[], bytes]] = {
        1: lambda: struct.pack("!I", 0xFFFFFFFF << dice.randint(0, 32) & 0xFFFFFFFF), 3: addresses, 6: addresses,
        12: lambda: dice.name()[:60].rstrip(".").encode(), 15: lambda: dice.name().encode(),
        26: lambda: struct.pack("!H", dice.randint(68, 65535)),
        33: lambda: b"".join(dice.packed4() + dice.packed4() for _ in range(dice.randint(1, 3))), 42: addresses,
        51: seconds, 58: seconds, 59: seconds, 80: lambda: b"",
        100: lambda: b"CET-1CEST", 101: lambda: b"Europe/Berlin",
        108: lambda: struct.pack("!I", dice.getrandbits(32)), 114: lambda: dice.uri().encode(),
        119: lambda: advertise.names(*dice.names()), 121: routes, 162: resolvers,
        # Nobody's (RFC 3942: site-specific).
        230: lambda: dice.randbytes(dice.randint(1, 20)),
    }  # fmt: skip
    chosen = dice.sample(sorted(makers), dice.randint(0, 12))
    options: list[Any] = [("message-type", kind)]
    if from_server or dice.getrandbits(1):
        options.append(("server_id", dice.ipv4()))
    options += [(code, value) for code in chosen if len(value := makers[code]()) < 256]
    dice.shuffle(options)
    message = dhcp.BOOTP(
        op=2 if from_server else 1, xid=dice.getrandbits(32), secs=dice.getrandbits(16),
        flags=dice.choice((0, 0x8000)), ciaddr=dice.ipv4(), yiaddr=dice.ipv4(), siaddr=dice.ipv4(), giaddr=dice.ipv4(),
        chaddr=b"\2" + dice.randbytes(5),
    )  # fmt: skip
    ports = (67, 68) if from_server else (68, 67)
    head = inet.IP(src=dice.ipv4(), dst="255.255.255.255") / inet.UDP(sport=ports[0], dport=ports[1])
    return bytes(head / message / dhcp.DHCP(options=[*options, "end"]))


def dhcpv6(dice: Dice) -> bytes:
    def status() -> bytes:
        return bytes(dhcp6.DHCP6OptStatusCode(statuscode=dice.randint(0, 6), statusmsg=b"because"))

    def maybe_status() -> bytes:
        return dice.choice((b"", status()))

    def address() -> bytes:
        preferred, valid = dice.pair()
        head = _packed(dice.global6()) + struct.pack("!II", preferred, valid)
        return option(5, head + maybe_status())

    def delegated() -> bytes:
        preferred, valid = dice.pair()
        head = struct.pack("!IIB", preferred, valid, dice.randint(0, 128)) + _packed(dice.global6())
        return option(26, head + maybe_status())

    def option(code: int, value: bytes) -> bytes:
        return struct.pack("!HH", code, len(value)) + value

    def association(code: int, inner: Callable[[], bytes]) -> bytes:
        t1, t2 = dice.pair()
        leased = b"".join(inner() for _ in range(dice.randint(0, 3)))
        return option(code, struct.pack("!III", dice.getrandbits(32), t1, t2) + leased + maybe_status())

    def resolver() -> bytes:
        value = struct.pack("!H", dice.getrandbits(16)) + counted(advertise.names(dice.name()))
        if dice.getrandbits(1):
            value += counted(b"".join(map(_packed, dice.servers6()))) + dice.parameters()
        return option(144, value)

    def ntp() -> bytes:
        kind = dice.randint(1, 3)
        value = advertise.names(dice.name()) if kind == 3 else _packed(dice.global6())
        return option(56, option(kind, value))

    identifiers = [
        bytes(dhcp6.DHCP6OptClientId(duid=dhcp6.DUID_LL(lladdr="02:00:00:00:01:64"))),
        bytes(dhcp6.DHCP6OptServerId(duid=dhcp6.DUID_LLT(lladdr="02:00:00:00:01:01", timeval=dice.getrandbits(31)))),
    ]
    options = identifiers + dice.some(
        [
            lambda: association(3, address), lambda: association(25, delegated), resolver, ntp, status,
            lambda: bytes(dhcp6.DHCP6OptPref(prefval=dice.getrandbits(8))),
            lambda: bytes(dhcp6.DHCP6OptRapidCommit()),
            lambda: bytes(dhcp6.DHCP6OptDNSServers(dnsservers=dice.servers6())),
            lambda: bytes(dhcp6.DHCP6OptDNSDomains(dnsdomains=[f"{name}." for name in dice.names()])),
            lambda: bytes(dhcp6.DHCP6OptSNTPServers(sntpservers=dice.servers6())),
            lambda: bytes(dhcp6.DHCP6OptInfoRefreshTime(reftime=dice.lifetime())),
            lambda: bytes(dhcp6.DHCP6OptNewPOSIXTimeZone(optdata=b"CET-1CEST")),
            lambda: bytes(dhcp6.DHCP6OptNewTZDBTimeZone(optdata=b"Europe/Berlin")),
            lambda: option(103, dice.uri().encode()), lambda: bytes(dhcp6.DHCP6OptElapsedTime(elapsedtime=7)),
        ]
    )  # fmt: skip
    dice.shuffle(options)
    kind = dice.randint(1, 11)
    from_server = kind in (2, 7, 10)
    source, destination, ports = (ROUTER, HOST, (547, 546)) if from_server else (HOST, "ff02::1:2", (546, 547))
    message = bytes([kind]) + dice.randbytes(3) + b"".join(options)
    return bytes(inet6.IPv6(src=source, dst=destination) / inet.UDP(sport=ports[0], dport=ports[1]) / message)


def icmp_error(dice: Dice) -> bytes:
    """Of either family, about a packet that came from the error's destination."""
    ports = {"sport": dice.randint(20_000, 30_000), "dport": dice.randint(20_000, 30_000)}
    if dice.getrandbits(1):
        inner = dice.choice(
            (inet.TCP(**ports, seq=dice.getrandbits(32)), inet.UDP(**ports) / b"data",
             inet.ICMP(type=8, id=7) / b"ping")
        )
        host = dice.ipv4()
        quoted = bytes(inet.IP(src=host, dst=dice.ipv4()) / inner)
        kind, code = dice.choice(((3, dice.randint(0, 15)), (11, dice.randint(0, 1))))
        mtu = dice.randint(576, 1500) if (kind, code) == (3, 4) else 0
        return packets.ipv4(dice.ipv4(), host, 1, packets.icmp_error(kind, code, quoted, mtu))
    inner = dice.choice(
        (inet.TCP(**ports, seq=dice.getrandbits(32)), inet.UDP(**ports) / b"data", inet6.ICMPv6EchoRequest(id=7))
    )
    host, router = dice.global6(), dice.global6()
    quoted = bytes(inet6.IPv6(src=host, dst=dice.global6()) / inner)
    kind = dice.randint(1, 3)
    code, mtu = {1: (dice.randint(0, 8), 0), 2: (0, dice.randint(1280, 1500)), 3: (dice.randint(0, 1), 0)}[kind]
    return packets.ipv6(router, host, 58, packets.icmpv6_error(router, host, kind, code, quoted, mtu))


KINDS: dict[str, Callable[[Dice], bytes]] = {
    "router-advertisement": ra, "dhcpv4": dhcpv4, "dhcpv6": dhcpv6, "icmp-error": icmp_error
}  # fmt: skip


def framed(packet: bytes) -> bytes:
    kind = 0x86DD if packet[0] >> 4 == 6 else 0x0800
    return bytes(l2.Ether(src="02:00:00:00:01:01", dst="02:00:00:00:01:64", type=kind)) + packet


def decoded(path: Path, made: list[bytes]) -> list[Decoded]:
    path.write_bytes(captures.pcap([framed(packet) for packet in made]))
    return [content(line) for line in decode(path)]


@pytest.mark.parametrize("kind", KINDS)
def test_equal(kind: str, tmp_path: Path) -> None:
    dice = Dice(f"{kind} 1")
    path = tmp_path / "made.pcap"
    ours = decoded(path, [KINDS[kind](dice) for _ in range(COUNT)])
    theirs = dissect(path)
    assert len(ours) == len(theirs) == COUNT
    for number, (one, other) in enumerate(zip(ours, theirs, strict=True), 1):
        assert one == other, f"packet {number} of {path}"


def test_long_options(tmp_path: Path) -> None:
    """An option in pieces, in the options field, in file and in sname, is one (RFC 3396, 7; RFC 2131, 4.1). tshark
    decodes each piece for itself, so the whole is the second decoder's."""
    dice = Dice("long options")
    made, expected = [], []
    for _ in range(COUNT):
        routes = b""
        for _ in range(dice.randint(2, 8)):
            width = dice.randint(0, 32)
            routes += bytes([width]) + dice.packed4()[: (width + 7) // 8] + dice.packed4()
        one, other = sorted(dice.sample(range(1, len(routes)), 2))
        pieces = [bytes([121, len(piece)]) + piece for piece in (routes[:one], routes[one:other], routes[other:])]
        options = b"\x63\x82\x53\x63\x35\1\5\x36\4\x0a\1\0\1\x34\1\3" + pieces[0] + b"\xff"
        fixed = struct.pack("!BBBBIHH", 2, 1, 6, 0, dice.getrandbits(32), 0, 0) + bytes(16) + b"\2".ljust(16, b"\0")
        message = fixed + (pieces[2] + b"\xff").ljust(64, b"\0") + (pieces[1] + b"\xff").ljust(128, b"\0") + options
        ends = ("10.1.0.1", "255.255.255.255")
        made.append(packets.ipv4(*ends, 17, packets.udp(*ends, 67, 68, message)))
        expected.append(rfc.dhcpv4_option(121, routes))
    for line, option in zip(decoded(tmp_path / "long.pcap", made), expected, strict=True):
        assert option in line["options"]


# Spoilt ones: what a message is spoilt by, the packet that it makes of a right one, and how it is refused.


def _ra(options: bytes = b"", *, source: str = ROUTER, hop_limit: int = 255, code: int = 0) -> bytes:
    message = advertise.RouterAdvertisement(code=code, options=[options]).wire
    return packets.advertisement(source, message, hop_limit=hop_limit)


def _dhcpv4(options: bytes, operation: int = 2) -> bytes:
    fixed = struct.pack("!BBBBIHH", operation, 1, 6, 0, 7, 0, 0) + bytes(16) + b"\2".ljust(16, b"\0") + bytes(192)
    message = fixed + b"\x63\x82\x53\x63" + options + b"\xff"
    ends = ("10.1.0.1", "255.255.255.255")
    return packets.ipv4(*ends, 17, packets.udp(*ends, 67, 68, message))


def _dhcpv6(options: bytes, kind: int = 7) -> bytes:
    message = bytes([kind, 0, 0, 7]) + options
    return packets.ipv6(ROUTER, HOST, 17, packets.udp(ROUTER, HOST, 547, 546, message))


def _option6(code: int, value: bytes) -> bytes:
    return struct.pack("!HH", code, len(value)) + value


ACK = b"\x35\1\5\x36\4\x0a\1\0\1"
SERVER = _option6(2, b"\0\3\0\1\2\0\0\0\1\1")
WHOLE: dict[str, tuple[Callable[[Dice], bytes], str]] = {
    "ra from a global address": (lambda dice: _ra(source=dice.global6()), "ra.source"),
    "ra with another hop limit": (lambda dice: _ra(hop_limit=dice.randint(0, 254)), "ra.hop-limit"),
    "ra with a code": (lambda dice: _ra(code=dice.randint(1, 255)), "ra.code"),
    "ra with a checksum that is not right": (
        lambda dice: packets.spoil(_ra(), 42, dice.choice([byte for byte in range(256) if byte != _ra()[42]])),
        "icmp.checksum",
    ),
    "ra with an option of no length": (
        lambda dice: _ra(ra_options(dice) + bytes([dice.getrandbits(8), 0]) + bytes(6)), "ra.option-length"
    ),
    "ra with an option past its end": (
        lambda dice: _ra(ra_options(dice) + bytes([dice.getrandbits(8), dice.randint(2, 255)]) + bytes(6)),
        "ra.option-overrun",
    ),
    "dhcpv4 request to a client": (lambda dice: _dhcpv4(ACK, operation=1), "dhcpv4.operation"),
    "dhcpv4 option past its end": (
        lambda dice: _dhcpv4(ACK + bytes([dice.randint(56, 250), dice.randint(20, 255)]) + dice.randbytes(3)),
        "dhcpv4.option-overrun",
    ),
    "dhcpv4 without a type": (lambda dice: _dhcpv4(ACK[3:]), "dhcpv4.message-type"),
    "dhcpv4 without a server": (lambda dice: _dhcpv4(ACK[:3]), "dhcpv4.server-identifier"),
    "dhcpv6 option past its end": (
        lambda dice: _dhcpv6(SERVER + struct.pack("!HH", dice.getrandbits(16), dice.randint(1, 65535))),
        "dhcpv6.option-overrun",
    ),
    "dhcpv6 without a server": (lambda dice: _dhcpv6(b""), "dhcpv6.server-identifier"),
    "dhcpv6 of relays": (lambda dice: _dhcpv6(SERVER, kind=dice.choice((12, 13))), "dhcpv6.relay"),
    "dhcpv6 request to a client": (
        lambda dice: _dhcpv6(SERVER, kind=dice.choice((1, 3, 4, 5, 6, 8, 9, 11))), "dhcpv6.message-type"
    ),
}  # fmt: skip
PARTS: dict[str, tuple[Callable[[Dice], bytes], int, str]] = {
    "rio with the reserved preference": (
        lambda dice: _ra(bytes([24, 1, 0, 0x10]) + bytes(4)), 24, "ra.rio.preference"
    ),
    "rio that is too short": (
        lambda dice: _ra(bytes([24, 2, dice.randint(65, 128), 0]) + bytes(12)), 24, "ra.rio.length"
    ),
    "pio of the link-local prefix": (lambda dice: _ra(advertise.prefix("fe80::/64")), 3, "ra.pio.scope"),
    "pio of more than 128 bits": (
        lambda dice: _ra(bytes([3, 4, dice.randint(129, 255)]) + dice.randbytes(29)), 3, "ra.pio.prefix-length"
    ),
    "mtu that no IPv6 link has": (lambda dice: _ra(advertise.mtu(dice.randint(0, 1279))), 5, "ra.mtu.value"),
    "pref64 of an unknown length": (
        lambda dice: _ra(struct.pack("!BBH", 38, 2, dice.getrandbits(13) << 3 | dice.choice((6, 7))) + bytes(12)),
        38, "ra.pref64.prefix-length",
    ),
    "rdnss of half an address": (
        lambda dice: _ra(advertise._option(25, dice.randbytes(16 * dice.randint(0, 3) + 14))), 25, "ra.rdnss.length",
    ),
    "classless route of 33 bits": (
        lambda dice: _dhcpv4(ACK + bytes([121, 9, dice.randint(33, 255)]) + dice.randbytes(8)), 121,
        "dhcpv4.option-value",
    ),
    "dns servers of no whole addresses": (
        lambda dice: _dhcpv4(ACK + bytes([6, 4 * (n := dice.randint(0, 5)) + 1]) + bytes(4 * n + 1)), 6,
        "dhcpv4.option-length",
    ),
    "ia with T1 after T2": (
        lambda dice: _dhcpv6(
            SERVER + _option6(3, struct.pack("!III", 1, dice.randint(1000, 2000), dice.randint(1, 999)))
        ),
        3, "dhcpv6.timers",
    ),
    "dns servers of 17 bytes": (
        lambda dice: _dhcpv6(SERVER + _option6(23, dice.randbytes(17))), 23, "dhcpv6.option-length"
    ),
}  # fmt: skip


@pytest.mark.parametrize("fault", WHOLE)
def test_refused(fault: str, tmp_path: Path) -> None:
    dice = Dice(fault)
    make, reason = WHOLE[fault]
    for line in decoded(tmp_path / "spoilt.pcap", [make(dice) for _ in range(50)]):
        assert line == {"refused": reason}


@pytest.mark.parametrize("fault", PARTS)
def test_option_is_ignored(fault: str, tmp_path: Path) -> None:
    """One option is refused, and the packet lives on."""
    dice = Dice(fault)
    make, number, reason = PARTS[fault]
    for line in decoded(tmp_path / "spoilt.pcap", [make(dice) for _ in range(50)]):
        key = "type" if "hop_limit" in line else "code"
        assert {key: number, "refused": reason} in line["options"]


def test_truncated(tmp_path: Path) -> None:
    """A capture that cut its packets short: truncated, and never a shorter valid packet."""
    dice = Dice("truncated")
    made = [make(dice) for make in KINDS.values() for _ in range(50)]
    cut = [packet[: dice.randint(1, len(packet) - 1)] for packet in made]
    for line in decoded(tmp_path / "cut.pcap", cut):
        assert line == {"refused": "ip.truncated"}
