"""The independent client against the golden vectors: its own check, without an agent and without root."""

from pathlib import Path

import pytest

from labkit.frame import Message, ProtocolError
from labkit.mif_client import Mif, _datum
from labkit.trigger_client import ORIGIN, Address, Origin, Trigger

VECTORS = Path(__file__).parents[1] / "Vectors"


def vectors(name: str) -> "list[tuple[str, list[str], bytes]]":
    """Name, the lines that describe it, its bytes."""
    found: list[tuple[str, list[str], bytes]] = []
    for line in (VECTORS / name).read_text().splitlines():
        words = line.split()
        if not words or words[0].startswith("#"):
            continue
        if words[0] == "vector":
            found.append((words[1], [], b""))
        elif line.startswith("  "):
            found[-1] = (*found[-1][:2], found[-1][2] + bytes.fromhex(line))
        else:
            found[-1][1].append(line)
    return found


def fields(line: str) -> dict[str, str]:
    return dict(word.split("=", 1) for word in line.split() if "=" in word)


@pytest.mark.parametrize(("name", "lines", "data"), [pytest.param(*v, id=v[0]) for v in vectors("trigger.txt")])
def test_trigger_vector(name: str, lines: list[str], data: bytes) -> None:
    message = Message.parse(data)
    head = fields(lines[0])
    assert (message.kind, message.errno, message.flags) == tuple(int(head[k]) for k in ("msgtype", "errno", "flags"))
    assert (message.seq, message.pid) == (int(head["seq"]), int(head["pid"]))
    assert message.wire == data
    for line, payload in zip(lines[1:], message.payloads, strict=True):
        about = fields(line)
        if line.startswith("payload ADDRESS"):
            address = Address.parse(payload.body)
            assert (address.ip, address.prefix) == (about["address"], int(about["prefixlen"]))
            assert address.scope == int(about.get("scope", 0))
        elif payload.kind == ORIGIN:
            origin = Origin.parse(payload.body)
            assert (origin.name, origin.count) == (about["name"], int(about["count"]))
            assert origin.timestamp == int(about["timestamp"])
    if message.kind == 5 and message.payloads:
        assert Trigger.parse(message).id > 0


@pytest.mark.parametrize(("name", "lines", "data"), [pytest.param(*v, id=v[0]) for v in vectors("mif.txt")])
def test_mif_vector(name: str, lines: list[str], data: bytes) -> None:
    message = Message.parse(data)
    assert message.wire == data
    if message.kind == Mif.CONFIG_DATA:
        for body in message.all(5):
            _datum(body)


def test_strictness() -> None:
    """The client notices what a sloppy agent would get wrong."""
    good = Message(5, seq=1).wire
    for spoilt in (b"\2" + good[1:], good[:4] + b"\3\0" + good[6:], good[:6] + b"\1" + good[7:], good + b"\0" * 8):
        with pytest.raises(ProtocolError):
            Message.parse(spoilt)
