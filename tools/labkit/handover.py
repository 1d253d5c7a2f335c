"""One hand-over, measured on the wire: from a router's first error to the peer's first packet over the new path."""

import os
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from ipaddress import ip_address

from .processes import LabError
from .tunnel import PROTOCOL, Tunnel

SO_TIMESTAMPNS = 35  # <asm-generic/socket.h>
PACKET_OUTGOING = 4  # <linux/if_packet.h>
ETH_P_ALL = 3
RTM_NEWROUTE, RTM_DELROUTE = 24, 25  # <linux/rtnetlink.h>
RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_ROUTE = 0x40, 0x400
_ICMP, _UDP, _ICMPV6 = 1, 17, 58


@dataclass(frozen=True)
class Packet:
    """An IP packet as it passed an interface of the host's."""

    when: int
    """CLOCK_REALTIME in nanoseconds, by the kernel."""
    interface: str
    outgoing: bool
    source: str
    destination: str
    protocol: int
    payload: bytes

    @property
    def error(self) -> "Packet | None":
        """What an ICMP "destination unreachable" quotes (RFC 792; RFC 4443, 3.1)."""
        if (self.protocol, self.payload[:1]) in ((_ICMP, b"\3"), (_ICMPV6, b"\1")):
            return parse(self.payload[8:], self.when, self.interface, not self.outgoing)
        return None

    @property
    def ports(self) -> tuple[int, int]:
        source, destination = struct.unpack("!HH", self.payload[:4])
        return source, destination

    @property
    def ike(self) -> bytes:
        """The IKE message of a UDP datagram, empty if there is none (RFC 3948, 2.2)."""
        if self.protocol != _UDP or len(self.payload) < 8:
            return b""
        data = self.payload[8:]
        if 4500 not in self.ports:
            return data if 500 in self.ports else b""
        return data[4:] if data[:4] == bytes(4) else b""


def parse(data: bytes, when: int, interface: str, outgoing: bool) -> Packet | None:
    """An IPv4 or IPv6 packet; None for what is neither, or has no room for a header."""
    if len(data) >= 20 and data[0] >> 4 == 4:
        source, destination, protocol, start = data[12:16], data[16:20], data[9], (data[0] & 15) * 4
    elif len(data) >= 40 and data[0] >> 4 == 6:
        source, destination, protocol, start = data[8:24], data[24:40], data[6], 40
    else:
        return None
    return Packet(
        when, interface, outgoing, str(ip_address(source)), str(ip_address(destination)), protocol, data[start:]
    )


def is_error_about(packet: Packet, destination: str) -> bool:
    return (quoted := packet.error) is not None and quoted.destination == destination


@dataclass(frozen=True)
class Change:
    """A route that was made or removed."""

    when: int
    """CLOCK_REALTIME in nanoseconds when the kernel's message was read."""
    added: bool
    protocol: int


class Watch:
    """Listens to the host's uplinks and to its routes, in a thread of its own."""

    def __init__(self, tunnel: Tunnel, packets: bool = True) -> None:
        """Without `packets` it listens to the routes alone."""
        self.packets: list[Packet] = []
        self.changes: list[Change] = []
        self._sockets: dict[int, tuple[socket.socket, str]] = {}
        host = tunnel.lab.host
        for uplink in tunnel.lab.uplinks if packets else ():
            if tunnel.lab.shared_link and uplink is not tunnel.old:
                continue
            opened = host.socket(socket.AF_PACKET, socket.SOCK_DGRAM)
            opened.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 8 << 20)
            host.inside(lambda opened=opened, name=uplink.interface: opened.bind((name, ETH_P_ALL)))
            self._sockets[opened.fileno()] = opened, uplink.interface
        self._routes = host.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._routes.bind((0, RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE))
        self._wake, self._end = os.pipe()
        self._news = threading.Condition()
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def close(self) -> None:
        os.close(self._end)
        self._thread.join()
        os.close(self._wake)
        self._routes.close()
        for opened, _ in self._sockets.values():
            opened.close()

    def __enter__(self) -> "Watch":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def first(self, wanted: Callable[[Packet], bool], seconds: float) -> Packet | None:
        """The first packet of that kind since the watch began; waits for it."""
        deadline = time.monotonic() + seconds
        seen = 0
        with self._news:
            while True:
                for packet in self.packets[seen:]:
                    if wanted(packet):
                        return packet
                seen = len(self.packets)
                if not self._news.wait(max(0.0, deadline - time.monotonic())) and time.monotonic() >= deadline:
                    return None

    def _run(self) -> None:
        poll = select.poll()
        for number in (*self._sockets, self._routes.fileno(), self._wake):
            poll.register(number, select.POLLIN)
        while True:
            for number, _ in poll.poll():
                if number == self._wake:
                    return
                with self._news:
                    if number == self._routes.fileno():
                        self._take_routes()
                    else:
                        self._take_packet(*self._sockets[number])
                    self._news.notify_all()

    def _take_routes(self) -> None:
        try:
            data = self._routes.recv(65536)
        except OSError as error:
            raise LabError(f"the kernel's news about routes were lost: {error}") from None
        now = time.clock_gettime_ns(time.CLOCK_REALTIME)
        while len(data) >= 28:
            length, kind = struct.unpack_from("=IH", data)
            if kind in (RTM_NEWROUTE, RTM_DELROUTE):
                # rtm_protocol is the sixth octet of struct rtmsg.
                self.changes.append(Change(now, kind == RTM_NEWROUTE, data[16 + 5]))
            data = data[(length + 3) & ~3 :]

    def _take_packet(self, opened: socket.socket, interface: str) -> None:
        try:
            data, ancillary, _, address = opened.recvmsg(2048, 64)
        except OSError:
            return  # the interface went down
        when = time.clock_gettime_ns(time.CLOCK_REALTIME)
        for _, kind, value in ancillary:
            if kind == SO_TIMESTAMPNS:
                seconds, nanoseconds = struct.unpack("=qq", value)
                when = seconds * 1_000_000_000 + nanoseconds
        packet = parse(data, when, interface, address[2] == PACKET_OUTGOING)
        if packet is not None:
            self.packets.append(packet)


@dataclass(frozen=True)
class Handover:
    """All times in nanoseconds of CLOCK_REALTIME; None for what didn't come."""

    began: int
    """When the lab broke the path."""
    error: int | None
    """The first ICMP error about the peer."""
    probe: int | None
    """The round trip, in nanoseconds, of the probe over the old path that an ICMP error answered."""
    change: int | None
    """The first route change of mif-mobike's."""
    moved: int | None
    """The IKE_SA's first packet from the peer over the new path."""
    kept: bool
    """Both ends still have the IKE_SA."""
    gap: float | None = None
    """The longest time without an answer through the tunnel, in milliseconds."""

    @property
    def total(self) -> float | None:
        """Milliseconds from the first error, or from the break where there was none, to the new path."""
        return self._since(self.moved)

    @property
    def share(self) -> float | None:
        """Milliseconds from the same to the route change."""
        return self._since(self.change)

    def _since(self, then: int | None) -> float | None:
        return None if then is None else (then - (self.error or self.began)) / 1e6


def measure(tunnel: Tunnel, watch: Watch, break_it: Callable[[], None], patience: float) -> Handover:
    """Breaks the path and waits until the IKE_SA stands on the new one, as long as the patience, in seconds, lasts."""
    spi, old, new = tunnel.initiator_spi, tunnel.old.interface, tunnel.new.interface
    began = time.clock_gettime_ns(time.CLOCK_REALTIME)
    break_it()
    moved = watch.first(
        lambda p: p.when > began and p.interface == new and not p.outgoing and p.ike[:8] == spi, patience
    )
    packets = [each for each in watch.packets if each.when > began and each.interface == old]
    errors = [each for each in packets if not each.outgoing and is_error_about(each, tunnel.address)]
    changes = [each.when for each in watch.changes if each.when > began and each.protocol == PROTOCOL]
    return Handover(
        began,
        errors[0].when if errors else None,
        _probe(packets, errors, spi),
        changes[0] if changes else None,
        moved.when if moved else None,
        tunnel.kept,
    )


def _probe(packets: Sequence[Packet], errors: Sequence[Packet], spi: bytes) -> int | None:
    """The round trip of the first probe that an error answered: an IKE message that isn't the IKE_SA's own."""
    answered = {quoted.ike[:16]: error.when for error in reversed(errors) if (quoted := error.error) and quoted.ike}
    for sent in packets:
        if sent.outgoing and sent.ike and sent.ike[:8] != spi and sent.ike[:16] in answered:
            return answered[sent.ike[:16]] - sent.when
    return None
