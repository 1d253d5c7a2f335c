"""Routes and addresses straight to the kernel: ip(8) takes a turn for each line, here a datagram holds hundreds."""

import ipaddress
import os
import socket
import struct
from collections.abc import Iterable, Iterator

from labkit.processes import LabError
from labkit.topology import Namespace

NEWADDR, DELADDR, NEWROUTE, DELROUTE = 20, 21, 24, 25
REQUEST, ACK, CREATE = 0x01, 0x04, 0x400
IFA_ADDRESS, IFA_LOCAL = 1, 2
NODAD = 0x02
"""IFA_F_NODAD: an IPv6 address that is there at once."""
RTA_DST, RTA_OIF = 1, 4
MAIN, BOOT, UNIVERSE, LINK, UNICAST = 254, 3, 0, 253, 1
ERROR = 2
BATCH = 32_000
"""Bytes in a datagram; the kernel takes messages of one in order."""
HEADER = struct.Struct("=IHHII")

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address


def _message(kind: int, flags: int, body: bytes) -> bytes:
    return HEADER.pack(HEADER.size + len(body), kind, REQUEST | flags, 0, 0) + body


def _attribute(kind: int, value: bytes) -> bytes:
    return struct.pack("=HH", 4 + len(value), kind) + value


def route(kind: int, family: int, destination: bytes, interface: int) -> bytes:
    """A route of full length less 8 bits to an IPv4 prefix, of 64 bits to an IPv6 one, straight out of the interface."""
    length, scope = (24, LINK) if family == socket.AF_INET else (64, UNIVERSE)
    head = struct.pack("=BBBBBBBBI", family, length, 0, 0, MAIN, BOOT, scope, UNICAST, 0)
    oif = struct.pack("=HHI", 8, RTA_OIF, interface)
    return _message(kind, CREATE if kind == NEWROUTE else 0, head + _attribute(RTA_DST, destination) + oif)


def address(kind: int, ip: IPAddress, length: int, interface: int) -> bytes:
    family = socket.AF_INET if ip.version == 4 else socket.AF_INET6
    head = struct.pack("=BBBBI", family, length, NODAD, UNIVERSE, interface)
    values = b"".join(_attribute(each, ip.packed) for each in (IFA_LOCAL, IFA_ADDRESS))
    return _message(kind, CREATE if kind == NEWADDR else 0, head + values)


class RouteSocket:
    """Speaks to the kernel of one namespace."""

    def __init__(self, namespace: Namespace) -> None:
        self._socket = namespace.socket(socket.AF_NETLINK, socket.SOCK_RAW, socket.NETLINK_ROUTE)
        self._socket.bind((0, 0))

    def send(self, messages: Iterable[bytes]) -> None:
        """All of them, by the datagram. Fails where the kernel refuses one."""
        for datagram in _batches(messages):
            self._socket.send(datagram)
            self._hear()

    def _hear(self) -> None:
        """The last message of a datagram asks for an answer, the others are answered if they fail."""
        while True:
            data = self._socket.recv(65_536)
            offset = 0
            while offset < len(data):
                size, kind, *_ = HEADER.unpack_from(data, offset)
                (number, _, asked, flags) = struct.unpack_from("=iIHH", data, offset + HEADER.size)
                if kind != ERROR:
                    raise LabError(f"netlink message {kind} where an answer was due")
                if number:
                    raise LabError(f"the kernel refuses message {asked}: {os.strerror(-number)}")
                if flags & ACK:
                    return
                offset += size

    def close(self) -> None:
        self._socket.close()


def _batches(messages: Iterable[bytes]) -> Iterator[bytes]:
    batch: list[bytes] = []
    size = 0
    for message in messages:
        if size + len(message) > BATCH:
            yield _asking(batch)
            batch, size = [], 0
        batch.append(message)
        size += len(message)
    if batch:
        yield _asking(batch)


def _asking(batch: list[bytes]) -> bytes:
    size, kind, flags, *_ = HEADER.unpack_from(batch[-1])
    batch[-1] = HEADER.pack(size, kind, flags | ACK, 0, 0) + batch[-1][HEADER.size :]
    return b"".join(batch)
