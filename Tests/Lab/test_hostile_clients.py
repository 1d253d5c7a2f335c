"""Clients that are too many, too fast, asleep or killed: each hurts itself alone, and what the agent gave them comes
back. Times are printed; what is asserted of them is only that nobody waits for another."""

import errno
import os
import socket
import time
from collections import deque
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGKILL

import pytest

from labkit.agent import Agent
from labkit.clients import client, mif_client
from labkit.frame import HEADER, MAXIMUM, Message, raw
from labkit.mif_client import Mif, MifClient
from labkit.processes import wait_until
from labkit.story import distribution, eventually, percentile, tell
from labkit.topology import Lab
from labkit.trigger_client import (
    CAUSE,
    REPLAY,
    WITH_ORIGIN,
    Trigger,
    TriggerClient,
    Verb,
    address,
    trigger,
)  # fmt: skip

OWN = 4660
NOTHING = raw(Verb.GET, trigger(0, 0xFFFFFFF0).wire)
"""A request without effect, answered ENOENT."""
WIDE = trigger(OWN).wire + address("2001:db8::1").wire * 16
ALL = CAUSE | REPLAY | WITH_ORIGIN


def descriptors(agent: Agent) -> int:
    return len(os.listdir(f"/proc/{agent.child.pid}/fd"))


def connected(path: Path) -> socket.socket:
    """Waits for its turn where more connect than the agent has accepted yet."""
    opened = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    opened.connect(str(path))
    opened.settimeout(10)
    return opened


def send_all(opened: socket.socket, request: bytes) -> int:
    """Sends one request again and again without reading, until the agent takes no more. Says how often."""
    opened.setblocking(False)
    sent = failed = 0
    while failed < 20:
        try:
            opened.send(request)
            sent += 1
            failed = 0
        except BlockingIOError:
            failed += 1
            time.sleep(0.001)
    return sent


def pipeline(opened: socket.socket, requests: Iterator[bytes]) -> Iterator[bytes]:
    """The answers to all of them, at most 64 under way."""
    opened.settimeout(10)
    waiting = 0
    for request in requests:
        opened.send(request)
        waiting += 1
        if waiting == 64:
            for _ in range(waiting):
                yield opened.recv(MAXIMUM)
            waiting = 0
    for _ in range(waiting):
        yield opened.recv(MAXIMUM)


@contextmanager
def latency(one: TriggerClient, what: str) -> Iterator[list[float]]:
    """Collects, in µs, how long requests of a client that does nothing wrong take."""
    took: list[float] = []
    yield took
    tell(f"     {what}: {distribution(took)}")
    assert percentile(took, 0.5) < 100_000 and max(took) < 2_000_000


def ask(one: TriggerClient, took: list[float]) -> None:
    began = time.perf_counter()
    assert one.get(0xFFFFFFF0).errno == errno.ENOENT
    took.append((time.perf_counter() - began) * 1e6)


def settle(mif: MifClient, connected: int) -> None:
    """Those who only knocked at the start are gone."""
    wait_until(lambda: mif.statistics()["subscribers.connected"] == connected, f"only {connected} are connected")


# Many


def test_ten_thousand_come_and_go(lab: Lab, agent: Agent) -> None:
    """They connect, some ask or begin to, and vanish, up to sixty of them at a time. Descriptors, memory and counters
    come back, and a client that stays is served all the while."""
    ways = {
        "nothing": b"",
        "registered": raw(Verb.REGISTER),
        "asked for everything": HEADER.pack(1, Verb.REGISTER, 0, ALL, 2, 0, 1, 1),
        "wrote": raw(Verb.ADD, trigger(OWN).wire),
        "half a header": raw(Verb.GET)[:8],
        "a lie about its length": raw(Verb.GET, len8=99),
    }
    with client(agent) as stays, mif_client(agent) as mif, latency(stays, "a GET meanwhile") as took:
        settle(mif, 2)
        before, files, memory = mif.statistics(), descriptors(agent), agent.resident()
        open_ones: deque[socket.socket] = deque()
        requests = list(ways.values())
        for number in range(10_000):
            path = agent.directory / (MifClient.name if number % 10 == 9 else TriggerClient.name)
            one = connected(path)
            request = requests[number % len(requests)]
            # The table is another story's: not every writer writes.
            if request and not (number % 60 >= 6 and request == ways["wrote"]):
                one.send(request)
            if number % 7 == 0:
                one.shutdown(socket.SHUT_RDWR)
            open_ones.append(one)
            if len(open_ones) == 60:
                for _ in range(40):
                    open_ones.popleft().close()
            if number % 50 == 0:
                ask(stays, took)
        for one in open_ones:
            one.close()

        def back() -> None:
            after = mif.statistics()
            assert after["subscribers.connected"] == 2
            assert after["subscribers.accepted"] - before["subscribers.accepted"] == 10_000
            assert after["subscribers.closed"] - before["subscribers.closed"] == 10_000
            assert after["subscribers.refused-full"] == 0
            assert descriptors(agent) == files

        eventually(back)
        grown = agent.resident() - memory
        tell(f"     {grown / 1024:.0f} KiB more resident")
        assert grown < 1_000_000
    # What the writers among them wrote before they left stands.
    with client(agent, ALL) as last:
        assert len([told for told in last.log if told.type == OWN]) == 10_000 // 60 + (10_000 % 60 > 3)


@pytest.mark.configuration("subscribers = 40\n")
def test_more_than_may_connect(lab: Lab, agent: Agent) -> None:
    """One past the bound is told so, closed and counted; when one of the others goes, the next one is served."""
    with client(agent) as one, ExitStack() as stack:
        many = []
        for _ in range(39):
            # One by one: who knocked at the agent's start has gone, but keeps its place until the agent comes round to it.
            many.append(stack.enter_context(client(agent)))
            many[-1].barrier()
        for _ in range(5):
            with connected(agent.directory / TriggerClient.name) as refused:
                assert Message.parse(refused.recv(100)) == Message(0, (), 0, 0, errno.ENOSPC)
                assert refused.recv(100) == b""
        one.barrier()
        many[7].close()

        def served() -> None:
            with client(agent) as next_one:
                next_one.barrier()

        eventually(served)


@pytest.mark.configuration("subscribers = 1100\nsubscriber-queue = 1048576\n")
def test_a_thousand_subscribers(lab: Lab, agent: Agent) -> None:
    """Four writers, their requests interleaved: each of a thousand subscribers is told every NOTIFY once, byte for byte
    in the same order, and each writer has its answers before its news."""
    rounds = 15
    with ExitStack() as stack:
        register = HEADER.pack(1, Verb.REGISTER, 0, CAUSE | WITH_ORIGIN, 2, 0, 1, 1)
        ears = [stack.enter_context(connected(agent.directory / TriggerClient.name)) for _ in range(1000)]
        for ear in ears:
            ear.send(register)
            assert Message.parse(ear.recv(100)).flags == CAUSE | WITH_ORIGIN
        writers = [stack.enter_context(client(agent, CAUSE)) for _ in range(4)]
        began = time.monotonic()
        ids: list[list[int]] = [[] for _ in writers]
        for round in range(rounds):
            sent = []
            for writer, own in zip(writers, ids, strict=True):
                kinds = [writer.send(Verb.ADD, trigger(OWN + round), address("192.0.2.1"))]
                if own:
                    kinds.append(writer.send(Verb.MODIFY, trigger(OWN, own[-1])))
                    kinds.append(writer.send(Verb.DELETE, trigger(0, own[-1])))
                sent.append(kinds)
            for writer, own, kinds in zip(writers, ids, sent, strict=True):
                for seq in kinds:
                    answer = writer.answer(seq)
                    assert answer.errno == 0
                    if answer.kind == Verb.ADD:
                        own.append(Trigger.parse(answer).id)
        total = len(writers) * (3 * rounds - 2)
        first = [ears[0].recv(MAXIMUM) for _ in range(total)]
        for ear in ears[1:]:
            assert [ear.recv(MAXIMUM) for _ in range(total)] == first
        tell(f"     {1000 * total} NOTIFYs in {time.monotonic() - began:.2f} s")
        told = [Trigger.parse(Message.parse(each)) for each in first]
        assert [each.seq for each in told] == list(range(1, total + 1))
        for verb in (Verb.ADD, Verb.MODIFY, Verb.DELETE):
            of_verb = [each.id for each in told if each.cause == verb]
            assert len(of_verb) == len(set(of_verb))
        for writer, own in zip(writers, ids, strict=True):
            assert [each.id for each in told if each.cause == Verb.ADD and each.id in own] == own
            writer.barrier()
            assert [each.id for each in writer.log] == [each.id for each in told]
        # And nothing came after: the next thing that each reads is the answer to what it asks.
        for ear in ears[::50]:
            ear.send(NOTHING)
            assert Message.parse(ear.recv(MAXIMUM)).errno == errno.ENOENT


def test_a_full_table(lab: Lab, agent: Agent) -> None:
    """65,536 triggers, the default bound, then ENOSPC; a replay has them all, in order; one that goes makes room for
    one; other clients are served meanwhile."""
    limit = 65_536
    with connected(agent.directory / TriggerClient.name) as writer, client(agent) as stays:
        memory, began = agent.resident(), time.monotonic()
        adding = raw(Verb.ADD, trigger(OWN).wire + address("192.0.2.1").wire)
        for answer in pipeline(writer, (adding for _ in range(limit))):
            assert answer[2] == 0, f"errno {answer[2]}"
        tell(f"     {limit} added in {time.monotonic() - began:.2f} s, {(agent.resident() - memory) >> 20} MiB more")
        for answer in pipeline(writer, (adding for _ in range(10))):
            assert answer[2] == errno.ENOSPC and len(answer) == HEADER.size
        with connected(agent.directory / TriggerClient.name) as reader, latency(stays, "a GET during replay") as took:
            began = time.monotonic()
            reader.send(HEADER.pack(1, Verb.REGISTER, 0, CAUSE | REPLAY, 2, 0, 1, 1))
            assert Message.parse(reader.recv(MAXIMUM)).kind == Verb.REGISTER
            ids, number = [], 0
            while len(data := reader.recv(MAXIMUM)) > HEADER.size:
                number += 1
                if int.from_bytes(data[20:22], "little") == OWN:
                    ids.append(int.from_bytes(data[24:28], "little"))
                if number % 1000 == 0:
                    ask(stays, took)
            tell(f"     replayed in {time.monotonic() - began:.2f} s")
            assert len(ids) == limit and ids == sorted(set(ids))
            assert Message.parse(data).seq == number + 1
        with client(agent, CAUSE | REPLAY) as one:
            assert len(one.standing) == number
            assert stays.delete(ids[limit // 2]).errno == 0
            added = Trigger.parse(stays.add(OWN))
            assert added.id > ids[-1] and stays.add(OWN).errno == errno.ENOSPC
            one.barrier()
            assert [told.cause for told in one.log[-2:]] == [Verb.DELETE, Verb.ADD]
        began = time.monotonic()
        ids[limit // 2] = added.id
        deleting = (raw(Verb.DELETE, trigger(0, id).wire) for id in ids)
        assert all(answer[2] == 0 for answer in pipeline(writer, deleting))
        tell(f"     {limit} deleted in {time.monotonic() - began:.2f} s")


# Asleep


QUEUE = 32_768


@pytest.mark.configuration(f"subscriber-queue = {QUEUE}\n")
def test_subscribers_that_never_read(lab: Lab, agent: Agent) -> None:
    """Fifty of them cost at most their queues. What the kernel held for each stays, the oldest behind it were dropped,
    and the newest are there: one gap, which the numbers tell."""
    with ExitStack() as stack, client(agent, ALL) as listener, client(agent) as writer:
        sleepers = [stack.enter_context(client(agent, CAUSE | WITH_ORIGIN)) for _ in range(50)]
        before, memory = len(listener.log), agent.resident()
        with latency(writer, "a writer's request") as took:
            for _ in range(600):
                began = time.perf_counter()
                id = Trigger.parse(writer.add(OWN, *[address("2001:db8::1")] * 16)).id
                writer.delete(id)
                took.append((time.perf_counter() - began) * 1e6)
                listener.drain()
        listener.barrier()
        assert len(listener.log) - before == 1200, "the one that reads lost something"
        grown = agent.resident() - memory
        tell(f"     {grown / 1024:.0f} KiB more resident; the queues may hold {len(sleepers) * QUEUE // 1024} KiB")
        assert grown < len(sleepers) * QUEUE + 500_000
        for sleeper in sleepers:
            numbers = [message.seq for message in received_news(sleeper)]
            gaps = [(a, b) for a, b in zip(numbers, numbers[1:], strict=False) if b != a + 1]
            assert numbers[0] == 1 and numbers[-1] == 1200 and len(gaps) == 1
        counters = stack.enter_context(mif_client(agent)).statistics()
        assert counters["subscribers.news-dropped"] > 0 and counters["subscribers.connected"] == 53


def received_news(one: TriggerClient) -> Iterator[Message]:
    """What is there for a client that has slept, up to the answer to a request of now."""
    one.socket.settimeout(10)
    one.socket.send(NOTHING)
    while (message := Message.parse(one.socket.recv(MAXIMUM))).kind == Verb.NOTIFY:
        yield message
    assert (message.kind, message.errno) == (Verb.GET, errno.ENOENT)


@pytest.mark.configuration(f"subscriber-queue = {QUEUE}\n")
def test_clients_that_do_not_read_their_answers(lab: Lab, agent: Agent) -> None:
    """Their answers are held back and nothing more is read from them: no memory to speak of, nobody else waits, and
    when they read at last every answer is there, in order."""
    with ExitStack() as stack, client(agent) as other:
        wide = [address("2001:db8::1")] * 16
        ids = [Trigger.parse(other.add(OWN, *wide)).id for _ in range(10)]
        get = raw(Verb.GET, trigger(0, ids[0]).wire)
        replay = HEADER.pack(1, Verb.REGISTER, 0, ALL, 2, 0, 7, 7)
        statistics = raw(Mif.GET_STATISTICS)
        kinds = [(TriggerClient.name, get), (TriggerClient.name, NOTHING), (TriggerClient.name, replay),
                 (MifClient.name, statistics)]  # fmt: skip
        memory = agent.resident()
        greedy = []
        with latency(other, "another's GET") as took:
            for name, request in kinds * 8:
                one = stack.enter_context(connected(agent.directory / name))
                greedy.append((one, request, send_all(one, request)))
                ask(other, took)
            with mif_client(agent) as mif:
                assert mif.statistics()["subscribers.held-back"] > 0
            ask(other, took)
        grown = agent.resident() - memory
        bound = len(greedy) * QUEUE
        asked = sum(sent for _, _, sent in greedy)
        tell(f"     {asked} requests, {grown / 1024:.0f} KiB more resident, of {bound >> 10}")
        assert grown < bound
        for one, request, sent in greedy:
            one.settimeout(10)
            answers, is_marked = 0, False
            while answers < sent or (request is replay and not is_marked):
                message = Message.parse(one.recv(MAXIMUM))
                if request is get:
                    assert Trigger.parse(message).id == ids[0]
                if request is replay and message.kind == Verb.NOTIFY:
                    is_marked = not message.payloads
                elif request is not statistics or message.kind == Mif.SNAPSHOT_END:
                    answers, is_marked = answers + 1, False
            one.setblocking(False)
            with pytest.raises(BlockingIOError):
                one.recv(MAXIMUM)
        for id in ids:
            other.delete(id)


def processor_time(agent: Agent) -> float:
    """Seconds that the agent has worked."""
    fields = Path(f"/proc/{agent.child.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_client_that_reads_no_more(lab: Lab, agent: Agent) -> None:
    """It shuts its reading end and goes on writing, and asks for a replay that it will not hear: what it writes is
    done, and the agent rests."""
    with client(agent, CAUSE) as listener, connected(agent.directory / TriggerClient.name) as deaf:
        deaf.shutdown(socket.SHUT_RD)
        deaf.send(raw(Verb.ADD, trigger(OWN).wire))
        deaf.send(HEADER.pack(1, Verb.REGISTER, 0, ALL, 2, 0, 1, 1))
        deaf.send(raw(Verb.ADD, trigger(OWN).wire))
        wait_until(lambda: listener.pump(1) and len(listener.log) == 2, "both are told", every=0)
        listener.barrier()
        before = processor_time(agent)
        time.sleep(0.5)
        assert processor_time(agent) - before < 0.25


# Killed


def scribble(directory: Path, seed: int) -> None:
    """A child's part: writes, replays and reads now and then, until it is killed."""
    try:
        one = connected(directory / TriggerClient.name)
        one.send(HEADER.pack(1, Verb.REGISTER, 0, ALL, 2, 0, 1, 1))
        one.setblocking(False)
        requests = [raw(Verb.ADD, WIDE), NOTHING, raw(Verb.MODIFY, trigger(OWN, seed).wire), raw(Verb.ADD)[:9]]
        number = seed
        while True:
            number += 1
            time.sleep(0.001)
            try:
                one.send(requests[number % len(requests)])
            except BlockingIOError:
                pass
            if number % 3 == 0 or seed % 3 == 0:
                try:
                    one.recv(MAXIMUM)
                except BlockingIOError:
                    pass
    finally:
        os._exit(1)


@pytest.mark.configuration("subscriber-queue = 16777216\n")
def test_clients_killed_in_mid_message(lab: Lab, agent: Agent) -> None:
    """Thirty processes write, subscribe, read or don't, and are killed at any moment: what each has written stands
    whole or not at all, one listener's mirror is what a fresh one is told, and everything else is as before."""
    with client(agent, ALL) as listener, mif_client(agent) as mif:
        settle(mif, 2)
        files, memory = descriptors(agent), agent.resident()
        for _ in range(3):
            children = []
            for seed in range(10):
                pid = os.fork()
                if pid == 0:
                    scribble(agent.directory, seed)
                children.append(pid)
            deadline = time.monotonic() + 0.25
            for number, pid in enumerate(children):
                while time.monotonic() < deadline - 0.02 * (len(children) - number):
                    listener.pump(0.005)
                os.kill(pid, SIGKILL)
                os.waitpid(pid, 0)
                listener.drain()

        def back() -> None:
            listener.drain()
            assert mif.statistics()["subscribers.connected"] == 2 and descriptors(agent) == files

        eventually(back)
        listener.barrier()
        with client(agent, ALL) as fresh:
            assert {id: (t.type, t.addresses) for id, t in fresh.standing.items()} == {
                id: (t.type, t.addresses) for id, t in listener.standing.items()
            }
            written = [told for told in fresh.log if len(told.addresses) == 16]
            assert {told.type for told in written} == {OWN}
        tell(f"     {len(written)} triggers written, {(agent.resident() - memory) / 1024:.0f} KiB more resident")
        wait_until(lambda: agent.child.running, "the agent runs")
