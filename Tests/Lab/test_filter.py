"""FILTER: a subscriber's view of the trigger database, by trigger type, interface and address prefix."""

import errno
import random
import struct
from collections.abc import Iterator

import pytest

from labkit.agent import Agent
from labkit.clients import client
from labkit.frame import Payload, raw
from labkit.story import Tdb
from labkit.topology import Lab, Uplink
from labkit.trigger_client import (
    CAUSE,
    FILTER,
    REPLAY,
    WITH_FILTER,
    WITH_ORIGIN,
    Kind,
    Reason,
    Trigger,
    TriggerClient,
    Verb,
    address,
    filter,
)  # fmt: skip

ALL = CAUSE | REPLAY | WITH_ORIGIN
OWN, OTHER, THIRD = 4660, 4661, 4662


@pytest.fixture
def writer(quiet: Agent) -> Iterator[TriggerClient]:
    """Deletes at the end what it has added."""
    with client(quiet) as one:
        yield one
        with client(quiet, ALL) as all_of_it:
            for id, told in all_of_it.standing.items():
                if told.type > 100:
                    one.delete(id)


TRIGGERS = [
    # type, addresses
    (OWN, ()),
    (OWN, ("192.0.2.1",)),
    (OTHER, ("10.7.0.1", "192.0.2.200")),
    (OTHER, ("2001:db8:7::1",)),
    (THIRD, ("192.0.2.1", "2001:db8:7::2")),
    (THIRD, ("fe80::7%3",)),
]
VIEWS = {
    # name: (FILTER, which of TRIGGERS)
    "everything": (filter(), [0, 1, 2, 3, 4, 5]),
    "a type": (filter(OWN), [0, 1]),
    "several types": (filter(OWN, THIRD, 9), [0, 1, 4, 5]),
    "64 types": (filter(*range(100, 163), OTHER), [2, 3]),
    "a type that is not there": (filter(7777), []),
    "an interface": (filter(interface=1), []),
    "an IPv4 prefix": (filter(prefix="192.0.2.0/24"), [1, 2, 4]),
    "a prefix with host bits": (filter(prefix="192.0.2.99/24"), [1, 2, 4]),
    "an odd prefix": (filter(prefix="192.0.2.128/25"), [2]),
    "an IPv4 address": (filter(prefix="192.0.2.1/32"), [1, 4]),
    "any IPv4 address": (filter(prefix="0.0.0.0/0"), [1, 2, 4]),
    "an IPv6 prefix": (filter(prefix="2001:db8:7::/48"), [3, 4]),
    "an IPv6 address": (filter(prefix="2001:db8:7::2/128"), [4]),
    "any IPv6 address": (filter(prefix="::/0"), [3, 4, 5]),
    "type and prefix": (filter(THIRD, prefix="192.0.2.0/24"), [4]),
    "type and address": (filter(OWN, prefix="192.0.2.1/32"), [1]),
    "types and address": (filter(OWN, THIRD, prefix="192.0.2.1/32"), [1, 4]),
    "a link-local address on any interface": (filter(prefix="fe80::7/128"), [5]),
    "a link-local address on its interface": (filter(prefix="fe80::/64", scope=3), [5]),
    "a link-local address on another interface": (filter(prefix="fe80::/64", scope=4), []),
    "type and link-local address on another interface": (filter(THIRD, prefix="fe80::7/128", scope=4), []),
}


def payloads(ips: tuple[str, ...]) -> list[Payload]:
    parted = [ip.partition("%") for ip in ips]
    return [address(ip, scope=int(scope or 0)) for ip, _, scope in parted]


@pytest.mark.parametrize("name", VIEWS)
def test_views(name: str, quiet: Agent, writer: TriggerClient) -> None:
    """Replay and news, of every kind, are what matches; nothing else is told and nothing counted."""
    view, places = VIEWS[name]
    old = [Trigger.parse(writer.add(kind, *payloads(ips))).id for kind, ips in TRIGGERS]
    with client(quiet, ALL, view) as one:
        replayed = [told.id for told in one.log if told.type > 100]
        assert replayed == [old[place] for place in places]
        before = len(one.log)
        new = [Trigger.parse(writer.add(kind, *payloads(ips))).id for kind, ips in TRIGGERS]
        for id, (kind, _) in zip(new, TRIGGERS, strict=True):
            writer.modify(id, kind)
        for id in old:
            writer.delete(id)
        one.barrier()
        assert [(told.cause, told.id) for told in one.log[before:]] == [
            *((Verb.ADD, new[place]) for place in places),
            *((Verb.MODIFY, new[place]) for place in places),
            *((Verb.DELETE, old[place]) for place in places),
        ]


def test_into_the_view_and_out_of_it(quiet: Agent, writer: TriggerClient) -> None:
    """A MODIFY that brings a trigger in is an addition, one that takes it out a deletion with the trigger as it was
    known and the reason that it matches no more. Who asked for everything is told what happened."""
    view = filter(OWN, prefix="192.0.2.0/24")
    with client(quiet, CAUSE | WITH_ORIGIN, view) as one, client(quiet, CAUSE) as everything:
        id = Trigger.parse(writer.add(OTHER, address("192.0.2.1"))).id
        for kind, ips in (
            (OWN, ()), (OWN, ("192.0.2.2", "10.0.0.1")), (OWN, ("10.0.0.1",)), (OWN, ("10.0.0.2",)),
            (OWN, ("192.0.2.3",)), (OTHER, ()), (OTHER, ("192.0.2.4",)), (OWN, ()),
        ):  # fmt: skip
            assert writer.modify(id, kind, *payloads(ips)).errno == 0
        writer.delete(id)
        one.barrier()
        assert [(told.cause, told.type, told.ips) for told in one.log] == [
            (Verb.ADD, OWN, ("192.0.2.1",)),
            (Verb.MODIFY, OWN, ("192.0.2.2", "10.0.0.1")),
            (Verb.DELETE, OWN, ("192.0.2.2", "10.0.0.1")),
            (Verb.ADD, OWN, ("192.0.2.3",)),
            (Verb.DELETE, OWN, ("192.0.2.3",)),
            (Verb.ADD, OWN, ("192.0.2.4",)),
            (Verb.DELETE, OWN, ("192.0.2.4",)),
        ]
        reasons = [told.origin.reason for told in one.log if told.origin and told.cause == Verb.DELETE]
        assert reasons == [Reason.UNMATCHED, Reason.UNMATCHED, Reason.DELETED]
        everything.barrier()
        assert [told.cause for told in everything.log] == [Verb.ADD, *[Verb.MODIFY] * 8, Verb.DELETE]


def test_interface_of_the_view(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent) -> None:
    """Only what the agent knows to be on that interface; a client's triggers are on none."""
    index = lab.host.index("up1")
    with client(agent, ALL, filter(interface=index)) as one, client(agent) as writer:
        assert {told.type for told in one.log} >= {Kind.IF_ADDED}
        id = Trigger.parse(writer.add(OWN, address(up1.host4))).id
        lab.configure_by_hand(up0)
        lab.configure_by_hand(up1)
        ear = Tdb(one)
        ear.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up1.host6,), interface="up1")
        assert {told.origin.interface for told in one.log if told.origin} == {index}
        lab.unplug(up1)
        ear.expect(cause=Verb.ADD, type=Kind.IF_REMOVED)
        assert {told.interface for told in one.log} == {"up1"}
        writer.delete(id)


def test_replaced_and_ended(quiet: Agent, writer: TriggerClient) -> None:
    """A second REGISTER replaces the filter; without the bit everything is told again."""
    with client(quiet, CAUSE, filter(OWN)) as one:
        for view, told in ((filter(OTHER), [OTHER, OTHER]), (None, [OWN, OWN, OTHER, OTHER]), (filter(9), [])):
            one.register(CAUSE, view)
            before = len(one.log)
            for kind in (OWN, OTHER):
                writer.delete(Trigger.parse(writer.add(kind)).id)
            one.barrier()
            assert [each.type for each in one.log[before:]] == told


def test_view_of_the_bare_draft(quiet: Agent, writer: TriggerClient) -> None:
    """FILTER alone: neither cause nor origin nor replay, and a deletion looks like an addition."""
    with client(quiet, 0, filter(OWN)) as one:
        writer.delete(Trigger.parse(writer.add(OWN)).id)
        writer.delete(Trigger.parse(writer.add(OTHER)).id)
        one.barrier()
        assert [(told.cause, told.type, told.origin) for told in one.log] == [(0, OWN, None), (0, OWN, None)]


def test_get_is_not_filtered(quiet: Agent, writer: TriggerClient) -> None:
    with client(quiet, CAUSE, filter(OWN)) as one:
        id = Trigger.parse(writer.add(OTHER)).id
        assert Trigger.parse(one.get(id)).type == OTHER


def changed(view: Payload, offset: int, data: bytes) -> Payload:
    """`offset` as docs/protocol.md has it, from the payload's own header."""
    body = bytearray(view.body)
    body[offset - 4 : offset - 4 + len(data)] = data
    return Payload(FILTER, bytes(body))


BAD = {
    # name: (flags, payloads, errno)
    "the bit without the payload": (WITH_FILTER, [], errno.EINVAL),
    "the payload without the bit": (CAUSE, [filter(OWN)], errno.EINVAL),
    "twice": (WITH_FILTER, [filter(OWN), filter(OWN)], errno.EINVAL),
    "with another payload": (WITH_FILTER, [filter(OWN), Payload(0x7777, b"")], errno.EINVAL),
    "with an address": (WITH_FILTER, [filter(OWN), address("192.0.2.1")], errno.EINVAL),
    "65 types": (WITH_FILTER, [filter(*range(1, 66))], errno.EINVAL),
    "255 types": (WITH_FILTER, [filter(*range(1, 256))], errno.EINVAL),
    "too short": (WITH_FILTER, [Payload(FILTER, filter().body[:36])], errno.EINVAL),
    "longer than its count": (WITH_FILTER, [filter(1, 2, 3, 4, 5, count=4)], errno.EINVAL),
    "shorter than its count": (WITH_FILTER, [filter(1, 2, 3, 4, count=5)], errno.EINVAL),
    "prefix length 33": (WITH_FILTER, [changed(filter(prefix="192.0.2.0/24"), 8, b"\x21")], errno.EINVAL),
    "prefix length 129": (WITH_FILTER, [changed(filter(prefix="2001:db8::/64"), 8, b"\x81")], errno.EINVAL),
    "a prefix length without an address": (WITH_FILTER, [changed(filter(), 8, b"\x01")], errno.EINVAL),
    "another family": (WITH_FILTER, [changed(filter(), 16, struct.pack("=H", 1))], errno.EAFNOSUPPORT),
}


@pytest.mark.parametrize("what", BAD)
def test_refused(what: str, quiet: Agent, writer: TriggerClient) -> None:
    """Refused by the header alone; the registration that there was stays as it was."""
    flags, bad, number = BAD[what]
    with client(quiet, CAUSE, filter(OWN)) as one:
        answer = one.request(Verb.REGISTER, *bad, flags=flags)
        assert (answer.kind, answer.errno, answer.payloads) == (Verb.REGISTER, number, ())
        for kind in (OWN, OTHER):
            writer.delete(Trigger.parse(writer.add(kind)).id)
        one.barrier()
        assert [(told.cause, told.type) for told in one.log] == [(Verb.ADD, OWN), (Verb.DELETE, OWN)]


def test_what_is_not_read(quiet: Agent, writer: TriggerClient) -> None:
    """Reserved fields, port, flow label, what follows the sockaddr, and all of it where the family is AF_UNSPEC."""
    view = changed(changed(filter(OWN), 10, b"\xff" * 6), 18, b"\xff" * 30)
    with client(quiet) as one:
        answer = one.request(Verb.REGISTER, view, flags=CAUSE | WITH_FILTER)
        # The answer repeats what counts of it.
        assert answer.errno == 0 and [each.wire for each in answer.payloads] == [filter(OWN).wire]
        one.granted = CAUSE
        writer.delete(Trigger.parse(writer.add(OWN)).id)
        one.barrier()
        assert len(one.log) == 2
        noisy = changed(changed(filter(prefix="192.0.2.0/24"), 18, b"\xff\xff"), 24, b"\xff" * 24)
        answer = one.request(Verb.REGISTER, noisy, flags=CAUSE | WITH_FILTER)
        assert [each.wire for each in answer.payloads] == [filter(prefix="192.0.2.0/24").wire]


def test_filter_past_the_end(quiet: Agent) -> None:
    """A FILTER that is longer than the message is refused like any payload."""
    with client(quiet) as one:
        one.send_bytes(raw(Verb.REGISTER, filter(OWN).wire[:-8]))
        assert one.answer(77).errno == errno.EINVAL


CHANGING = {
    "one address": filter(OWN, prefix="10.0.0.1/32"),
    "a prefix": filter(OWN, OTHER, prefix="10.0.0.0/29"),
    "a type": filter(OWN),
}


@pytest.mark.parametrize("name", CHANGING)
def test_replay_while_it_changes(name: str, quiet: Agent, writer: TriggerClient) -> None:
    """Replay and news together are the view, with a writer that never stops; the client checks each message."""
    chance = random.Random(200)
    view, kinds = CHANGING[name], (OWN, OTHER, THIRD)

    def some() -> list[Payload]:
        return [address(f"10.0.0.{chance.randrange(12)}") for _ in range(chance.randrange(3))]

    mine = [Trigger.parse(writer.add(chance.choice(kinds), *some())).id for _ in range(300)]
    with client(quiet) as one:
        seq = one.send(Verb.REGISTER, view, flags=CAUSE | REPLAY | WITH_ORIGIN | WITH_FILTER)
        one.granted = ALL
        for _ in range(600):
            id = chance.choice(mine)
            match chance.randrange(3):
                case 0:
                    mine.append(Trigger.parse(writer.add(chance.choice(kinds), *some())).id)
                case 1:
                    writer.modify(id, chance.choice(kinds), *some())
                case _:
                    mine.remove(id)
                    writer.delete(id)
        assert one.answer(seq).errno == 0
        while not one.marks:
            assert one.pump(5)
        one.barrier()
        with client(quiet, ALL, view) as fresh:
            expected = {id: (told.type, told.ips) for id, told in fresh.standing.items()}
        assert expected and {id: (told.type, told.ips) for id, told in one.standing.items()} == expected
