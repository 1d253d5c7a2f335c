"""The frame and the payloads of the two local protocols, written from docs/protocol.md and from nothing else.

This is the lab's second opinion: it shares no code and no table with the agent. It is strict where a client in the
field would be lenient: reserved bytes and padding that are not zero are an error here.
"""

import ipaddress
import socket
import struct
from dataclasses import dataclass

IPAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
HEADER = struct.Struct("=BBBBHHII")
INFINITE = 0xFFFFFFFF
MAXIMUM = 65_536


def raw(kind: int, body: bytes = b"", *, version: int = 1, len8: int | None = None, seq: int = 77) -> bytes:
    """A request as it may be wrong: the header, with another length where one is given, and any bytes."""
    length = (HEADER.size + len(body)) // 8 if len8 is None else len8
    return HEADER.pack(version, kind, 0, 0, length, 0, seq, 4321) + body


class ProtocolError(AssertionError):
    """The agent sent what docs/protocol.md does not allow."""


@dataclass(frozen=True)
class Payload:
    kind: int
    body: bytes
    """Without the payload's own four bytes, with its padding."""

    @property
    def wire(self) -> bytes:
        body = self.body + b"\0" * (-(4 + len(self.body)) % 8)
        return struct.pack("=HH", (4 + len(body)) // 8, self.kind) + body


@dataclass(frozen=True)
class Message:
    kind: int
    payloads: tuple[Payload, ...] = ()
    seq: int = 0
    pid: int = 0
    errno: int = 0
    flags: int = 0
    received: int = 0
    """CLOCK_REALTIME in nanoseconds, taken as recv returned."""

    def __str__(self) -> str:
        kinds = " ".join(str(payload.kind) for payload in self.payloads[:8])
        return f"message {self.kind} errno {self.errno} flags {self.flags} seq {self.seq} pid {self.pid} [{kinds}]"

    @property
    def wire(self) -> bytes:
        body = b"".join(payload.wire for payload in self.payloads)
        length = (HEADER.size + len(body)) // 8
        return HEADER.pack(1, self.kind, self.errno, self.flags, length, 0, self.seq, self.pid) + body

    @staticmethod
    def parse(data: bytes, received: int = 0) -> "Message":
        if len(data) < HEADER.size or len(data) > MAXIMUM:
            raise ProtocolError(f"a message of {len(data)} bytes")
        version, kind, errno, flags, length, reserved, seq, pid = HEADER.unpack_from(data)
        _check(version == 1, f"version {version}", data)
        _check(length * 8 == len(data), f"len8 {length} of {len(data)} bytes", data)
        _check(reserved == 0, "reserved bytes of the header", data)
        payloads = []
        offset = HEADER.size
        while offset < len(data):
            size, of_kind = struct.unpack_from("=HH", data, offset)
            _check(size > 0 and offset + 8 * size <= len(data), f"payload of len8 {size} at {offset}", data)
            payloads.append(Payload(of_kind, data[offset + 4 : offset + 8 * size]))
            offset += 8 * size
        _check(errno == 0 or not payloads, "an error with payloads", data)
        return Message(kind, tuple(payloads), seq, pid, errno, flags, received)

    def all(self, kind: int) -> list[bytes]:
        return [payload.body for payload in self.payloads if payload.kind == kind]

    def one(self, kind: int) -> bytes:
        found = self.all(kind)
        _check(len(found) == 1, f"{len(found)} payloads of type {kind}", self.wire)
        return found[0]


def _check(good: bool, what: str, data: bytes) -> None:
    if not good:
        raise ProtocolError(f"{what} in {data.hex(' ')}")


def zeros(data: bytes, what: str) -> None:
    """Reserved fields and padding are written as 0."""
    _check(not any(data), f"{what} not zero", data)


@dataclass(frozen=True)
class SocketAddress:
    ip: IPAddress
    port: int = 0
    scope: int = 0

    @property
    def wire(self) -> bytes:
        port = struct.pack("!H", self.port)
        if self.ip.version == 4:
            return struct.pack("=H", socket.AF_INET) + port + self.ip.packed + b"\0" * 8
        return struct.pack("=H", socket.AF_INET6) + port + b"\0" * 4 + self.ip.packed + struct.pack("=I", self.scope)

    @staticmethod
    def parse(data: bytes) -> "SocketAddress":
        """The address at the start of `data`, and zeros after it."""
        (family,) = struct.unpack_from("=H", data)
        (port,) = struct.unpack_from("!H", data, 2)
        if family == socket.AF_INET:
            zeros(data[8:], "after sockaddr_in's address")
            return SocketAddress(ipaddress.IPv4Address(data[4:8]), port)
        _check(family == socket.AF_INET6, f"address family {family}", data)
        zeros(data[4:8], "flow label")
        zeros(data[28:], "after sockaddr_in6")
        (scope,) = struct.unpack_from("=I", data, 24)
        return SocketAddress(ipaddress.IPv6Address(data[8:24]), port, scope)

    @staticmethod
    def take(data: bytes, offset: int, padded: bool) -> "tuple[SocketAddress, int]":
        """One of several addresses: it and where the next one starts."""
        (family,) = struct.unpack_from("=H", data, offset)
        size = 16 if family == socket.AF_INET else 28
        end = offset + (-(-size // 8) * 8 if padded else size)
        return SocketAddress.parse(data[offset:end]), end


def text(data: bytes, length: int, what: str) -> str:
    """A counted text; what follows it is padding."""
    _check(length <= len(data), f"{what} of {length} bytes", data)
    zeros(data[length:], f"padding of {what}")
    _check(len(data) - length < 8, f"padding of {what}", data)
    return data[:length].decode()


def interface_name(data: bytes) -> str:
    name = data.split(b"\0", 1)[0]
    zeros(data[len(name) :], "after an interface's name")
    _check(len(name) <= 15, "an interface's name without an end", data)
    return name.decode()
