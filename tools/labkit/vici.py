"""What charon is asked and tells: the Versatile IKE Control Interface, of which strongSwan's README.vici is the text.

Packets are a length of four octets and that many octets; a message is a tree of sections, keys and lists.
"""

import socket
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from .processes import PATIENCE, LabError, Timeout, wait_until

COMMAND, RESPONSE, UNKNOWN_COMMAND, REGISTER, UNREGISTER, CONFIRM, UNKNOWN_EVENT, EVENT = range(8)
_SECTION, _SECTION_END, _KEY, _LIST, _ITEM, _LIST_END = range(1, 7)

Tree = dict[str, Any]
"""Sections are dictionaries, lists are lists of strings, values are strings."""


class Vici:
    """One connection."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        wait_until(lambda: self._try(path), f"charon's socket {path}")
        self._events: list[tuple[str, Tree]] = []

    def _try(self, path: Path) -> bool:
        try:
            self._socket.connect(str(path))
            return True
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def close(self) -> None:
        self._socket.close()

    def command(self, name: str, tree: Tree | None = None, seconds: float = 10.0) -> Tree:
        self._send(COMMAND, name, encode(tree or {}))
        answer = self._await(RESPONSE, seconds)
        if answer.get("success", "yes") != "yes":
            raise LabError(f"charon refuses {name}: {answer.get('errmsg', answer)}")
        return answer

    def streamed(self, command: str, event: str, tree: Tree | None = None) -> list[Tree]:
        """The answer of a command that tells what it found by events."""
        self._send(REGISTER, event)
        self._await(CONFIRM)
        self.command(command, tree)
        self._send(UNREGISTER, event)
        self._await(CONFIRM)
        found = [told for name, told in self._events if name == event]
        self._events = []
        return found

    def associations(self) -> list[Tree]:
        """The IKE_SAs, each with its connection's name as `name`."""
        return [
            {"name": name, **section} for tree in self.streamed("list-sas", "list-sa") for name, section in tree.items()
        ]

    def _send(self, kind: int, name: str, message: bytes = b"") -> None:
        packet = bytes([kind, len(name)]) + name.encode() + message
        self._socket.sendall(struct.pack("!I", len(packet)) + packet)

    def _await(self, wanted: int, seconds: float = 5.0) -> Tree:
        deadline = time.monotonic() + seconds * PATIENCE
        while True:
            kind, tree = self._receive(deadline)
            if kind == wanted:
                return tree
            if kind in (UNKNOWN_COMMAND, UNKNOWN_EVENT):
                raise LabError("charon knows neither this command nor this event")

    def _receive(self, deadline: float) -> tuple[int, Tree]:
        (length,) = struct.unpack("!I", self._read(4, deadline))
        packet = self._read(length, deadline)
        kind = packet[0]
        if kind != EVENT:
            return kind, decode(packet[1:]) if kind == RESPONSE else {}
        end = 2 + packet[1]
        self._events.append((packet[2:end].decode(), decode(packet[end:])))
        return kind, {}

    def _read(self, length: int, deadline: float) -> bytes:
        data = b""
        while len(data) < length:
            self._socket.settimeout(max(0.001, deadline - time.monotonic()))
            try:
                more = self._socket.recv(length - len(data))
            except TimeoutError:
                raise Timeout("charon tells nothing more") from None
            if not more:
                raise LabError("charon closed its socket")
            data += more
        return data


def encode(tree: Tree) -> bytes:
    wire = b""
    for key, value in tree.items():
        name = bytes([len(key)]) + key.encode()
        if isinstance(value, dict):
            wire += bytes([_SECTION]) + name + encode(value) + bytes([_SECTION_END])
        elif isinstance(value, list):
            items = b"".join(bytes([_ITEM]) + _sized(item) for item in value)
            wire += bytes([_LIST]) + name + items + bytes([_LIST_END])
        else:
            wire += bytes([_KEY]) + name + _sized(value)
    return wire


def _sized(value: str) -> bytes:
    return struct.pack("!H", len(value.encode())) + value.encode()


def decode(message: bytes) -> Tree:
    return _section(_Reader(message))


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = data
        self.place = 0

    def take(self, length: int) -> bytes:
        self.place += length
        return self.data[self.place - length : self.place]

    def name(self) -> str:
        return self.take(self.take(1)[0]).decode()

    def value(self) -> str:
        return self.take(int.from_bytes(self.take(2))).decode(errors="replace")

    def kinds(self, end: int) -> Iterator[int]:
        while self.place < len(self.data):
            kind = self.take(1)[0]
            if kind == end:
                return
            yield kind


def _section(reader: _Reader) -> Tree:
    tree: Tree = {}
    for kind in reader.kinds(_SECTION_END):
        name = reader.name()
        if kind == _SECTION:
            tree[name] = _section(reader)
        elif kind == _LIST:
            tree[name] = [reader.value() for _ in reader.kinds(_LIST_END)]
        elif kind == _KEY:
            tree[name] = reader.value()
        else:
            raise LabError(f"element {kind} in a message of charon's")
    return tree
