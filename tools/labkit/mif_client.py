"""A subscriber of the MIF API, written from docs/protocol.md.

It follows everything: each interface that is announced is asked for its PvDs, each PvD for its elements and
addresses. What was told stands in `log`, in order, and the protocol's rules of order are checked at each message.
"""

import errno
import ipaddress
import socket
import struct
import time
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from .connection import Connection
from .frame import Message, Payload, ProtocolError, SocketAddress, interface_name, text, zeros
from .processes import Timeout


class Mif(IntEnum):
    ANNOUNCE_INTERFACES = 1
    STOP_ANNOUNCING_INTERFACES = 2
    INTERFACE = 3
    NO_INTERFACE = 4
    ANNOUNCE_PVDS = 5
    STOP_ANNOUNCING_PVDS = 6
    PVD = 7
    NO_PVD = 8
    ANNOUNCE_CONFIG_ELEMENTS = 9
    ELEMENT = 10
    NO_ELEMENT = 11
    STOP_ANNOUNCING_CONFIG_ELEMENTS = 12
    ANNOUNCE_ADDRESSES = 13
    ADDRESS = 14
    STOP_ANNOUNCING_ADDRESSES = 15
    NO_ADDRESS = 16
    GET_CONFIG_DATA = 17
    CONFIG_DATA = 18
    NO_CONFIG_DATA = 19
    TRANSLATE_NAME = 20
    STOP_TRANSLATING_NAME = 21
    NAME_TRANSLATION = 22
    CONNECT_TO_PVD = 23
    CONNECT_TO_ADDRESS = 24
    CONNECT_TO_ADDRESS_FROM_ADDRESS = 25
    CONNECTED = 26
    NOT_CONNECTED = 27
    WANTS_TO_CONNECT = 28
    CONNECTION_IDLE = 29
    CONNECTION_CAN_BE_BROKEN = 30
    INTERFACE_GOING_AWAY = 31
    INTERFACE_GOING_UP = 32
    NAME_TRANSLATION_ENDED = 33
    SNAPSHOT_END = 34
    OVERRUN = 35
    GET_STATISTICS = 36
    STATISTICS = 37
    TAKE_INTERFACE_DOWN = 40


class Element(IntEnum):
    RA = 1
    DHCPV6 = 2
    DHCPV4 = 3
    KERNEL = 4


class Info(IntEnum):
    """Configuration Information Identifiers."""

    ALL = 0
    DNS_SERVERS = 1
    SEARCH_LIST = 2
    MTU = 3
    HOP_LIMIT = 4
    PREFIXES = 5
    ROUTES = 6
    DEFAULT_ROUTER = 7
    PVD_OPTION = 12
    LEASE = 13
    DOMAIN_NAME = 15
    ADDITIONAL_INFORMATION = 18


SNAPSHOT = 0x01
EXPLICIT = 0x01
# Payload types
P_INTERFACE, P_PVD, P_ELEMENT, P_ADDRESS, P_DATA, P_COUNTER = 1, 2, 3, 4, 5, 10
P_NAME, P_TRANSACTION, P_ENDPOINT, P_FAILURE = 6, 7, 8, 9
TCP, UDP = 6, 17
DESTINATION, SOURCE = 1, 2
UP, CARRIER, LOOPBACK, POINT_TO_POINT = 1, 2, 4, 8


class Datum(NamedTuple):
    """One item of configuration data."""

    info: int
    value: object
    preferred: int
    valid: int


@dataclass(frozen=True)
class Told:
    """One announcement."""

    kind: Mif
    snapshot: bool
    interface: int = 0
    """ifindex; for what belongs to a PvD, that of the PvD's interface."""
    name: str = ""
    """The interface's name, or the PvD's."""
    pvd: int = 0
    element: int = 0
    ip: str = ""
    prefix: int = 0
    flags: int = 0
    preferred: int = 0
    valid: int = 0
    received: int = 0

    def __str__(self) -> str:
        words = [self.kind.name]
        if self.kind in (Mif.INTERFACE, Mif.NO_INTERFACE, Mif.INTERFACE_GOING_AWAY, Mif.INTERFACE_GOING_UP):
            words.append(f"{self.interface} {self.name} flags {self.flags:#x}")
        elif self.kind in (Mif.PVD, Mif.NO_PVD):
            words.append(f"{self.pvd} {self.name} on {self.interface}")
        elif self.kind in (Mif.ELEMENT, Mif.NO_ELEMENT):
            words.append(f"{Element(self.element).name} of PvD {self.pvd}")
        elif self.kind in (Mif.ADDRESS, Mif.NO_ADDRESS):
            words.append(f"{self.ip}/{self.prefix} of PvD {self.pvd}, {self.preferred}/{self.valid} s")
        return " ".join(words) + (" (snapshot)" if self.snapshot else "")


class From(IntEnum):
    """Who says that it failed."""

    NOTHING = 0
    LOCAL = 1
    ICMP = 2
    ICMPV6 = 3
    RESOLVER = 4
    TIME_OUT = 5
    PEER = 6


class Failure(NamedTuple):
    errno: int
    origin: From
    icmp: tuple[int, int] = (0, 0)
    """Type and code."""
    rcode: int = 0

    def __str__(self) -> str:
        return f"{errno.errorcode.get(self.errno, self.errno)} from {self.origin.name} {self.icmp} RCODE {self.rcode}"


COMPLETE = Failure(0, From.NOTHING)


class Found(NamedTuple):
    """An address that a name was translated to."""

    ip: str
    ttl: int
    scope: int


class Errand:
    """A translation or a connection: what was asked for, and what has come of it."""

    def __init__(self, kind: Mif, identifier: int, what: str) -> None:
        self.kind = kind
        self.identifier = identifier
        self.what = what
        self.found: list[Found] = []
        self.refused = 0
        """The errno that the request was answered with."""
        self.failure: Failure | None = None
        """How it ended; of a connection, how it failed."""
        self.descriptor: int | None = None

    def __str__(self) -> str:
        words = [f"{self.kind.name} {self.identifier} {self.what}:", *(found.ip for found in self.found)]
        if self.refused:
            words.append(errno.errorcode[self.refused])
        if self.failure:
            words.append(str(self.failure))
        if self.descriptor is not None:
            words.append("connected")
        return " ".join(words)

    @property
    def ended(self) -> bool:
        return bool(self.refused) or self.failure is not None or self.descriptor is not None

    @property
    def ips(self) -> list[str]:
        return [found.ip for found in self.found]

    def socket(self) -> socket.socket:
        """The connection, which is the caller's from now on."""
        if self.descriptor is None:
            raise AssertionError(f"no connection: {self}")
        made, self.descriptor = socket.socket(fileno=self.descriptor), -1
        return made

    def take(self, message: Message, passed: "deque[int]") -> None:
        kinds = {
            Mif.TRANSLATE_NAME: (Mif.NAME_TRANSLATION, Mif.NAME_TRANSLATION_ENDED),
            Mif.CONNECT_TO_ADDRESS: (Mif.CONNECTED, Mif.NOT_CONNECTED),
            Mif.CONNECT_TO_ADDRESS_FROM_ADDRESS: (Mif.CONNECTED, Mif.NOT_CONNECTED),
        }[self.kind]
        if self.ended:
            raise ProtocolError(f"{message} after the last one of {self}")
        if message.errno:
            if message.kind != self.kind or self.found:
                raise ProtocolError(f"{message} to {self}")
            self.refused = message.errno
            return
        if message.kind not in kinds or message.flags:
            raise ProtocolError(f"{message} to {self}")
        identifier = struct.unpack("=I", message.one(P_TRANSACTION))[0]
        if identifier != self.identifier:
            raise ProtocolError(f"TRANSACTION {identifier} to {self}")
        match message.kind:
            case Mif.NAME_TRANSLATION:
                self.found.append(_found(message))
            case Mif.NAME_TRANSLATION_ENDED | Mif.NOT_CONNECTED:
                self.failure = _failure(message)
                if (self.failure.errno == 0) != (self.failure.origin == From.NOTHING):
                    raise ProtocolError(f"{self.failure}")
                if message.kind == Mif.NOT_CONNECTED and not self.failure.errno:
                    raise ProtocolError("NOT_CONNECTED without a reason")
            case Mif.CONNECTED:
                if len(passed) != 1:
                    raise ProtocolError(f"CONNECTED with {len(passed)} descriptors")
                self.descriptor = passed.popleft()


def interface_payload(index: int) -> Payload:
    return Payload(P_INTERFACE, struct.pack("=I16sII", index, b"", 0, 0))


def pvd_payload(pvd: int) -> Payload:
    return Payload(P_PVD, struct.pack("=IBBH", pvd, 0, 0, 0))


def element_payload(element: int, info: int = 0) -> Payload:
    return Payload(P_ELEMENT, struct.pack("=HHII", element, 0, info, 0))


def name_payload(name: str | bytes) -> Payload:
    data = name.encode() if isinstance(name, str) else name
    return Payload(P_NAME, struct.pack("=HH", len(data), 0) + data)


def transaction_payload(identifier: int) -> Payload:
    return Payload(P_TRANSACTION, struct.pack("=I", identifier))


def endpoint_payload(ip: str, port: int, role: int = DESTINATION, transport: int = TCP, scope: int = 0) -> Payload:
    where = SocketAddress(ipaddress.ip_address(ip), port, scope)
    return Payload(P_ENDPOINT, struct.pack("=BBH", transport, role, 0) + where.wire)


class MifClient(Connection):
    name = "mif.sock"

    def __init__(self, directory: Path, connected: socket.socket | None = None) -> None:
        super().__init__(directory, connected)
        self.log: list[Told] = []
        self.interfaces: dict[int, Told] = {}
        self.pvds: dict[int, Told] = {}
        self.elements: dict[tuple[int, int], Told] = {}
        self.addresses: dict[tuple[int, str], Told] = {}
        self.overruns = 0
        self._open: dict[int, tuple[Mif, int]] = {}
        """Requests of `follow` whose snapshots are not complete: seq → what was asked for, about what."""
        self._following = False
        self._awaited = 0
        """The seq of a request that is not `follow`'s, while its answer is awaited."""
        self._errands: dict[int, Errand] = {}
        """Translations and connections that have not ended, by the seq of their requests."""
        self._last_identifier = 0

    # What the agent tells

    def is_news(self, message: Message) -> bool:
        return message.errno == 0 and message.kind in _NEWS and not message.flags & SNAPSHOT

    def take_news(self, message: Message) -> None:
        self._take(message, snapshot=False)

    def pump(self, seconds: float) -> bool:
        came = super().pump(seconds)
        if came and self.answers and self.answers[-1].seq in self._errands:
            self._take_result(self.answers.pop())
        if self.passed:
            raise ProtocolError("a descriptor beside something else than CONNECTED")
        self._sort_answers()
        return came

    def _take_result(self, message: Message) -> None:
        errand = self._errands[message.seq]
        if message.pid != self.pid:
            raise ProtocolError(f"{message} with pid {message.pid}, asked with {self.pid}")
        errand.take(message, self.passed)
        if errand.ended:
            del self._errands[message.seq]

    def _sort_answers(self) -> None:
        """Takes what answers `follow`'s requests, up to an answer that somebody else waits for."""
        while self.answers and self.answers[0].seq != self._awaited and self._open:
            self._take_answer(self.answers.popleft())

    def _take_answer(self, message: Message) -> None:
        oldest = next(iter(self._open))
        if message.seq != oldest or message.pid != self.pid:
            raise ProtocolError(f"answer to {message.seq} where the one to {oldest} was due: {message}")
        asked, about = self._open[oldest]
        if message.errno:
            gone = about not in (self.interfaces if asked == Mif.ANNOUNCE_PVDS else self.pvds)
            # It may have gone between its announcement and our request; the news of that comes first.
            if message.errno != errno.ENOENT or not gone:
                raise ProtocolError(f"errno {message.errno} to {asked.name} {about}")
            del self._open[oldest]
        elif message.kind == Mif.SNAPSHOT_END:
            del self._open[oldest]
        elif message.kind == _ITEM[asked]:
            self._take(message, snapshot=True)
        else:
            raise ProtocolError(f"{message.kind} in the answer to {asked.name}")

    def _take(self, message: Message, snapshot: bool) -> None:
        told = self._parse(message, snapshot)
        self.log.append(told)
        self._keep(told)

    def _parse(self, message: Message, snapshot: bool) -> Told:
        kind = Mif(message.kind)
        fields: dict[str, object] = {}
        match kind:
            case Mif.INTERFACE | Mif.NO_INTERFACE | Mif.INTERFACE_GOING_AWAY | Mif.INTERFACE_GOING_UP:
                index, name, flags, reserved = struct.unpack("=I16sII", message.one(P_INTERFACE))
                if index == 0 or reserved or flags & ~0xF:
                    raise ProtocolError(f"INTERFACE {index}, flags {flags:#x}")
                fields = {"interface": index, "name": interface_name(name), "flags": flags}
            case Mif.PVD | Mif.NO_PVD:
                index, *_ = struct.unpack_from("=I", message.one(P_INTERFACE))
                pvd, name, flags = _pvd(message)
                if not name:
                    raise ProtocolError(f"PvD {pvd} without a name")
                fields = {"interface": index, "pvd": pvd, "name": name, "flags": flags}
            case Mif.ELEMENT | Mif.NO_ELEMENT:
                pvd, _, _ = _pvd(message)
                element, reserved, info, more = struct.unpack("=HHII", message.one(P_ELEMENT))
                if reserved or info or more:
                    raise ProtocolError(f"ELEMENT {element} with {info}")
                fields = {"pvd": pvd, "element": Element(element)}
            case Mif.ADDRESS | Mif.NO_ADDRESS:
                pvd, _, _ = _pvd(message)
                body = message.one(P_ADDRESS)
                prefix, reserved, flags, preferred, valid = struct.unpack_from("=BBHII", body)
                where = SocketAddress.parse(body[12:])
                if reserved or prefix > where.ip.max_prefixlen or where.port:
                    raise ProtocolError(f"ADDRESS {body.hex(' ')}")
                fields = {
                    "pvd": pvd, "ip": str(where.ip), "prefix": prefix, "flags": flags,
                    "preferred": preferred, "valid": valid,
                }  # fmt: skip
            case Mif.OVERRUN:
                pass
            case _:
                raise ProtocolError(f"news of type {kind.name}")
        if "pvd" in fields and "interface" not in fields:
            known = self.pvds.get(fields["pvd"])  # type: ignore[call-overload]
            fields["interface"] = known.interface if known else 0
        return Told(kind=kind, snapshot=snapshot, received=message.received, **fields)  # type: ignore[arg-type]

    def _keep(self, told: Told) -> None:
        """The rules of order, and what follows from each announcement."""
        match told.kind:
            case Mif.INTERFACE:
                new = told.interface not in self.interfaces
                self.interfaces[told.interface] = told
                if new and self._following:
                    self._ask(Mif.ANNOUNCE_PVDS, told.interface, interface_payload(told.interface))
            case Mif.PVD:
                self._rule(told.interface in self.interfaces, told, "its interface is not announced")
                new = told.pvd not in self.pvds
                self._rule(new or self.pvds[told.pvd].interface == told.interface, told, "it was on another interface")
                self.pvds[told.pvd] = told
                if new and self._following:
                    self._ask(Mif.ANNOUNCE_CONFIG_ELEMENTS, told.pvd, pvd_payload(told.pvd))
                    self._ask(Mif.ANNOUNCE_ADDRESSES, told.pvd, pvd_payload(told.pvd))
            case Mif.ELEMENT:
                self._rule(told.pvd in self.pvds, told, "its PvD is not announced")
                self.elements[told.pvd, told.element] = told
            case Mif.ADDRESS:
                self._rule(told.pvd in self.pvds, told, "its PvD is not announced")
                self.addresses[told.pvd, told.ip] = told
            case Mif.NO_ADDRESS:
                self._rule(self.addresses.pop((told.pvd, told.ip), None) is not None, told, "it was not announced")
            case Mif.NO_ELEMENT:
                known = self.elements.pop((told.pvd, told.element), None)
                self._rule(known is not None, told, "it was not announced")
            case Mif.NO_PVD:
                self._rule(self.pvds.pop(told.pvd, None) is not None, told, "it was not announced")
                left = [
                    str(each) for each in [*self.elements.values(), *self.addresses.values()] if each.pvd == told.pvd
                ]
                self._rule(not left, told, f"before {left}")
            case Mif.NO_INTERFACE:
                self._rule(self.interfaces.pop(told.interface, None) is not None, told, "it was not announced")
                left = [str(each) for each in self.pvds.values() if each.interface == told.interface]
                self._rule(not left, told, f"before {left}")
            case Mif.OVERRUN:
                self.overruns += 1
                self.interfaces.clear()
                self.pvds.clear()
                self.elements.clear()
                self.addresses.clear()
            case _:
                pass

    def _rule(self, kept: bool, told: Told, broken: str) -> None:
        if not kept:
            raise ProtocolError(f"{told}: {broken}")

    # What the client asks

    def _ask(self, kind: Mif, about: int, *payloads: Payload) -> None:
        self._open[self.send(kind, *payloads)] = (kind, about)

    def follow(self, seconds: float = 5.0) -> None:
        """Subscribes to everything; returns when all that exists has been told."""
        self._following = True
        self._ask(Mif.ANNOUNCE_INTERFACES, 0)
        self.settle(seconds)

    def settle(self, seconds: float = 5.0) -> None:
        """Waits until every snapshot asked for is complete."""
        deadline = time.monotonic() + seconds
        self._sort_answers()
        while self._open:
            if not self.pump(deadline - time.monotonic()):
                raise Timeout(f"snapshots not complete: {self._open}")

    def answer(self, seq: int, seconds: float = 5.0) -> Message:
        self._awaited = seq
        try:
            return super().answer(seq, seconds)
        finally:
            self._awaited = 0

    def barrier(self) -> None:
        """Whatever was told before the agent read this request is in the log when it returns."""
        answer = self.request(Mif.ANNOUNCE_ADDRESSES, pvd_payload(0xFFFFFFF0))
        self.settle()
        if answer.errno != errno.ENOENT:
            raise ProtocolError(f"a PvD that never was: {answer}")

    def data(self, pvd: int, element: int, info: int = Info.ALL) -> list[Datum]:
        """GET_CONFIG_DATA; an empty list for NO_CONFIG_DATA."""
        answer = self.request(Mif.GET_CONFIG_DATA, pvd_payload(pvd), element_payload(element, info))
        if answer.errno:
            raise OSError(answer.errno, f"GET_CONFIG_DATA {pvd} {element} {info}")
        number, _, _ = _pvd(answer)
        asked = struct.unpack("=HHII", answer.one(P_ELEMENT))
        if pvd not in (0, number) or asked != (element, 0, info, 0):
            raise ProtocolError(f"GET_CONFIG_DATA answered for PvD {number}, {asked}")
        found = [_datum(body) for body in answer.all(P_DATA)]
        if (answer.kind == Mif.CONFIG_DATA) != bool(found) or answer.kind not in (Mif.CONFIG_DATA, Mif.NO_CONFIG_DATA):
            raise ProtocolError(f"answer {answer.kind} with {len(found)} items")
        return found

    def values(self, pvd: int, element: int, info: int) -> list[object]:
        return [datum.value for datum in self.data(pvd, element, info)]

    # Names and connections

    def translate(self, name: str | bytes, pvd: int = 0, identifier: int | None = None) -> Errand:
        """Begins to translate a name; `finish` waits for its end."""
        return self._begin(
            Mif.TRANSLATE_NAME, str(name), identifier, lambda number: [
                pvd_payload(pvd), name_payload(name), transaction_payload(number)
            ],
        )  # fmt: skip

    def lookup(self, name: str | bytes, pvd: int = 0, seconds: float = 5.0) -> Errand:
        """The whole translation of a name."""
        return self.finish(self.translate(name, pvd), seconds)

    def stop_translating(self, errand: Errand) -> None:
        """Nothing comes for it after the answer to this."""
        answer = self.request(Mif.STOP_TRANSLATING_NAME, transaction_payload(errand.identifier))
        if answer.errno or answer.payloads or answer.kind != Mif.STOP_TRANSLATING_NAME:
            raise ProtocolError(f"{answer} to STOP_TRANSLATING_NAME")
        for open_seq in [seq for seq, each in self._errands.items() if each is errand]:
            del self._errands[open_seq]

    def begin_to_connect(
        self, ip: str, port: int, pvd: int = 0, *, source: str | None = None, source_port: int = 0,
        transport: int = TCP, identifier: int | None = None, scope: int = 0,
    ) -> Errand:  # fmt: skip
        """CONNECT_TO_ADDRESS, with a source CONNECT_TO_ADDRESS_FROM_ADDRESS; `finish` waits for its end."""
        kind = Mif.CONNECT_TO_ADDRESS if source is None else Mif.CONNECT_TO_ADDRESS_FROM_ADDRESS
        ends = [endpoint_payload(ip, port, DESTINATION, transport, scope)]
        if source is not None:
            ends.append(endpoint_payload(source, source_port, SOURCE, transport))
        return self._begin(
            kind, f"{ip} {port}", identifier, lambda number: [pvd_payload(pvd), transaction_payload(number), *ends]
        )

    def connect(self, ip: str, port: int, pvd: int = 0, *, seconds: float = 5.0, **options: Any) -> Errand:
        """What came of connecting."""
        return self.finish(self.begin_to_connect(ip, port, pvd, **options), seconds)

    def select_pvd(self, pvd: int) -> int:
        """CONNECT_TO_PVD: what 0 means from now on. The errno."""
        answer = self.request(Mif.CONNECT_TO_PVD, pvd_payload(pvd))
        if answer.kind != Mif.CONNECT_TO_PVD or answer.payloads:
            raise ProtocolError(f"{answer} to CONNECT_TO_PVD")
        return answer.errno

    def _begin(self, kind: Mif, what: str, identifier: int | None, payloads: Callable[[int], list[Payload]]) -> Errand:
        if identifier is None:
            self._last_identifier += 1
            identifier = self._last_identifier
        errand = Errand(kind, identifier, what)
        # It may be answered while it is being sent.
        self._errands[self.seq + 1] = errand
        self.send(kind, *payloads(identifier))
        return errand

    def finish(self, errand: Errand, seconds: float = 5.0) -> Errand:
        self.finish_all([errand], seconds)
        return errand

    def finish_all(self, errands: Sequence[Errand], seconds: float = 5.0) -> None:
        deadline = time.monotonic() + seconds
        for errand in errands:
            while not errand.ended:
                if not self.pump(deadline - time.monotonic()):
                    raise Timeout(f"not within {seconds:g} s: the end of {errand}")

    def statistics(self) -> dict[str, int]:
        seq = self.send(Mif.GET_STATISTICS)
        counters: dict[str, int] = {}
        while True:
            answer = self.answer(seq)
            if answer.errno:
                raise OSError(answer.errno, "GET_STATISTICS")
            if answer.kind == Mif.SNAPSHOT_END:
                return counters
            for body in answer.all(P_COUNTER):
                length, reserved, value = struct.unpack_from("=HHQ", body)
                name = text(body[12:], length, "COUNTER")
                if reserved or name in counters or not name.isascii():
                    raise ProtocolError(f"counter {name!r}")
                counters[name] = value

    # What stands

    def pvd_named(self, name: str) -> Told | None:
        return next((pvd for pvd in self.pvds.values() if pvd.name == name), None)

    def addresses_of(self, pvd: int) -> set[str]:
        return {each.ip for each in self.addresses.values() if each.pvd == pvd}

    def elements_of(self, pvd: int) -> set[int]:
        return {each.element for each in self.elements.values() if each.pvd == pvd}

    def pvds_on(self, interface: int) -> list[Told]:
        return [pvd for pvd in self.pvds.values() if pvd.interface == interface]


_NEWS = {
    Mif.INTERFACE, Mif.NO_INTERFACE, Mif.PVD, Mif.NO_PVD, Mif.ELEMENT, Mif.NO_ELEMENT, Mif.ADDRESS, Mif.NO_ADDRESS,
    Mif.OVERRUN, Mif.INTERFACE_GOING_AWAY, Mif.INTERFACE_GOING_UP,
}  # fmt: skip
_ITEM = {
    Mif.ANNOUNCE_INTERFACES: Mif.INTERFACE,
    Mif.ANNOUNCE_PVDS: Mif.PVD,
    Mif.ANNOUNCE_CONFIG_ELEMENTS: Mif.ELEMENT,
    Mif.ANNOUNCE_ADDRESSES: Mif.ADDRESS,
}


def _pvd(message: Message) -> tuple[int, str, int]:
    body = message.one(P_PVD)
    pvd, length, flags, reserved = struct.unpack_from("=IBBH", body)
    if pvd == 0 or reserved or flags & ~EXPLICIT:
        raise ProtocolError(f"PVD {body.hex(' ')}")
    return pvd, text(body[8:], length, "PvD name"), flags


def _found(message: Message) -> Found:
    """An address of a name: its lifetimes are its TTL, and nothing is known of its prefix."""
    body = message.one(P_ADDRESS)
    prefix, reserved, flags, preferred, valid = struct.unpack_from("=BBHII", body)
    where = SocketAddress.parse(body[12:])
    if reserved or flags or where.port or prefix != where.ip.max_prefixlen or preferred != valid:
        raise ProtocolError(f"ADDRESS {body.hex(' ')}")
    return Found(str(where.ip), valid, where.scope)


def _failure(message: Message) -> Failure:
    body = message.one(P_FAILURE)
    number, origin, reserved, kind, code, more, rcode = struct.unpack("=HBBBBHI", body)
    if reserved or more:
        raise ProtocolError(f"FAILURE {body.hex(' ')}")
    return Failure(number, From(origin), (kind, code), rcode)


class Prefix(NamedTuple):
    network: str
    flags: int


class Route(NamedTuple):
    destination: str
    gateway: str
    preference: int


class Router(NamedTuple):
    ip: str
    preference: int


class PvdOption(NamedTuple):
    flags: int
    sequence: int


class Lease(NamedTuple):
    server: str
    renewal: int
    rebinding: int


def _datum(body: bytes) -> Datum:
    info, kind, length, preferred, valid, reserved = struct.unpack_from("=IHHIII", body)
    value = body[20 : 20 + length]
    if reserved or len(value) != length or len(body) - 20 - length >= 8:
        raise ProtocolError(f"DATA {body.hex(' ')}")
    zeros(body[20 + length :], "padding of DATA")
    return Datum(info, _value(kind, value), preferred, valid)


def _value(kind: int, value: bytes) -> object:
    match kind:
        case 1:
            return str(SocketAddress.parse(value).ip)
        case 2:
            return value.decode()
        case 3:
            return int(struct.unpack("=I", value)[0])
        case 4:
            zeros(value[2:8], "prefix reserved")
            network = ipaddress.ip_network((SocketAddress.parse(value[8:]).ip, value[0]))
            return Prefix(str(network), value[1])
        case 5:
            zeros(value[2:8], "route reserved")
            destination, end = SocketAddress.take(value, 8, padded=True)
            gateway = SocketAddress.parse(value[end:])
            return Route(str(ipaddress.ip_network((destination.ip, value[0]))), str(gateway.ip), _signed(value[1]))
        case 6:
            zeros(value[:1] + value[2:8], "router reserved")
            return Router(str(SocketAddress.parse(value[8:]).ip), _signed(value[1]))
        case 7:
            return PvdOption(*struct.unpack("=HH", value))
        case 8:
            renewal, rebinding = struct.unpack_from("=II", value)
            return Lease(str(SocketAddress.parse(value[8:]).ip), renewal, rebinding)
        case _:
            return value


def _signed(byte: int) -> int:
    return byte - 256 if byte > 127 else byte
