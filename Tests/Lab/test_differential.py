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
        51: seconds, 58: seconds, 59: seconds, 80: lambda: b"", 100: lambda: b"CET-1CEST", 101: lambda: b"Europe/Berlin",
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
            (inet.TCP(**ports, seq=dice.getrandbits(32)), inet.UDP(**ports) / b"data", inet.ICMP(type=8, id=7) / b"ping")
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
