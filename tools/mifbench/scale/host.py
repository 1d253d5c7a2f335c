"""A host that grows: interfaces, their addresses, and routes, in the namespace of a lab's host."""

import ipaddress
import socket
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from labkit.processes import wait_until
from labkit.topology import Lab, Namespace

from . import rtnetlink
from .rtnetlink import DELROUTE, NEWADDR, NEWROUTE, RouteSocket

CROWD = 10
"""One of so many addresses is on the uplink, whose events are measured; the rest is spread over all interfaces."""
TENTATIVE = 0x40
"""IFA_F_TENTATIVE."""
V6_EVERY = 5
"""One of so many routes is of IPv6: about what the Internet's own table has."""


@dataclass(frozen=True)
class Size:
    interfaces: int
    addresses: int
    triggers: int
    """In the database: the agent's own, one for each interface and each address, and the clients'."""
    routes: int

    def part(self, divisor: int) -> "Size":
        """At least lo, the uplink and one more interface."""
        interfaces = max(3, self.interfaces // divisor)
        return Size(interfaces, *(max(1, each // divisor) for each in (self.addresses, self.triggers, self.routes)))


FULL = Size(1_000, 10_000, 100_000, 1_000_000)
"""The goal."""


class BigHost:
    """What is beyond the lab's first uplink: veth pairs whose other ends are in a namespace of their own."""

    def __init__(self, lab: Lab) -> None:
        self._host = lab.host
        self._far = Namespace(lab.record, "far")
        self._uplink = lab.host.index(lab.uplinks[0].interface)
        self._kernel = RouteSocket(self._host)
        self._indexes: list[int] = []
        self._addresses = 0
        self._crowd = 0
        self._routes = 0
        # Nobody speaks on those links: all namespaces of a machine share one small table of neighbours.
        self._far.sysctl({"ipv6/conf/default/disable_ipv6": 1})
        quiet = 'type filter hook output priority raw; oifname "w*" drop;'
        self._host.run("nft", f"table inet scale {{ chain quiet {{ {quiet} }}; }}")

    def grow(self, size: Size) -> None:
        """To this size; never smaller. Triggers are not the kernel's."""
        self._add_interfaces(size.interfaces)
        self._add_addresses(size.addresses)
        wait_until(self._is_settled, "the kernel has come round to all addresses", 60, every=0.1)
        self.add_routes(size.routes - self._routes)

    def _add_interfaces(self, count: int) -> None:
        known = len(self._indexes)
        # lo and the uplink are there.
        new = range(known, max(known, count - 2))
        links = [f"link add w{n} type veth peer name w{n} netns {self._far.name}" for n in new]
        self._batch(self._host, [*links, *(f"link set w{n} up" for n in new)])
        self._batch(self._far, [f"link set w{n} up" for n in new])
        self._indexes += [self._host.index(f"w{n}") for n in new]

    def _is_settled(self) -> bool:
        """Whether each link has its link-local address, and the kernel has come round to all addresses."""
        lines = self._host.inside(lambda: Path("/proc/thread-self/net/if_inet6").read_text()).splitlines()
        rows = [line.split() for line in lines]
        linked = {int(row[1], 16) for row in rows if row[0].startswith("fe80")}
        return linked >= set(self._indexes) and not any(int(row[4], 16) & TENTATIVE for row in rows)

    @staticmethod
    def _batch(namespace: Namespace, lines: list[str]) -> None:
        for first in range(0, len(lines), 200):
            namespace.ip(*lines[first : first + 200])

    def _add_addresses(self, count: int) -> None:
        """Half of them IPv4, half IPv6; each interface has a link-local one already, which count too."""
        crowd = range(self._crowd, count // CROWD)
        each = range(self._addresses, count - count // CROWD - len(self._indexes))
        self._kernel.send(rtnetlink.address(NEWADDR, *_crowded(n), self._uplink) for n in crowd)
        for number in each:
            turn, place = divmod(number, len(self._indexes))
            self._kernel.send([rtnetlink.address(NEWADDR, *_spread(number, turn), self._indexes[place])])
        self._crowd, self._addresses = max(self._crowd, crowd.stop), max(self._addresses, each.stop)

    def add_routes(self, count: int) -> None:
        self._kernel.send(self._route_messages(NEWROUTE, range(self._routes, self._routes + count)))
        self._routes += max(0, count)

    def remove_routes(self, count: int) -> None:
        self._kernel.send(self._route_messages(DELROUTE, range(self._routes - count, self._routes)))
        self._routes -= count

    def _route_messages(self, kind: int, numbers: range) -> Iterator[bytes]:
        interface = self._indexes[0]
        for n in numbers:
            if n % V6_EVERY == 0:
                prefix = (0x2A00_0000_0000_0000 + (n << 4)).to_bytes(8, "big") + bytes(8)
                yield rtnetlink.route(kind, socket.AF_INET6, prefix, interface)
            else:
                yield rtnetlink.route(kind, socket.AF_INET, (0x2000_0000 + (n << 8)).to_bytes(4, "big"), interface)

    def close(self) -> None:
        """Takes the routes away first: the kernel goes through all of them for each interface that ends with its namespace,
        and meanwhile nobody on the machine gets a new one."""
        self.remove_routes(self._routes)
        self._kernel.close()


def _crowded(number: int) -> tuple[rtnetlink.IPAddress, int]:
    if number % 2:
        return ipaddress.IPv6Address(0x2001_0DB8_0001_0000_0000_0000_0001_0000 + number), 64
    return ipaddress.IPv4Address(0x0A01_8000 + number), 24


def _spread(number: int, turn: int) -> tuple[rtnetlink.IPAddress, int]:
    """IPv4 in one turn through the interfaces, IPv6 in the next: where there is none of IPv4, a DHCP client is expected."""
    if turn % 2:
        return ipaddress.IPv6Address(0x2001_0DB8_1000_0000_0000_0000_0000_0001 + (number << 64)), 64
    return ipaddress.IPv4Address(0x0B00_0001 + (number << 8)), 24
