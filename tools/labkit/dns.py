"""A DNS server whose every answer a story decides, also the wrong ones; it keeps what it was asked, and by whom.

Messages are put together by hand, as no honest server would (RFC 1035, section 4). It runs in a thread of the story's,
on sockets of the namespace where it stands.
"""

import errno
import ipaddress
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from .processes import patiently, wait_until
from .story import tell
from .topology import Namespace

A, CNAME, SOA, AAAA, OPT = 1, 5, 6, 28, 41
NOERROR, FORMERR, SERVFAIL, NXDOMAIN, NOTIMP, REFUSED = range(6)
PORT = 53


@dataclass(frozen=True)
class Query:
    """One question as it came."""

    id: int
    name: str
    """In lower case, without a final dot."""
    kind: int
    question: bytes
    """The question section."""
    payload: int | None
    """The size that EDNS announces; None without EDNS."""
    source: str
    port: int
    tcp: bool

    def __str__(self) -> str:
        kind = {A: "A", AAAA: "AAAA"}.get(self.kind, str(self.kind))
        return f"{kind} {self.name} from {self.source}{' by TCP' if self.tcp else ''}"

    @staticmethod
    def parse(data: bytes, source: str, port: int, tcp: bool) -> "Query":
        id, flags, questions, _, _, additional = struct.unpack_from("!6H", data)
        assert flags == 0x0100 and questions == 1, f"no question of a resolver's: {data.hex(' ')}"
        labels, place = [], 12
        while data[place]:
            labels.append(data[place + 1 : place + 1 + data[place]].decode())
            place += 1 + data[place]
        kind, of_class = struct.unpack_from("!HH", data, place + 1)
        assert of_class == 1, f"class {of_class}"
        end = place + 5
        payload = None
        if additional:
            root, opt, payload = struct.unpack_from("!BHH", data, end)
            assert (root, opt) == (0, OPT)
        return Query(id, ".".join(labels).lower(), kind, data[12:end], payload, source, port, tcp)


def labels(name: str) -> bytes:
    """Without compression; an empty name is the root."""
    parts = [part.encode() for part in name.split(".") if part]
    return b"".join(bytes([len(part)]) + part for part in parts) + b"\0"


def question(name: str, kind: int, id: int = 1) -> bytes:
    """A query as a simple resolver sends it."""
    return struct.pack("!6H", id, 0x0100, 1, 0, 0, 0) + labels(name) + struct.pack("!HH", kind, 1)


def record(owner: str | bytes, kind: int, data: bytes, ttl: int = 60, of_class: int = 1) -> bytes:
    head = owner if isinstance(owner, bytes) else labels(owner)
    return head + struct.pack("!HHIH", kind, of_class, ttl, len(data)) + data


def address(owner: str | bytes, ip: str, ttl: int = 60, of_class: int = 1) -> bytes:
    packed = ipaddress.ip_address(ip).packed
    return record(owner, A if len(packed) == 4 else AAAA, packed, ttl, of_class)


def alias(owner: str | bytes, target: str, ttl: int = 60) -> bytes:
    return record(owner, CNAME, labels(target), ttl)


def reply(
    query: Query,
    *answers: bytes,
    authority: Sequence[bytes] = (),
    rcode: int = NOERROR,
    truncated: bool = False,
    id: int | None = None,
    question: bytes | None = None,
) -> bytes:
    """An answer with the query's id and question, or with other ones."""
    flags = 0x8580 | rcode | (0x0200 if truncated else 0)
    head = struct.pack(
        "!6H", query.id if id is None else id, flags, 1, len(answers), len(authority), 0
    )  # fmt: skip
    asked = query.question if question is None else question
    return head + asked + b"".join([*answers, *authority])


Answer = Callable[["Server", Query], Iterable[bytes]]
"""What is sent back, in order; nothing for silence."""


def zone(names: Mapping[str, Sequence[str]], ttl: int = 60) -> Answer:
    """An honest server for these names and their addresses; it knows of no others."""

    def answer(_: Server, query: Query) -> Iterable[bytes]:
        found = names.get(query.name)
        if found is None:
            return [reply(query, rcode=NXDOMAIN)]
        width = 32 if query.kind == A else 128
        return [
            reply(
                query,
                *(
                    address(query.name, ip, ttl)
                    for ip in found
                    if ipaddress.ip_address(ip).max_prefixlen == width
                ),
            )
        ]  # fmt: skip

    return answer


def silent(_: "Server", __: Query) -> Iterable[bytes]:
    """Hears and never says a word."""
    return []


def failing(rcode: int) -> Answer:
    return lambda _, query: [reply(query, rcode=rcode)]


class Server:
    """UDP and TCP on one address. `with Server(...) as server:`; `queries` may be read at any time."""

    def __init__(self, namespace: Namespace, ip: str, answer: Answer, port: int = PORT) -> None:
        self.answer = answer
        self.queries: list[Query] = []
        self.connections = 0
        """Connections by TCP that were accepted."""
        self._name = f"{namespace.role} {ip}"
        self._family = socket.AF_INET6 if ":" in ip else socket.AF_INET
        self._namespace = namespace
        self.udp = namespace.socket(self._family, socket.SOCK_DGRAM)
        self._listener = namespace.socket(self._family, socket.SOCK_STREAM)
        self._listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.udp.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4 << 20)
        for opened in (self.udp, self._listener):
            # An IPv6 address that was just added is tentative for a moment, also without duplicate address detection.
            patiently(lambda opened=opened: opened.bind((ip, port)), errno.EADDRNOTAVAIL)
        self._listener.listen(64)
        self._peers: dict[int, socket.socket] = {}
        self._wake, self._end = os.pipe()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def asked(self, name: str | None = None) -> list[Query]:
        """What was asked, of this name if there is one."""
        return [query for query in list(self.queries) if name is None or query.name == name]

    def wait_asked(self, name: str, count: int = 1, seconds: float = 5.0) -> list[Query]:
        wait_until(lambda: len(self.asked(name)) >= count, f"{self._name} is asked for {name} {count} times", seconds)
        return self.asked(name)

    def send(self, query: Query, *messages: bytes) -> None:
        """Answers by UDP when the story wants it."""
        for message in messages:
            self.udp.sendto(message, (query.source, query.port))

    def elsewhere(self, ip: str, port: int = PORT) -> socket.socket:
        """Another socket of the same box, to answer from another address; the caller's to close."""
        opened = self._namespace.socket(self._family, socket.SOCK_DGRAM)
        opened.bind((ip, port))
        return opened

    def close(self) -> None:
        os.close(self._end)
        self._thread.join(5)
        for opened in (self.udp, self._listener, *self._peers.values()):
            opened.close()
        os.close(self._wake)
        if self._failure is not None:
            raise self._failure

    def __enter__(self) -> "Server":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    # The thread's part

    def _run(self) -> None:
        try:
            poll = select.poll()
            for descriptor in (self._wake, self.udp.fileno(), self._listener.fileno()):
                poll.register(descriptor, select.POLLIN)
            while True:
                for descriptor, _ in poll.poll():
                    if descriptor == self._wake:
                        return
                    if descriptor == self.udp.fileno():
                        self._take_datagram()
                    elif descriptor == self._listener.fileno():
                        peer, _ = self._listener.accept()
                        peer.settimeout(2)
                        self.connections += 1
                        self._peers[peer.fileno()] = peer
                        poll.register(peer.fileno(), select.POLLIN)
                    elif not self._take_message(self._peers[descriptor]):
                        poll.unregister(descriptor)
                        self._peers.pop(descriptor).close()
        except BaseException as error:  # handed to the story by `close`
            self._failure = error

    def _take_datagram(self) -> None:
        data, (source, port, *_) = self.udp.recvfrom(4096)
        query = self._heard(Query.parse(data, source, port, tcp=False))
        self.send(query, *self.answer(self, query))

    def _take_message(self, peer: socket.socket) -> bool:
        try:
            head = peer.recv(2, socket.MSG_WAITALL)
            if len(head) < 2:
                return False
            source, port, *_ = peer.getpeername()
            data = peer.recv(int.from_bytes(head), socket.MSG_WAITALL)
            query = self._heard(Query.parse(data, source, port, tcp=True))
            for message in self.answer(self, query):
                peer.sendall(struct.pack("!H", len(message)) + message)
        except OSError:
            return False
        return True

    def _heard(self, query: Query) -> Query:
        self.queries.append(query)
        if len(self.queries) <= 50:
            tell(f"dns  {self._name} is asked for {query}")
        return query
