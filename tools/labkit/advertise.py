"""Router Advertisements as radvd can't send them: PvD options (RFC 8801), lifetimes of any length, options that lie.

Stand-alone, in a router's namespace, it sends one advertisement or repeats it:

    python3 -m labkit.advertise --interface host0 --prefix 2001:db8:1::/64 --pvd corp.example --count 3
"""

import argparse
import errno
import ipaddress
import socket
import struct
import time
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from .processes import patiently

ALL_NODES = "ff02::1"
INFINITE = 0xFFFFFFFF


def _option(kind: int, body: bytes) -> bytes:
    """Type, length in units of 8, body, padded with zeros (RFC 4861, 4.6)."""
    length = (2 + len(body) + 7) // 8
    return (struct.pack("!BB", kind, length) + body).ljust(8 * length, b"\0")


def names(*domains: str) -> bytes:
    """DNS labels without compression (RFC 1035, 3.1)."""
    wire = b""
    for domain in domains:
        for label in domain.encode().split(b"."):
            wire += bytes([len(label)]) + label
        wire += b"\0"
    return wire


def source_link_layer(mac: str) -> bytes:
    return _option(1, bytes.fromhex(mac.replace(":", "")))


def prefix(network: str, valid: int = 3600, preferred: int = 1800, flags: int = 0xC0) -> bytes:
    """RFC 4861, 4.6.2; flags are L 0x80, A 0x40."""
    net = ipaddress.IPv6Network(network)
    return _option(3, struct.pack("!BBIII", net.prefixlen, flags, valid, preferred, 0) + net.network_address.packed)


def mtu(value: int) -> bytes:
    """RFC 4861, 4.6.4."""
    return _option(5, struct.pack("!HI", 0, value))


def route(network: str, lifetime: int = 1800, preference: int = 0) -> bytes:
    """RFC 4191, 2.3; preference 1 high, 0 medium, -1 low."""
    net = ipaddress.IPv6Network(network)
    width = 0 if net.prefixlen == 0 else 8 if net.prefixlen <= 64 else 16
    head = struct.pack("!BBI", net.prefixlen, (preference & 3) << 3, lifetime)
    return _option(24, head + net.network_address.packed[:width])


def rdnss(*servers: str, lifetime: int = 1200) -> bytes:
    """RFC 8106, 5.1."""
    return _option(25, struct.pack("!HI", 0, lifetime) + b"".join(ipaddress.IPv6Address(s).packed for s in servers))


def dnssl(*domains: str, lifetime: int = 1200) -> bytes:
    """RFC 8106, 5.2."""
    return _option(31, struct.pack("!HI", 0, lifetime) + names(*domains))


def pvd(
    fqdn: str,
    *options: bytes,
    http: bool = False,
    legacy: bool = False,
    delay: int = 0,
    sequence: int = 0,
    header: bytes | None = None,
) -> bytes:
    """RFC 8801, 3.1. `header` is a Router Advertisement header for this PvD: it sets the R flag."""
    bits = http << 15 | legacy << 14 | (header is not None) << 13 | delay & 15
    head = struct.pack("!HH", bits, sequence) + names(fqdn)
    head += b"\0" * (-(2 + len(head)) % 8)
    return _option(21, head + (header or b"") + b"".join(options))


@dataclass(frozen=True)
class RouterAdvertisement:
    """RFC 4861, 4.2. The checksum is the kernel's work, or that of who sends the packet by hand."""

    lifetime: int = 1800
    hop_limit: int = 64
    flags: int = 0
    reachable: int = 0
    retransmit: int = 0
    code: int = 0
    options: Sequence[bytes] = field(default_factory=tuple)

    @property
    def header(self) -> bytes:
        return struct.pack(
            "!BBHBBHII", 134, self.code, 0, self.hop_limit, self.flags, self.lifetime, self.reachable, self.retransmit
        )

    @property
    def wire(self) -> bytes:
        return self.header + b"".join(self.options)

    def with_options(self, *options: bytes) -> "RouterAdvertisement":
        return replace(self, options=options)


def send(raw: socket.socket, interface: int, wire: bytes, destination: str = ALL_NODES, hop_limit: int = 255) -> None:
    """Sends by a raw ICMPv6 socket: the kernel adds IPv6 header and checksum, the source is link-local.

    The link of a fresh lab is up for IPv6 when the kernel has come round to it; until then there is no way out.
    """
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_HOPS, hop_limit)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_UNICAST_HOPS, hop_limit)
    raw.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_MULTICAST_LOOP, 0)
    patiently(
        lambda: raw.sendto(wire, (destination, 0, 0, interface)), errno.EINVAL, errno.ENETUNREACH, errno.EADDRNOTAVAIL
    )


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="advertise", description="Send Router Advertisements (RFC 4861, 8106, 8801).")
    parser.add_argument("--interface", required=True)
    parser.add_argument("--lifetime", type=int, default=1800, help="of the router, seconds")
    parser.add_argument("--prefix", action="append", default=[], metavar="NET")
    parser.add_argument("--valid", type=int, default=3600, help="of the prefixes, seconds")
    parser.add_argument("--preferred", type=int, default=1800, help="of the prefixes, seconds")
    parser.add_argument("--rdnss", action="append", default=[], metavar="ADDRESS")
    parser.add_argument("--dnssl", action="append", default=[], metavar="DOMAIN")
    parser.add_argument("--dns-lifetime", type=int, default=1200)
    parser.add_argument("--mtu", type=int)
    parser.add_argument("--pvd", metavar="FQDN", help="put all options into a PvD option of this name")
    parser.add_argument("--sequence", type=int, default=0, help="of the PvD option")
    parser.add_argument("--count", type=int, default=1, help="0 repeats until killed")
    parser.add_argument("--interval", type=float, default=3.0)
    return parser.parse_args()


def main() -> None:
    arguments = _arguments()
    options = [prefix(net, arguments.valid, arguments.preferred) for net in arguments.prefix]
    if arguments.mtu is not None:
        options.append(mtu(arguments.mtu))
    if arguments.rdnss:
        options.append(rdnss(*arguments.rdnss, lifetime=arguments.dns_lifetime))
    if arguments.dnssl:
        options.append(dnssl(*arguments.dnssl, lifetime=arguments.dns_lifetime))
    if arguments.pvd:
        options = [pvd(arguments.pvd, *options, sequence=arguments.sequence)]
    advertisement = RouterAdvertisement(lifetime=arguments.lifetime, options=options)
    raw = socket.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6)
    sent = 0
    while True:
        send(raw, socket.if_nametoindex(arguments.interface), advertisement.wire)
        sent += 1
        if sent == arguments.count:
            return
        time.sleep(arguments.interval)


if __name__ == "__main__":
    main()
