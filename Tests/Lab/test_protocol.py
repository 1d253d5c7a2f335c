"""The two protocols as docs/protocol.md has them: what clients of the trigger database do to each other, every errno,
and clients that misbehave. One agent serves all of a module's tests; each test cleans up after itself."""

import errno
import os
import random
import select
import struct
import time
from collections.abc import Iterator
from typing import Any

import pytest

from labkit.agent import Agent
from labkit.clients import client, client_of, mif_client
from labkit.frame import Message, Payload, raw
from labkit.mif_client import (
    SOURCE,
    UDP,
    Element,
    Failure,
    From,
    Info,
    Mif,
    MifClient,
    element_payload,
    endpoint_payload,
    interface_payload,
    name_payload,
    pvd_payload,
    transaction_payload,
)  # fmt: skip
from labkit.processes import wait_until
from labkit.story import MifEar, Tdb, eventually, tell
from labkit.topology import PEER4, Lab, Uplink
from labkit.trigger_client import (
    ADDRESS,
    CAUSE,
    REPLAY,
    RING,
    TRIGGER,
    WITH_FILTER,
    WITH_ORIGIN,
    Kind,
    Reason,
    Source,
    Trigger,
    TriggerClient,
    Verb,
    address,
    filter,
    trigger,
)  # fmt: skip

OWN = 4660
NOBODY = 65534


# What clients of the trigger database may rely on


def test_add_get_modify_delete(quiet: Agent) -> None:
    """A trigger's life: answers repeat the request with the id filled in, subscribers hear each step once."""
    local, remote, other = address("192.0.2.10"), address("198.51.100.7"), address("2001:db8::7", 64)
    with client(quiet) as writer, client(quiet, CAUSE | REPLAY | WITH_ORIGIN) as listener:
        ear = Tdb(listener)
        ear.mark()
        answer = writer.add(Kind.DEST_UNREACHABLE, local, remote)
        added = Trigger.parse(answer)
        assert answer.errno == 0 and added.type == Kind.DEST_UNREACHABLE and added.ips == ("192.0.2.10", "198.51.100.7")
        told = ear.expect(cause=Verb.ADD, id=added.id)
        assert told.addresses == added.addresses and told.pid == os.getpid()
        assert told.origin is not None and told.origin.source == Source.CLIENT and told.origin.reason == Reason.NONE
        assert told.origin.interface == 0 and told.origin.name == ""
        assert abs(time.time_ns() - told.origin.timestamp) < 5e9

        got = Trigger.parse(writer.get(added.id))
        assert (got.type, got.addresses, got.origin) == (added.type, added.addresses, None)
        assert Trigger.parse(listener.get(added.id)).origin is not None

        changed = Trigger.parse(writer.modify(added.id, OWN, other))
        assert changed.type == OWN and changed.ips == ("2001:db8::7",)
        told = ear.expect(cause=Verb.MODIFY, id=added.id)
        assert told.type == OWN and told.ips == ("2001:db8::7",)
        # Without addresses the stored ones stay, and the answer repeats the request.
        assert Trigger.parse(writer.modify(added.id, OWN + 1)).ips == ()
        told = ear.expect(cause=Verb.MODIFY, id=added.id)
        assert told.type == OWN + 1 and told.ips == ("2001:db8::7",)

        gone = Trigger.parse(writer.delete(added.id))
        assert gone.type == OWN + 1
        told = ear.expect(cause=Verb.DELETE, id=added.id)
        assert told.origin is not None and told.origin.reason == Reason.DELETED and told.pid == os.getpid()
        assert writer.get(added.id).errno == errno.ENOENT
        ear.none()


def test_answer_comes_before_the_own_notify(quiet: Agent) -> None:
    with client(quiet, CAUSE) as both:
        before = len(both.log)
        answer = both.add(OWN)
        assert len(both.log) == before, "the NOTIFY came before the answer"
        both.barrier()
        assert [told.id for told in both.log[before:]] == [Trigger.parse(answer).id]
        both.delete(Trigger.parse(answer).id)


def test_ids_count_up(quiet: Agent) -> None:
    with client(quiet) as writer:
        ids = []
        for _ in range(5):
            ids.append(Trigger.parse(writer.add(OWN)).id)
            writer.delete(ids[-1])
        assert ids == sorted(set(ids)), "a deleted id came back"


def test_bare_draft(quiet: Agent) -> None:
    """Without extensions: flags 0 in every NOTIFY, no ORIGIN, and a deletion that looks like an addition."""
    with client(quiet) as writer, client(quiet, 0) as listener:
        id = Trigger.parse(writer.add(OWN, address("192.0.2.1"))).id
        writer.delete(id)
        listener.barrier()
        added, deleted = listener.log
        assert (added.id, deleted.id, added.cause, deleted.cause) == (id, id, 0, 0)
        assert added.origin is None and deleted.origin is None


def test_each_news_once_to_each(quiet: Agent) -> None:
    """Two subscribers, and one that registered twice, hear every NOTIFY exactly once."""
    with client(quiet) as writer, client(quiet, CAUSE) as one, client(quiet, CAUSE) as other:
        other.register(CAUSE)
        ids = [Trigger.parse(writer.add(OWN)).id for _ in range(50)]
        for id in ids:
            writer.delete(id)
        for each in (one, other):
            each.barrier()
            assert [told.id for told in each.log if told.cause == Verb.ADD] == ids
            assert [told.id for told in each.log if told.cause == Verb.DELETE] == ids


def test_replay(quiet: Agent) -> None:
    """REPLAY tells all that stands, then the mark; asked again, it tells it again."""
    with client(quiet) as writer:
        ids = {Trigger.parse(writer.add(OWN, address("192.0.2.1"))).id for _ in range(300)}
        with client(quiet) as listener:
            replayed = listener.register(CAUSE | REPLAY | WITH_ORIGIN)
            assert ids <= {told.id for told in replayed} and all(told.cause == Verb.ADD for told in replayed)
            kinds = {told.type for told in replayed if told.id not in ids}
            assert Kind.IF_ADDED in kinds
            again = listener.register(CAUSE | REPLAY)
            assert {told.id for told in again} == {told.id for told in replayed}
            assert all(told.origin is None for told in again)
        for id in ids:
            writer.delete(id)


def test_replay_while_it_changes(quiet: Agent) -> None:
    """Nothing is missed or doubled between replay and news, with a writer that never stops meanwhile. The client
    checks each message: told twice, or deleted before it was told, is an error of its own."""
    with client(quiet) as writer, client(quiet) as listener:
        mine = [Trigger.parse(writer.add(OWN)).id for _ in range(400)]
        seq = listener.send(Verb.REGISTER, flags=CAUSE | REPLAY)
        listener.granted = CAUSE | REPLAY
        for id in mine[::2]:
            writer.delete(id)
        fresh = [Trigger.parse(writer.add(OWN)).id for _ in range(100)]
        assert listener.answer(seq).errno == 0
        wait_until(lambda: listener.pump(0.1) and bool(listener.marks), "the end of the replay", every=0)
        listener.barrier()
        standing = {id for id, told in listener.standing.items() if told.type == OWN}
        assert standing == set(mine[1::2]) | set(fresh)
        for id in standing:
            writer.delete(id)


def test_extensions_granted(quiet: Agent) -> None:
    """Unknown bits never; RING, which is for all news, not beside a FILTER."""
    with client(quiet) as one:
        answer = one.request(Verb.REGISTER, filter(OWN), flags=CAUSE | RING | WITH_FILTER | 0xE0)
        assert answer.errno == 0 and answer.flags == CAUSE | WITH_FILTER


def test_unknown_payloads_are_skipped(quiet: Agent) -> None:
    with client(quiet) as writer:
        answer = writer.request(Verb.ADD, Payload(0x7777, b"x" * 20), trigger(OWN), Payload(99, b""))
        assert answer.errno == 0
        writer.delete(Trigger.parse(answer).id)


# Errors


def sixteen(count: int) -> bytes:
    return trigger(OWN).wire + address("192.0.2.1").wire * count


UNKNOWN_FAMILY = Payload(ADDRESS, b"\x20\0\0\0" + struct.pack("=H", 1) + b"\0" * 14)
BAD = {
    # name: (message, errno, msgtype of the answer, seq of the answer)
    "version": (raw(1, trigger(OWN).wire, version=2), errno.EPROTONOSUPPORT, 1, 77),
    "version and type": (raw(99, version=0), errno.EPROTONOSUPPORT, 99, 77),
    "type 0": (raw(0), errno.EOPNOTSUPP, 0, 77),
    "type 7": (raw(7), errno.EOPNOTSUPP, 7, 77),
    "NOTIFY from a client": (raw(5, trigger(OWN).wire), errno.EOPNOTSUPP, 5, 77),
    "nothing at all": (b"", errno.EMSGSIZE, 0, 0),
    "one byte": (b"\1", errno.EMSGSIZE, 0, 0),
    "three bytes": (raw(2)[:3], errno.EMSGSIZE, 2, 0),
    "fifteen bytes": (raw(2)[:15], errno.EMSGSIZE, 2, 77),
    "len8 too small": (raw(1, trigger(OWN).wire, len8=2), errno.EMSGSIZE, 1, 77),
    "len8 too large": (raw(1, trigger(OWN).wire, len8=5), errno.EMSGSIZE, 1, 77),
    "not a multiple of 8": (raw(1, trigger(OWN).wire) + b"\0\0\0", errno.EMSGSIZE, 1, 77),
    "payload of length 0": (raw(1, struct.pack("=HHI", 0, 2, 0)), errno.EINVAL, 1, 77),
    "payload past the end": (raw(1, struct.pack("=HHI", 9, 2, 0)), errno.EINVAL, 1, 77),
    "no TRIGGER": (raw(1, address("192.0.2.1").wire), errno.EINVAL, 1, 77),
    "GET without TRIGGER": (raw(2), errno.EINVAL, 2, 77),
    "DELETE without TRIGGER": (raw(3, address("192.0.2.1").wire), errno.EINVAL, 3, 77),
    "MODIFY without TRIGGER": (raw(6, address("192.0.2.1").wire), errno.EINVAL, 6, 77),
    "GET with two TRIGGERs": (raw(2, trigger(0, 1).wire * 2), errno.EINVAL, 2, 77),
    "two TRIGGERs": (raw(1, trigger(OWN).wire * 2), errno.EINVAL, 1, 77),
    "TRIGGER too short": (raw(1, Payload(TRIGGER, b"\0\1\0\0").wire), errno.EINVAL, 1, 77),
    "TRIGGER too long": (raw(1, Payload(TRIGGER, trigger(OWN).body + b"\0" * 8).wire), errno.EINVAL, 1, 77),
    "ADD with an id": (raw(1, trigger(OWN, 5).wire), errno.EINVAL, 1, 77),
    "ADD of type 0": (raw(1, trigger(0).wire), errno.EINVAL, 1, 77),
    "MODIFY to type 0": (raw(6, trigger(0, 1).wire), errno.EINVAL, 6, 77),
    "prefix length 33": (raw(1, trigger(OWN).wire + address("192.0.2.1", 33).wire), errno.EINVAL, 1, 77),
    "prefix length 129": (raw(1, trigger(OWN).wire + address("2001:db8::1", 129).wire), errno.EINVAL, 1, 77),
    "MODIFY with prefix length 33": (raw(6, trigger(OWN, 1).wire + address("192.0.2.1", 33).wire), errno.EINVAL, 6, 77),
    "seventeen addresses": (raw(1, sixteen(17)), errno.EINVAL, 1, 77),
    "address family": (raw(1, trigger(OWN).wire + UNKNOWN_FAMILY.wire), errno.EAFNOSUPPORT, 1, 77),
    "address family in MODIFY": (raw(6, trigger(OWN, 1).wire + UNKNOWN_FAMILY.wire), errno.EAFNOSUPPORT, 6, 77),
    "ADDRESS without a sockaddr": (raw(1, trigger(OWN).wire + Payload(ADDRESS, b"").wire), errno.EINVAL, 1, 77),
    "ADDRESS too long": (
        raw(1, trigger(OWN).wire + Payload(ADDRESS, address("192.0.2.1").body + b"\0" * 8).wire), errno.EINVAL, 1, 77,
    ),
    "IPv6 cut": (
        raw(1, trigger(OWN).wire + Payload(ADDRESS, address("2001:db8::1").body[:28]).wire), errno.EINVAL, 1, 77,
    ),
    "IPv6 in the length of IPv4": (
        raw(1, trigger(OWN).wire + Payload(ADDRESS, b"\x20\0\0\0\x0a\0" + b"\0" * 14).wire), errno.EINVAL, 1, 77,
    ),
    "REGISTER with an address": (raw(4, address("192.0.2.1").wire), errno.EINVAL, 4, 77),
    "REGISTER with a trigger": (raw(4, trigger(OWN).wire), errno.EINVAL, 4, 77),
    "REGISTER with an unknown payload": (raw(4, Payload(0x7777, b"").wire), errno.EINVAL, 4, 77),
    "GET of what never was": (raw(2, trigger(0, 0xFFFFFFF0).wire), errno.ENOENT, 2, 77),
    "GET of id 0": (raw(2, trigger(0, 0).wire), errno.ENOENT, 2, 77),
    "DELETE of what never was": (raw(3, trigger(0, 0xFFFFFFF0).wire), errno.ENOENT, 3, 77),
    "MODIFY of what never was": (raw(6, trigger(OWN, 0xFFFFFFF0).wire), errno.ENOENT, 6, 77),
}  # fmt: skip


@pytest.mark.parametrize("what", BAD)
def test_errors(what: str, quiet: Agent) -> None:
    """Each is answered by the header alone, and the socket stays usable."""
    data, number, kind, seq = BAD[what]
    with client(quiet) as one:
        one.send_bytes(data)
        answer = one.answer(seq)
        assert (answer.kind, answer.errno, answer.payloads) == (kind, number, ())
        assert answer.pid == (4321 if len(data) >= 16 else 0)
        added = one.add(OWN, *[address("192.0.2.1")] * 16)
        assert added.errno == 0 and len(Trigger.parse(added).addresses) == 16
        one.delete(Trigger.parse(added).id)


def test_oversized(quiet: Agent) -> None:
    """65,536 bytes are the most, whatever len8 says of more."""
    with client(quiet) as one:
        one.send_bytes(
            raw(1, trigger(OWN).wire + Payload(0x7777, b"\0" * 65_500).wire, len8=8192)[:65_544].ljust(65_544, b"\0")
        )
        assert one.answer(77).errno == errno.EMSGSIZE
        assert one.get(0xFFFFFFF0).errno == errno.ENOENT


def test_agents_own_triggers(quiet: Agent) -> None:
    """Nobody changes or deletes what the agent itself put there, not even root."""
    with client(quiet, CAUSE | REPLAY | WITH_ORIGIN) as one:
        own = next(told for told in one.standing.values() if told.type == Kind.IF_ADDED)
        assert one.delete(own.id).errno == errno.EPERM
        assert one.modify(own.id, OWN).errno == errno.EPERM
        assert Trigger.parse(one.get(own.id)).type == Kind.IF_ADDED


def test_unprivileged_client(quiet: Agent) -> None:
    """Who may open the socket reads, and may not write."""
    with client_of(quiet, NOBODY) as one:
        assert one.register(CAUSE | REPLAY)
        assert one.add(OWN).errno == errno.EPERM


SEVEN = transaction_payload(7).wire


def translation(name: Payload, pvd: int = 1) -> bytes:
    return raw(20, pvd_payload(pvd).wire + name.wire + SEVEN)


def connection(*ends: Payload, pvd: int = 0xFFFFFFF0, kind: int = 24) -> bytes:
    return raw(kind, pvd_payload(pvd).wire + SEVEN + b"".join(end.wire for end in ends))


MIF_BAD = {
    "version": (raw(1, version=3), errno.EPROTONOSUPPORT, 1, 77),
    "type 0": (raw(0), errno.EOPNOTSUPP, 0, 77),
    "type 200": (raw(200), errno.EOPNOTSUPP, 200, 77),
    "an announcement from a client": (raw(3, interface_payload(1).wire), errno.EOPNOTSUPP, 3, 77),
    "a result from a client": (raw(33, SEVEN), errno.EOPNOTSUPP, 33, 77),
    "TRANSLATE_NAME without a name": (raw(20, pvd_payload(1).wire + SEVEN), errno.EINVAL, 20, 77),
    "TRANSLATE_NAME without TRANSACTION": (
        raw(20, pvd_payload(1).wire + name_payload("a.example").wire), errno.EINVAL, 20, 77,
    ),
    "TRANSLATE_NAME without a PvD": (raw(20, SEVEN + name_payload("a.example").wire), errno.EINVAL, 20, 77),
    "no such PvD, name": (translation(name_payload("a.example"), 0xFFFFFFF0), errno.ENOENT, 20, 77),
    "no PvD selected, name": (translation(name_payload("a.example"), 0), errno.ENOENT, 20, 77),
    "an empty name": (translation(name_payload("")), errno.EINVAL, 20, 77),
    "a name of 256 bytes": (translation(name_payload("a" * 256)), errno.EINVAL, 20, 77),
    "a name longer than it is": (translation(Payload(6, b"\x09\0\0\0aaaa")), errno.EINVAL, 20, 77),
    "a name shorter than it is": (translation(Payload(6, b"\x02\0\0\0aa" + b"\0" * 10)), errno.EINVAL, 20, 77),
    "two names": (raw(20, translation(name_payload("a"))[16:] + name_payload("b").wire), errno.EINVAL, 20, 77),
    "STOP_TRANSLATING_NAME without TRANSACTION": (raw(21), errno.EINVAL, 21, 77),
    "TRANSACTION too long": (raw(21, Payload(7, b"\7\0\0\0" + b"\0" * 8).wire), errno.EINVAL, 21, 77),
    "CONNECT_TO_PVD without a PvD": (raw(23), errno.EINVAL, 23, 77),
    "no such PvD, selection": (raw(23, pvd_payload(0xFFFFFFF0).wire), errno.ENOENT, 23, 77),
    "no such PvD, connection": (connection(endpoint_payload("192.0.2.1", 80)), errno.ENOENT, 24, 77),
    "no PvD selected, connection": (connection(endpoint_payload("192.0.2.1", 80), pvd=0), errno.ENOENT, 24, 77),
    "no destination": (connection(), errno.EINVAL, 24, 77),
    "a source for a destination": (connection(endpoint_payload("192.0.2.1", 80, SOURCE)), errno.EINVAL, 24, 77),
    "two destinations": (connection(*[endpoint_payload("192.0.2.1", 80)] * 2), errno.EINVAL, 24, 77),
    "a role of neither": (connection(endpoint_payload("192.0.2.1", 80, 3)), errno.EINVAL, 24, 77),
    "a transport of neither": (connection(endpoint_payload("192.0.2.1", 80, transport=132)), errno.EINVAL, 24, 77),
    "an endpoint of another family": (
        connection(Payload(8, b"\6\1\0\0" + struct.pack("=H", 1) + b"\0" * 14)), errno.EAFNOSUPPORT, 24, 77,
    ),
    "an endpoint that is cut": (
        connection(Payload(8, endpoint_payload("2001:db8::1", 80).body[:28])), errno.EINVAL, 24, 77,
    ),
    "no source": (connection(endpoint_payload("192.0.2.1", 80), kind=25), errno.EINVAL, 25, 77),
    "two transports": (
        connection(endpoint_payload("192.0.2.1", 80), endpoint_payload("192.0.2.9", 0, SOURCE, 17), kind=25),
        errno.EINVAL, 25, 77,
    ),
    "ten bytes": (raw(1)[:10], errno.EMSGSIZE, 1, 0),
    "len8": (raw(1, len8=3), errno.EMSGSIZE, 1, 77),
    "payload of length 0": (raw(5, b"\0" * 8), errno.EINVAL, 5, 77),
    "payload past the end": (raw(5, struct.pack("=HHI", 4, 1, 1)), errno.EINVAL, 5, 77),
    "no INTERFACE": (raw(5), errno.EINVAL, 5, 77),
    "two INTERFACEs": (raw(5, interface_payload(1).wire * 2), errno.EINVAL, 5, 77),
    "INTERFACE too short": (raw(5, Payload(1, struct.pack("=I", 1)).wire), errno.EINVAL, 5, 77),
    "no such interface": (raw(5, interface_payload(0xFFFF).wire), errno.ENOENT, 5, 77),
    "no such PvD, elements": (raw(9, pvd_payload(0xFFFFFFF0).wire), errno.ENOENT, 9, 77),
    "no such PvD, addresses": (raw(13, pvd_payload(0xFFFFFFF0).wire), errno.ENOENT, 13, 77),
    "no such PvD, data": (raw(17, pvd_payload(0xFFFFFFF0).wire + element_payload(1).wire), errno.ENOENT, 17, 77),
    "data without ELEMENT": (raw(17, pvd_payload(1).wire), errno.EINVAL, 17, 77),
}  # fmt: skip


@pytest.mark.parametrize("what", MIF_BAD)
def test_mif_errors(what: str, quiet: Agent) -> None:
    data, number, kind, seq = MIF_BAD[what]
    with mif_client(quiet) as one:
        one.send_bytes(data)
        answer = one.answer(seq)
        assert (answer.kind, answer.errno, answer.payloads) == (kind, number, ())
        one.follow()
        assert one.interfaces


def test_mif_identifiers(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> None:
    """What is wrong with a request for a PvD that is there: an identifier in use is an error, and what can't be
    connected ends with its reason."""
    for uplink in (up0, up1):
        lab.configure_by_hand(uplink)
        mif.expect(kind=Mif.ADDRESS, ip=uplink.host6)
    client = mif.client
    pvd = next(told.pvd for told in client.addresses.values() if told.ip == up0.host4)
    # Nobody answers there: on the link, and never to be found.
    waiting = client.begin_to_connect(f"{up0.prefix6}dead", 80, pvd, identifier=9)
    assert client.connect(PEER4, 4500, pvd, identifier=9, transport=UDP).refused == errno.EEXIST
    # A translation's identifiers are others.
    assert client.finish(client.translate("192.0.2.1", pvd, identifier=9)).failure == Failure(0, From.NOTHING)

    def failure(ip: str, **options: Any) -> tuple[int, From]:
        errand = client.connect(ip, 80, pvd, **options)
        assert errand.refused == 0 and errand.failure is not None, errand
        return errand.failure.errno, errand.failure.origin

    assert failure(PEER4, source=up0.host6) == (errno.EAFNOSUPPORT, From.LOCAL)
    assert failure(PEER4, source="192.0.2.99") == (errno.EADDRNOTAVAIL, From.LOCAL)
    assert failure(PEER4, source=up1.host4) == (errno.EADDRNOTAVAIL, From.LOCAL)
    assert failure("fe80::1", scope=lab.host.index("up1")) == (errno.EINVAL, From.LOCAL)
    assert not waiting.ended


def test_mif_stop(quiet: Agent) -> None:
    """STOP_* is answered by its header, also where there was no subscription."""
    with mif_client(quiet) as one:
        for kind, payloads in {
            Mif.STOP_ANNOUNCING_INTERFACES: (),
            Mif.STOP_ANNOUNCING_PVDS: (interface_payload(1),),
            Mif.STOP_ANNOUNCING_CONFIG_ELEMENTS: (pvd_payload(1),),
            Mif.STOP_ANNOUNCING_ADDRESSES: (pvd_payload(1),),
            Mif.STOP_TRANSLATING_NAME: (transaction_payload(1),),
        }.items():
            answer = one.request(kind, *payloads)
            assert (answer.kind, answer.errno, answer.payloads) == (kind, 0, ())


def test_mif_asked_again(quiet: Agent) -> None:
    """Asking again while subscribed sends what exists once more."""
    with mif_client(quiet) as one:
        one.follow()
        first = len(one.log)
        one.follow()
        assert {told.interface for told in one.log[first:] if told.kind == Mif.INTERFACE} == set(one.interfaces)


def test_statistics(quiet: Agent) -> None:
    with mif_client(quiet) as one:
        counters = one.statistics()
        assert len(counters) > 20 and all(value >= 0 for value in counters.values())
        assert counters["mif.requests"] > 0


# Clients that misbehave


def flood(one: TriggerClient | MifClient, messages: list[bytes], news: set[int]) -> dict[int, int]:
    """Sends all of them as fast as the agent takes them, reading meanwhile. Returns how often each errno came."""
    one.socket.setblocking(False)
    answered: dict[int, int] = {}
    sent = got = 0
    deadline = time.monotonic() + 60
    while got < len(messages) and time.monotonic() < deadline:
        readable, writable, _ = select.select([one.socket], [one.socket] if sent < len(messages) else [], [], 5)
        if writable:
            try:
                one.socket.send(messages[sent])
                sent += 1
            except BlockingIOError:
                pass
        if readable:
            answer = Message.parse(one.socket.recv(65_537))
            # Items that were asked for come before what closes them; only that counts.
            if answer.kind in news and not answer.errno:
                continue
            got += 1
            answered[answer.errno] = answered.get(answer.errno, 0) + 1
        if not readable and not writable:
            break
    assert got == len(messages), f"{got} answers to {len(messages)} requests"
    return answered


def mutations(good: list[bytes], count: int, seed: int) -> Iterator[bytes]:
    chance = random.Random(seed)
    for _ in range(count):
        message = bytearray(chance.choice(good))
        for _ in range(chance.choice((1, 1, 1, 2, 8))):
            where = chance.randrange(len(message))
            message[where] = chance.choice((0, 1, 0x7F, 0x80, 0xFF, chance.randrange(256)))
        size = chance.choice((len(message), len(message), chance.randrange(1, len(message) + 1)))
        yield bytes(message[:size])


def test_flood_of_mutated_requests(quiet: Agent) -> None:
    """Twenty thousand broken requests: each has its one answer, nobody else is hurt, memory stays."""
    good = [
        raw(1, trigger(OWN).wire + address("192.0.2.1").wire),
        raw(1, trigger(6).wire + address("192.0.2.1").wire + address("2001:db8::1").wire),
        raw(2, trigger(0, 3).wire),
        raw(3, trigger(0, 3).wire),
        raw(6, trigger(OWN, 3).wire + address("2001:db8::1", 64).wire),
    ]
    with client(quiet, CAUSE | REPLAY | WITH_ORIGIN) as listener, client(quiet) as writer:
        # A subscriber of its own that reads in between, as a program with other things to do would.
        before = quiet.resident()
        answered: dict[int, int] = {}
        for round in range(20):
            batch = [m for m in mutations(good, 1000, seed=round) if len(m) < 2 or m[1] != Verb.REGISTER]
            for number, count in flood(writer, batch, set()).items():
                answered[number] = answered.get(number, 0) + count
            listener.drain()
        tell(f"errno → how often: { {errno.errorcode.get(n, n): c for n, c in sorted(answered.items())} }")
        assert {errno.EINVAL, errno.EMSGSIZE, errno.ENOENT} <= set(answered)
        listener.barrier()
        mine = [told.id for told in listener.standing.values() if told.origin and told.origin.source == Source.CLIENT]
        writer.socket.settimeout(5)
        for id in mine:
            writer.seq = 0
            writer.delete(id)
            listener.drain()
        listener.barrier()
        assert not [t for t in listener.standing.values() if t.origin and t.origin.source == Source.CLIENT]
        assert quiet.resident() < before + 2_000_000
    assert quiet.child.running


def test_flood_of_mutated_mif_requests(quiet: Agent) -> None:
    good = [
        raw(1), raw(2), raw(5, interface_payload(1).wire), raw(6, interface_payload(1).wire),
        raw(9, pvd_payload(1).wire), raw(13, pvd_payload(1).wire),
        raw(17, pvd_payload(1).wire + element_payload(Element.RA, Info.DNS_SERVERS).wire),
        translation(name_payload("192.0.2.1")), raw(21, SEVEN), raw(23, pvd_payload(0).wire),
        connection(endpoint_payload("192.0.2.1", 80)),
        connection(endpoint_payload("2001:db8::1", 80), endpoint_payload("2001:db8::2", 0, SOURCE), kind=25),
    ]  # fmt: skip
    with mif_client(quiet) as one:
        answered = flood(one, list(mutations(good, 5000, seed=1)), {3, 7, 10, 14, 22, 37})
        tell(f"errno → how often: { {errno.errorcode.get(n, n): c for n, c in sorted(answered.items())} }")
    with mif_client(quiet) as other:
        other.follow()
    assert quiet.child.running


def test_subscriber_that_never_reads(quiet: Agent) -> None:
    """Its own news are lost, and it can tell by the gap; nobody else's, and memory is bounded."""
    with client(quiet, CAUSE) as sleeper, client(quiet, CAUSE) as listener, client(quiet) as writer:
        heard = 0
        before = quiet.resident()
        for _ in range(3000):
            id = Trigger.parse(writer.add(OWN, *[address("2001:db8::1")] * 16)).id
            writer.delete(id)
            listener.drain()
        listener.barrier()
        heard = len(listener.log)
        assert heard == 6000, "the subscriber that reads lost something"
        assert quiet.resident() < before + 1_500_000
        # It wakes up: what it was not told shows as a gap, and what it asks is answered.
        seqs: list[int] = []
        sleeper.socket.setblocking(False)
        sleeper.send_bytes(raw(2, trigger(0, 0xFFFFFFF0).wire, seq=4000))
        deadline = time.monotonic() + 5
        while time.monotonic() < deadline:
            readable, _, _ = select.select([sleeper.socket], [], [], 1)
            if not readable:
                break
            message = Message.parse(sleeper.socket.recv(65_537))
            if message.kind != Verb.NOTIFY:
                assert (message.kind, message.errno, message.seq) == (Verb.GET, errno.ENOENT, 4000)
                break
            seqs.append(message.seq)
        else:
            raise AssertionError("no answer")
        assert seqs == sorted(set(seqs)) and len(seqs) < 6000
        # Back in step by asking again.
        sleeper.socket.settimeout(5)
        sleeper.news_seq = 6000
        sleeper.log.clear()
        replayed = sleeper.register(CAUSE | REPLAY)
        assert {told.id for told in replayed} == set(sleeper.standing)


def test_client_that_never_reads_its_answers(quiet: Agent) -> None:
    """Its own requests wait; another's are answered at once."""
    with client(quiet) as greedy, client(quiet) as other:
        greedy.socket.setblocking(False)
        request = raw(2, trigger(0, 0xFFFFFFF0).wire)
        sent = 0
        with pytest.raises(BlockingIOError):
            for _ in range(200_000):
                greedy.socket.send(request)
                sent += 1
                if sent % 100 == 0:
                    time.sleep(0.0005)
        began = time.monotonic()
        assert other.get(0xFFFFFFF0).errno == errno.ENOENT
        assert time.monotonic() - began < 1
        greedy.socket.settimeout(5)
        for _ in range(sent):
            assert Message.parse(greedy.socket.recv(65_537)).errno == errno.ENOENT


def test_clients_that_vanish(quiet: Agent) -> None:
    """A hundred that connect, ask for everything and leave without reading a byte."""
    for _ in range(100):
        one = TriggerClient(quiet.directory)
        one.send(Verb.REGISTER, flags=CAUSE | REPLAY | WITH_ORIGIN)
        one.close()
        other = MifClient(quiet.directory)
        other.send(Mif.ANNOUNCE_INTERFACES)
        other.send(Mif.GET_STATISTICS)
        other.close()
    with mif_client(quiet) as last:

        def all_closed() -> None:
            counters = last.statistics()
            assert counters["subscribers.accepted"] - counters["subscribers.closed"] < 10

        eventually(all_closed)
