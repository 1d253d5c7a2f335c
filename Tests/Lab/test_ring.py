"""The extension RING as docs/protocol.md has it, read by a client that shares no code with the agent's."""

import mmap
import os
import struct
import time

import pytest

from labkit.agent import Agent
from labkit.clients import client, client_of
from labkit.frame import Message
from labkit.ring import Lapped
from labkit.trigger_client import (
    CAUSE,
    REPLAY,
    RING,
    TRIGGER,
    WITH_FILTER,
    WITH_ORIGIN,
    TriggerClient,
    Verb,
    address,
    filter,
    trigger,
)  # fmt: skip

OWN = 4660
ALL = CAUSE | REPLAY | WITH_ORIGIN | RING
WIDE = [address(f"2001:db8::{number + 1:x}") for number in range(16)]
NOBODY = 65534


def identifier(answer: Message) -> int:
    return int(struct.unpack_from("=I", answer.one(TRIGGER), 4)[0])


def hear_all(one: TriggerClient, number: int, seconds: float = 10.0) -> list[tuple[int, int]]:
    """The causes and ids of the next so many news on the ring."""
    heard: list[tuple[int, int]] = []
    deadline = time.monotonic() + seconds
    while len(heard) < number and time.monotonic() < deadline:
        heard += [(told.cause, told.id) for told in one.hear(deadline - time.monotonic())]
    return heard


def descriptors(agent: Agent) -> int:
    return len(os.listdir(f"/proc/{agent.child.pid}/fd"))


def test_news_are_on_the_ring_alone(quiet: Agent) -> None:
    with client(quiet) as writer, client(quiet, ALL) as one, client(quiet, ALL) as two, client(quiet, 0) as plain:
        id = identifier(writer.add(OWN, address("192.0.2.1", 24)))
        writer.modify(id, OWN + 1, *WIDE)
        writer.delete(id)
        for each in (one, two):
            assert hear_all(each, 3) == [(Verb.ADD, id), (Verb.MODIFY, id), (Verb.DELETE, id)]
            wide = each.log[-2]
            assert len(wide.addresses) == 16 and wide.type == OWN + 1 and wide.pid == os.getpid()
            each.barrier()
            assert len(each.log) - each.marks[-1] == 3, "nothing on the socket as well"
        plain.barrier()
        assert [told.id for told in plain.log] == [id] * 3


def test_a_sleeper_is_woken(quiet: Agent) -> None:
    with client(quiet) as writer, client(quiet, ALL) as one:
        assert one.hear(0.01) == []
        for _ in range(20):
            seq = writer.send(Verb.ADD, trigger(OWN))
            (told,) = one.hear(10)
            id = told.id
            writer.answer(seq)
            writer.delete(id)
            assert hear_all(one, 1) == [(Verb.DELETE, id)]


def test_who_is_lapped_comes_back_by_a_replay(quiet: Agent) -> None:
    with client(quiet) as writer, client(quiet, ALL) as slow:
        ids = [identifier(writer.add(OWN)) for _ in range(700)]
        with pytest.raises(Lapped):
            slow.hear()
        slow.register(ALL)
        assert set(ids) <= set(slow.standing)
        for id in ids:
            writer.delete(id)
        slow.register(ALL)
        assert not set(ids) & set(slow.standing)
        last = identifier(writer.add(OWN))
        assert hear_all(slow, 1) == [(Verb.ADD, last)]
        writer.delete(last)


def test_what_the_agent_gives_cannot_be_turned_against_it(quiet: Agent) -> None:
    before = descriptors(quiet)
    with client(quiet) as writer, client(quiet, ALL) as hostile, client(quiet, ALL) as other:
        ring = hostile.ring
        assert ring
        with pytest.raises(OSError):
            os.ftruncate(ring.descriptor, 0)
        with pytest.raises(OSError):
            os.pwrite(ring.descriptor, b"x", 0)
        with pytest.raises(OSError):
            mmap.mmap(ring.descriptor, 4096, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        # It says that it sleeps again and again, never takes what wakes it, and wants the agent to wait for it.
        os.set_blocking(ring.bell, True)
        for number in range(2000):
            ring.say(1 + number % 2, cursor=0)
            writer.delete(identifier(writer.add(OWN)))
        for state, cursor in [(3, 0), (0xFFFFFFFF, 1 << 63), (1, (1 << 64) - 1)]:
            ring.say(state, cursor)
            writer.delete(identifier(writer.add(OWN)))
        other.register(ALL)
        id = identifier(writer.add(OWN))
        assert hear_all(other, 1) == [(Verb.ADD, id)]
        writer.delete(id)
    deadline = time.monotonic() + 10
    while descriptors(quiet) > before and time.monotonic() < deadline:
        time.sleep(0.01)
    assert descriptors(quiet) <= before, "the agent keeps nothing of those who are gone"


def test_a_filter_keeps_its_client_on_the_socket(quiet: Agent) -> None:
    with client(quiet) as one:
        answer = one.request(Verb.REGISTER, filter(OWN), flags=CAUSE | RING | WITH_FILTER)
        assert answer.errno == 0 and answer.flags == CAUSE | WITH_FILTER and not one.passed


@pytest.mark.configuration("trigger-read = group 0\ntrigger-read = user 65534: 4660\n")
def test_who_may_read_only_some_stays_on_the_socket(agent: Agent) -> None:
    with client_of(agent, NOBODY) as one:
        answer = one.request(Verb.REGISTER, flags=CAUSE | RING)
        assert answer.errno == 0 and answer.flags == CAUSE and not one.passed


@pytest.mark.configuration("ring-size = 0\n")
def test_no_ring_to_give(agent: Agent) -> None:
    with client(agent) as one:
        answer = one.request(Verb.REGISTER, flags=CAUSE | RING)
        assert answer.errno == 0 and answer.flags == CAUSE and not one.passed


@pytest.mark.configuration("ring-size = 5000\n")
def test_the_size_of_the_ring(agent: Agent) -> None:
    with client(agent, ALL) as one:
        assert one.ring and one.ring.slots == 32
