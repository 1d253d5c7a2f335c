"""A subscriber of the trigger database, written from docs/protocol.md."""

import errno
import ipaddress
import socket
import struct
import time
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path

from .connection import Connection
from .frame import Message, Payload, ProtocolError, SocketAddress, interface_name, zeros
from .processes import Timeout
from .ring import Ring


class Verb(IntEnum):
    ADD = 1
    GET = 2
    DELETE = 3
    REGISTER = 4
    NOTIFY = 5
    MODIFY = 6


class Kind(IntEnum):
    """tdb_trigger_type."""

    IF_ADDED = 1
    IF_REMOVED = 2
    IF_ADDRCHANGED = 3
    CONN_ESTABLISHED = 4
    CONN_LOST = 5
    DEST_UNREACHABLE = 6


class Source(IntEnum):
    KERNEL = 1
    RA = 2
    DHCPV4 = 3
    DHCPV6 = 4
    ICMP = 5
    CLIENT = 6


class Reason(IntEnum):
    NONE = 0
    EXPIRED = 1
    CONTRADICTED = 2
    DELETED = 3
    UNMATCHED = 4


ADDRESS, TRIGGER, ORIGIN, FILTER, PLACE = 1, 2, 0x8001, 0x8002, 0x8003
CAUSE, REPLAY, WITH_ORIGIN, RING, WITH_FILTER = 0x01, 0x02, 0x04, 0x08, 0x10


def trigger(kind: int = 0, id: int = 0) -> Payload:
    return Payload(TRIGGER, struct.pack("=HHII", kind, 0, id, 0))


def address(ip: str, prefix: int | None = None, scope: int = 0) -> Payload:
    parsed = ipaddress.ip_address(ip)
    length = parsed.max_prefixlen if prefix is None else prefix
    return Payload(ADDRESS, bytes([length, 0, 0, 0]) + SocketAddress(parsed, 0, scope).wire)


def filter(
    *kinds: int, interface: int = 0, prefix: str | None = None, scope: int = 0, count: int | None = None
) -> Payload:
    """What a subscriber wants to be told: trigger types (none: any), an interface, a prefix. `count` lies about the
    types."""
    where, length = b"", 0
    if prefix is not None:
        network = ipaddress.ip_interface(prefix)
        where, length = SocketAddress(network.ip, 0, scope).wire, network.network.prefixlen
    head = struct.pack("=IBBHI", interface, length, len(kinds) if count is None else count, 0, 0)
    return Payload(FILTER, head + where.ljust(32, b"\0") + struct.pack(f"={len(kinds)}H", *kinds))


@dataclass(frozen=True)
class Address:
    ip: str
    prefix: int
    scope: int = 0

    @staticmethod
    def parse(body: bytes) -> "Address":
        where = SocketAddress.parse(body[4:])
        size = 20 if where.ip.version == 4 else 36
        if len(body) != size or body[0] > where.ip.max_prefixlen or where.port != 0:
            raise ProtocolError(f"ADDRESS {body.hex(' ')}")
        zeros(body[1:4], "ADDRESS reserved")
        return Address(str(where.ip), body[0], where.scope)

    def __str__(self) -> str:
        return f"{self.ip}/{self.prefix}" + (f"%{self.scope}" if self.scope else "")


@dataclass(frozen=True)
class Origin:
    interface: int
    name: str
    pvd: int
    source: Source
    icmp_type: int
    icmp_code: int
    reason: Reason
    count: int
    address_flags: int
    timestamp: int

    @staticmethod
    def parse(body: bytes) -> "Origin":
        if len(body) != 44:
            raise ProtocolError(f"ORIGIN {body.hex(' ')}")
        interface, name, pvd, source, icmp_type, code, reason, count, flags, stamp = struct.unpack(
            "=I16sIBBBBIIQ", body
        )
        return Origin(
            interface, interface_name(name), pvd, Source(source), icmp_type, code, Reason(reason), count, flags, stamp
        )


@dataclass(frozen=True)
class Trigger:
    """A trigger as NOTIFY tells it or GET answers it."""

    cause: int
    """The msgtype that caused the NOTIFY: ADD, MODIFY, DELETE; 0 without the extension CAUSE."""
    type: int
    id: int
    addresses: tuple[Address, ...]
    origin: Origin | None
    seq: int
    pid: int
    received: int

    @property
    def ips(self) -> tuple[str, ...]:
        return tuple(each.ip for each in self.addresses)

    @property
    def interface(self) -> str:
        return self.origin.name if self.origin else ""

    @staticmethod
    def parse(message: Message) -> "Trigger":
        body = message.one(TRIGGER)
        kind, reserved1, id, reserved2 = struct.unpack("=HHII", body)
        if reserved1 or reserved2 or id == 0 or kind == 0:
            raise ProtocolError(f"TRIGGER {body.hex(' ')}")
        origins = message.all(ORIGIN)
        if origins and (len(origins) > 1 or message.payloads[-1].kind != ORIGIN):
            raise ProtocolError("ORIGIN is not the last payload")
        return Trigger(
            message.flags,
            kind,
            id,
            tuple(Address.parse(each) for each in message.all(ADDRESS)),
            Origin.parse(origins[0]) if origins else None,
            message.seq,
            message.pid,
            message.received,
        )

    def __str__(self) -> str:
        cause = {1: "ADD", 3: "DELETE", 6: "MODIFY"}.get(self.cause, str(self.cause))
        known = {int(kind): kind.name for kind in Kind}
        where = " ".join(str(each) for each in self.addresses)
        origin = ""
        if self.origin:
            o = self.origin
            icmp = f" {o.icmp_type}/{o.icmp_code}" if o.source == Source.ICMP else ""
            reason = f" {o.reason.name}" if o.reason else ""
            origin = f" [{o.name or '-'} {o.source.name}{icmp}{reason} x{o.count}]"
        return f"{cause} {known.get(self.type, self.type)} #{self.id} {where}{origin}".replace("  ", " ")


END = "end of replay"


class TriggerClient(Connection):
    """`log` is all that was told, in order; `standing` what stands according to it (with CAUSE)."""

    name = "trigger.sock"

    def __init__(self, directory: Path, connected: socket.socket | None = None) -> None:
        super().__init__(directory, connected)
        self.log: list[Trigger] = []
        self.standing: dict[int, Trigger] = {}
        self.marks: list[int] = []
        """How long the log was at each end of a replay."""
        self.granted = 0
        self.ring: Ring | None = None
        """Where news are once a REGISTER with RING was answered, or its replay is through."""

    def is_news(self, message: Message) -> bool:
        return message.kind == Verb.NOTIFY and message.errno == 0

    def take_news(self, message: Message) -> None:
        places = message.all(PLACE)
        if len(message.payloads) == len(places):
            if message.flags or message.pid or len(places) != bool(self.granted & RING):
                raise ProtocolError(f"end of replay: {message}")
            if self.ring and places:
                _, self.ring.position = struct.unpack("=IQ", places[0])
            self.marks.append(len(self.log))
            return
        told = Trigger.parse(message)
        self._check(told)
        self.log.append(told)

    def _check(self, told: Trigger) -> None:
        """What any subscriber may rely on, whatever the story."""
        if bool(told.origin) != bool(self.granted & WITH_ORIGIN):
            raise ProtocolError(f"ORIGIN without its extension, or the other way round: {told}")
        if not self.granted & CAUSE:
            if told.cause:
                raise ProtocolError(f"flags {told.cause} without CAUSE: {told}")
            return
        match told.cause:
            case Verb.ADD:
                if told.id in self.standing:
                    raise ProtocolError(f"told twice: {told}")
                self.standing[told.id] = told
            case Verb.MODIFY:
                if self.granted & REPLAY and told.id not in self.standing:
                    raise ProtocolError(f"modified before it was told: {told}")
                self.standing[told.id] = told
            case Verb.DELETE:
                if self.granted & REPLAY and told.id not in self.standing:
                    raise ProtocolError(f"deleted before it was told: {told}")
                self.standing.pop(told.id, None)
            case _:
                raise ProtocolError(f"cause {told.cause}: {told}")
        if told.origin and bool(told.origin.reason) != (told.cause == Verb.DELETE):
            raise ProtocolError(f"reason of a deletion: {told}")

    def register(
        self, extensions: int = CAUSE | REPLAY | WITH_ORIGIN, view: Payload | None = None, seconds: float = 30.0
    ) -> list[Trigger]:
        """Registers, with a FILTER if there is one, and with REPLAY reads up to the mark. Returns what was replayed."""
        before, marks = len(self.log), len(self.marks)
        self.standing.clear()
        # What is told after the answer has what is granted; nothing comes before it on a fresh socket.
        self.granted = extensions & (CAUSE | REPLAY | WITH_ORIGIN | RING) | (WITH_FILTER if view else 0)
        payloads = (view,) if view else ()
        answer = self.request(Verb.REGISTER, *payloads, flags=extensions | self.granted)
        places = [payload for payload in answer.payloads if payload.kind == PLACE]
        if len(places) != bool(self.granted & RING):
            raise ProtocolError(f"answer to REGISTER: {answer}")
        if places:
            self._join(places[0])
        rest = [payload.wire for payload in answer.payloads if payload.kind != PLACE]
        repeated = rest == [payload.wire for payload in payloads]
        if answer.kind != Verb.REGISTER or answer.errno or not repeated or answer.flags != self.granted:
            raise ProtocolError(f"answer to REGISTER: {answer}")
        if not self.granted & REPLAY:
            return []
        deadline = time.monotonic() + seconds
        while len(self.marks) == marks:
            if not self.pump(deadline - time.monotonic()):
                raise Timeout("no end of the replay")
        return self.log[before : self.marks[-1]]

    def _join(self, place: Payload) -> None:
        if len(self.passed) != (0 if self.ring else 3):
            raise ProtocolError(f"{len(self.passed)} descriptors with the answer to REGISTER")
        if self.ring:
            offset, self.ring.position = struct.unpack("=IQ", place.body)
            if offset != self.ring.offset:
                raise ProtocolError("another place in the page")
        else:
            ring, page, bell = (self.passed.popleft() for _ in range(3))
            self.ring = Ring(ring, page, bell, place)

    def hear(self, seconds: float = 0.0) -> list[Trigger]:
        """What is on the ring; waits for it, asleep, where there is nothing."""
        assert self.ring
        heard: list[Trigger] = []
        while True:
            message = self.ring.next()
            if message is None:
                if heard or not self.ring.sleep(seconds):
                    return heard
                continue
            if message.kind != Verb.NOTIFY or message.errno:
                raise ProtocolError(f"on the ring: {message}")
            told = Trigger.parse(message)
            if not told.origin:
                raise ProtocolError(f"on the ring without ORIGIN: {told}")
            self._check(told)
            self.log.append(told)
            heard.append(told)

    def close(self) -> None:
        super().close()
        if self.ring:
            self.ring.close()
            self.ring = None

    def _trigger(self, verb: Verb, *payloads: Payload) -> Message:
        answer = self.request(verb, *payloads)
        if answer.kind != verb:
            raise ProtocolError(f"answer of type {answer.kind} to {verb.name}")
        return answer

    def add(self, kind: int, *addresses: Payload) -> Message:
        return self._trigger(Verb.ADD, trigger(kind), *addresses)

    def modify(self, id: int, kind: int, *addresses: Payload) -> Message:
        return self._trigger(Verb.MODIFY, trigger(kind, id), *addresses)

    def get(self, id: int) -> Message:
        return self._trigger(Verb.GET, trigger(0, id))

    def delete(self, id: int) -> Message:
        return self._trigger(Verb.DELETE, trigger(0, id))

    def barrier(self) -> None:
        """Whatever was told before the agent read this request is in the log when it returns."""
        answer = self.get(0xFFFFFFF0)
        if answer.errno != errno.ENOENT:
            raise ProtocolError(f"GET of a trigger that never was: {answer}")
