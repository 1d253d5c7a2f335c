"""A path from the host to somebody behind uplink 1, and the ICMP errors that a router may send about it."""

import socket

from . import packets
from .packets import Wire
from .topology import PEER4, PEER6, Lab, Uplink

IP_RECVERR, IPV6_RECVERR = 11, 25  # <linux/in.h>, <linux/in6.h>
FAMILIES = {"ipv4": socket.AF_INET, "ipv6": socket.AF_INET6}


class Path:
    """The host's end of a conversation with somebody behind uplink 1."""

    def __init__(self, lab: Lab, uplink: Uplink, family: str) -> None:
        self.lab = lab
        self.uplink = uplink
        self.v4 = family == "ipv4"
        self.family = FAMILIES[family]
        self.local = uplink.host4 if self.v4 else uplink.host6
        self.router = uplink.router4 if self.v4 else uplink.router6
        self.peer = PEER4 if self.v4 else PEER6
        self.unreachable = (3, 0) if self.v4 else (1, 0)

    def destination(self, number: int) -> str:
        return f"198.51.100.{number}" if self.v4 else f"2001:db8:dead::{number:x}"

    def other_local(self, number: int) -> str:
        return f"10.{self.uplink.number}.0.{200 + number}" if self.v4 else f"{self.uplink.prefix6}a:{number:x}"

    def talk(self, destination: str, port: int = 4500, local: str | None = None) -> socket.socket:
        """A connected UDP socket of the host's that has sent something and stays open, as an IKE daemon's would."""
        opened = self.lab.host.socket(self.family, socket.SOCK_DGRAM)
        opened.settimeout(2)
        # Without it the kernel keeps soft errors from UDP's users (ip(7)).
        level, option = (socket.IPPROTO_IP, IP_RECVERR) if self.v4 else (socket.IPPROTO_IPV6, IPV6_RECVERR)
        opened.setsockopt(level, option, 1)
        opened.bind((local or self.local, 0))
        opened.connect((destination, port))
        opened.send(b"hello")
        return opened


def quoted(path: Path, source: str, port: int) -> bytes:
    """A packet to the peer that the host may have sent."""
    datagram = packets.udp(source, path.peer, port, 4500, b"hello")
    return packets.ipv4(source, path.peer, 17, datagram) if path.v4 else packets.ipv6(source, path.peer, 17, datagram)


def error(path: Path, quote: bytes, destination: str = "") -> bytes:
    """The router's ICMP error about it."""
    to = destination or path.local
    kind, code = path.unreachable
    if path.v4:
        return packets.ipv4(path.router, to, 1, packets.icmp_error(kind, code, quote))
    return packets.ipv6(path.router, to, 58, packets.icmpv6_error(path.router, to, kind, code, quote))


def wire(path: Path) -> Wire:
    """Whole packets from the router to the host."""
    opened = path.lab.router(path.uplink).socket(socket.AF_PACKET, socket.SOCK_DGRAM)
    return Wire(opened, "host0", path.uplink.host_mac)
