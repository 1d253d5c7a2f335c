"""The trigger database row by row: each line of docs/protocol.md that says what a client may rely on has a story here,
in test_protocol.py (what clients do to each other, every errno) or in test_conditions.py (what the agent adds).
docs/conformance.md says which. One agent serves most of them; each tidies up after itself."""

import errno
import os
import socket
import stat
import struct
import time
from pathlib import Path

import pytest

from labkit.agent import Agent, answers
from labkit.clients import client, client_of, mif_client
from labkit.frame import HEADER, Message, Payload, raw
from labkit.processes import wait_until
from labkit.story import Tdb
from labkit.topology import Lab
from labkit.trigger_client import (
    ADDRESS,
    CAUSE,
    ORIGIN,
    REPLAY,
    TRIGGER,
    WITH_ORIGIN,
    Kind,
    Reason,
    Source,
    Trigger,
    TriggerClient,
    Verb,
    address,
    trigger,
)  # fmt: skip

OWN = 4660
SOMEBODY, SOMEBODY_ELSE = 23_001, 23_002
NEW_LINK = "link add new0 type veth peer name new1"
BARRIER = 0xFFFFFFF0
"""The id of a trigger that never was: GET of it is a request without effect."""


def rest_of(one: TriggerClient, number: int) -> list[Message]:
    """So many answers, whichever requests they belong to."""
    wait_until(lambda: len(one.answers) >= number or not one.pump(0.5), f"{number} answers", every=0)
    found = [one.answers.popleft() for _ in range(min(number, len(one.answers)))]
    assert len(found) == number, f"{len(found)} answers where {number} were due"
    return found


# Transport


def test_sockets(quiet: Agent) -> None:
    """Both sockets are SOCK_SEQPACKET, below the directory that --runtime-dir names, open to all by default."""
    for name in ("trigger.sock", "mif.sock"):
        status = (quiet.directory / name).stat()
        assert stat.S_ISSOCK(status.st_mode) and stat.S_IMODE(status.st_mode) == 0o666
        for kind in (socket.SOCK_STREAM, socket.SOCK_DGRAM):
            with socket.socket(socket.AF_UNIX, kind) as wrong, pytest.raises(OSError) as refused:
                wrong.connect(str(quiet.directory / name))
            assert refused.value.errno == errno.EPROTOTYPE
        assert answers(quiet.directory / name)


def test_default_runtime_directory(lab: Lab, binary: Path) -> None:
    """Without --runtime-dir the sockets are in /run/mifd; here in a /run of the agent's own."""
    script = 'mount -t tmpfs -o mode=755 tmpfs /run && mkdir /run/netns && exec "$@"'
    agent = lab.spawn(lab.host, "default", "unshare", "--mount", "sh", "-c", script, "sh", str(binary))
    agent.says("ready")
    run = Path(f"/proc/{agent.pid}/root/run/mifd")
    assert {"trigger.sock", "mif.sock"} <= {each.name for each in run.iterdir()}
    # A socket's address holds 107 bytes.
    os.chdir(run)
    try:
        one = TriggerClient(Path())
        one.barrier()
        one.close()
    finally:
        os.chdir("/")
    assert agent.stop() == 0


def test_answers_in_the_order_of_requests(quiet: Agent) -> None:
    """Three hundred requests of every kind sent without waiting, right ones and wrong ones: one answer each, in their
    order, with their type, seq and pid."""
    kinds = [Verb.GET, Verb.ADD, Verb.DELETE, 99, Verb.MODIFY, Verb.NOTIFY]
    with client(quiet) as one:
        one.pid = 4321
        asked = []
        for number in range(300):
            kind = kinds[number % len(kinds)]
            asked.append((kind, one.send(kind, trigger(OWN if kind == Verb.ADD else 0, 0))))
        found = rest_of(one, len(asked))
        assert [(each.kind, each.seq) for each in found] == asked and {each.pid for each in found} == {4321}
        added = [Trigger.parse(each).id for each in found if each.kind == Verb.ADD]
        assert len(set(added)) == 50 and added == sorted(added)
        one.barrier()
        for id in added:
            assert one.delete(id).errno == 0


def test_seq_and_pid_are_repeated_unread(quiet: Agent) -> None:
    """The answer has the request's seq and pid, whatever they are; both are the client's own."""
    with client(quiet) as one:
        for seq, pid in ((0, 0), (0xFFFFFFFF, 0xFFFFFFFF), (1, 1), (1, 2)):
            one.send_bytes(HEADER.pack(1, Verb.GET, 0, 0, 4, 0, seq, pid) + trigger(0, BARRIER).wire)
            answer = one.answer(seq)
            assert (answer.kind, answer.errno, answer.pid) == (Verb.GET, errno.ENOENT, pid)


def test_reserved_fields_are_not_read(quiet: Agent) -> None:
    """What is reserved in header, TRIGGER and ADDRESS may hold anything, as may errno in a request and the padding;
    in answers they are zero, which the lab's client checks of each."""
    body = struct.pack("=HHHHII", 2, TRIGGER, OWN, 0xAAAA, 0, 0xBBBBBBBB)
    body += struct.pack("=HHBBH", 3, ADDRESS, 24, 0xCC, 0xDDDD) + struct.pack("=HH", socket.AF_INET, 0xEEEE)
    body += bytes([192, 0, 2, 1]) + b"\xff" * 8
    with client(quiet) as one:
        one.send_bytes(HEADER.pack(1, Verb.ADD, 0x7F, 0, (16 + len(body)) // 8, 0x9999, 5, 6) + body)
        added = Trigger.parse(one.answer(5))
        assert added.ips == ("192.0.2.1",) and added.addresses[0].prefix == 24
        # (*): of a TRIGGER in GET and DELETE the id alone counts.
        for verb in (Verb.GET, Verb.DELETE):
            one.send_bytes(raw(verb, struct.pack("=HHHHII", 2, TRIGGER, 77, 0xFFFF, added.id, 0xFFFFFFFF), seq=7))
            answer = one.answer(7)
            assert answer.errno == 0 and Trigger.parse(answer).type == OWN


def test_port_and_flow_label_are_not_read(quiet: Agent) -> None:
    """They are 0 in everything that the agent sends. The scope of a link-local address is kept."""
    v4 = bytes([32, 0, 0, 0]) + struct.pack("=H", socket.AF_INET) + b"\x11\x94" + bytes([192, 0, 2, 1]) + b"\0" * 8
    v6 = bytes([64, 0, 0, 0]) + struct.pack("=H", socket.AF_INET6) + b"\x11\x94\xff\xff\xff\xff"
    v6 += bytes.fromhex("fe80" + "0" * 27 + "7") + struct.pack("=I", 3)
    with client(quiet) as one:
        answer = one.add(OWN, Payload(ADDRESS, v4), Payload(ADDRESS, v6))
        assert [len(payload.wire) for payload in answer.payloads] == [16, 24, 40]
        added = Trigger.parse(answer)
        assert [(each.ip, each.prefix, each.scope) for each in added.addresses] == [
            ("192.0.2.1", 32, 0), ("fe80::7", 64, 3),
        ]  # fmt: skip
        assert Trigger.parse(one.get(added.id)).addresses == added.addresses
        one.delete(added.id)


def test_payloads_in_any_order(quiet: Agent) -> None:
    """Addresses before the trigger, unknown payloads between: what counts is what they are."""
    with client(quiet) as one:
        answer = one.request(
            Verb.ADD, address("192.0.2.1"), Payload(3, b"x" * 60), trigger(OWN), address("2001:db8::1"),
            Payload(0xFFFF, b""),
        )  # fmt: skip
        added = Trigger.parse(answer)
        assert [payload.kind for payload in answer.payloads] == [TRIGGER, ADDRESS, ADDRESS]
        assert added.ips == ("192.0.2.1", "2001:db8::1")
        # GET and DELETE skip all but TRIGGER, an ORIGIN of the client's own and a malformed ADDRESS with it.
        extra = (Payload(ORIGIN, b"\xff" * 44), Payload(ADDRESS, b""), trigger(0, added.id))
        assert Trigger.parse(one.request(Verb.GET, *extra)).addresses == added.addresses
        assert Trigger.parse(one.request(Verb.DELETE, *extra)).id == added.id


def test_first_thing_wrong_is_answered(quiet: Agent) -> None:
    """Checks come in the order of the table, payloads in the order in which they stand."""
    unknown_family = Payload(ADDRESS, b"\x20\0\0\0" + struct.pack("=H", 1) + b"\0" * 14).wire
    too_long = address("192.0.2.1", 33).wire
    zero = struct.pack("=HHI", 0, TRIGGER, 0)
    cases = [
        (raw(99, version=9, len8=9), errno.EPROTONOSUPPORT),
        (raw(99, len8=9), errno.EOPNOTSUPP),
        (raw(Verb.ADD, zero, len8=9), errno.EMSGSIZE),
        (raw(Verb.ADD, unknown_family + too_long), errno.EAFNOSUPPORT),
        (raw(Verb.ADD, too_long + unknown_family), errno.EINVAL),
        (raw(Verb.ADD, unknown_family + zero), errno.EAFNOSUPPORT),
        (raw(Verb.MODIFY, trigger(0, BARRIER).wire), errno.EINVAL),
    ]
    with client(quiet) as one:
        for data, number in cases:
            one.send_bytes(data)
            assert one.answer(77).errno == number, data.hex(" ")


def test_pid_of_news_is_the_verified_one(quiet: Agent) -> None:
    """NOTIFY names the process that wrote by its true pid; the one in its request is its own affair."""
    with client_of(quiet, 0) as writer, client(quiet, CAUSE) as listener:
        true, writer.pid = writer.pid, 1
        id = Trigger.parse(writer.add(OWN)).id
        writer.delete(id)
        listener.barrier()
        assert [told.pid for told in listener.log] == [true, true]


def test_pid_that_cannot_be_seen(lab: Lab, binary: Path) -> None:
    """An agent in a pid namespace of its own sees none of the processes outside: 0xFFFFFFFF, never 0, which is the
    agent's own."""
    directory = lab.directory("inner-run")
    command = ["unshare", "--pid", "--fork", "--kill-child", str(binary), "--runtime-dir", str(directory)]
    lab.spawn(lab.host, "inner", *command)
    wait_until(lambda: answers(directory / TriggerClient.name), "the agent's socket")
    one = TriggerClient(directory)
    one.register(CAUSE | WITH_ORIGIN)
    one.delete(Trigger.parse(one.add(OWN)).id)
    lab.host.ip(NEW_LINK)
    Tdb(one).expect(cause=Verb.ADD, type=Kind.IF_ADDED, interface="new0", pid=0)
    assert [told.pid for told in one.log if told.type == OWN] == [0xFFFFFFFF] * 2
    one.close()


# Messages


def test_delete_answers_what_was(quiet: Agent) -> None:
    """The answer to DELETE has the trigger as it was and no ADDRESS; the NOTIFY has both."""
    with client(quiet, CAUSE) as one:
        added = Trigger.parse(one.add(OWN, address("192.0.2.1", 24)))
        answer = one.delete(added.id)
        assert [payload.kind for payload in answer.payloads] == [TRIGGER]
        assert (Trigger.parse(answer).type, Trigger.parse(answer).id) == (OWN, added.id)
        one.barrier()
        assert one.log[-1].cause == Verb.DELETE and one.log[-1].addresses == added.addresses
        assert one.delete(added.id).errno == errno.ENOENT and one.modify(added.id, OWN).errno == errno.ENOENT


def test_modify_replaces_addresses(quiet: Agent) -> None:
    """All of them, by however many the request has, and the type with them. The id stays."""
    with client(quiet, CAUSE | WITH_ORIGIN) as one:
        id = Trigger.parse(one.add(OWN, address("192.0.2.1"), address("192.0.2.2"), address("192.0.2.3"))).id
        for many in (1, 16, 2):
            wanted = [address(f"198.51.100.{number}") for number in range(many)]
            answer = one.modify(id, Kind.CONN_LOST, *wanted)
            assert [payload.kind for payload in answer.payloads] == [TRIGGER] + [ADDRESS] * many
            assert Trigger.parse(one.get(id)).ips == tuple(f"198.51.100.{number}" for number in range(many))
            assert one.log[-1].cause == Verb.MODIFY and len(one.log[-1].addresses) == many
        one.delete(id)


@pytest.mark.parametrize("kind", [*Kind, 7, 99, 0x7FFF, 0x8000, 0xFFFF])
def test_trigger_types(kind: int, quiet: Agent) -> None:
    """The draft's six and all larger ones are stored and told as they came, of whatever the agent makes itself."""
    with client(quiet, CAUSE | WITH_ORIGIN) as one:
        added = Trigger.parse(one.add(kind, address("192.0.2.1")))
        assert added.type == kind and Trigger.parse(one.get(added.id)).type == kind
        [told] = one.log
        assert told.type == kind and told.origin is not None and told.origin.source == Source.CLIENT
        assert Trigger.parse(one.delete(added.id)).type == kind


def test_id_is_never_zero_and_stays(quiet: Agent) -> None:
    """An id names one trigger from its ADD to its DELETE, and none after."""
    with client(quiet) as one:
        ids = [Trigger.parse(one.add(OWN)).id for _ in range(20)]
        assert 0 not in ids and ids == sorted(set(ids))
        one.delete(ids[7])
        fresh = Trigger.parse(one.add(OWN)).id
        assert fresh > max(ids) and one.get(ids[7]).errno == errno.ENOENT
        for id in [*ids[:7], *ids[8:], fresh]:
            assert Trigger.parse(one.get(id)).id == id
            one.delete(id)


def test_triggers_outlive_their_writer(quiet: Agent) -> None:
    """The database keeps what a process said after it is gone."""
    with client(quiet) as writer:
        id = Trigger.parse(writer.add(OWN, address("192.0.2.1"))).id
    with client(quiet) as other:
        assert Trigger.parse(other.get(id)).ips == ("192.0.2.1",)
        other.delete(id)


# Errors that want a configuration


def test_database_full(lab: Lab, binary: Path) -> None:
    """ENOSPC when it has as many triggers of clients as the configuration allows; the agent's own go on."""
    configuration = lab.record.directory / "mifd.conf"
    configuration.write_text("triggers = 10\n")
    agent = Agent(lab, binary, "--config", str(configuration))
    with client(agent, CAUSE | REPLAY | WITH_ORIGIN) as one:
        ids = [Trigger.parse(one.add(OWN)).id for _ in range(10)]
        for _ in range(3):
            refused = one.add(OWN)
            assert (refused.errno, refused.payloads) == (errno.ENOSPC, ())
        assert one.modify(ids[0], OWN, *[address("192.0.2.1")] * 16).errno == 0
        lab.host.ip(NEW_LINK)
        Tdb(one).expect(cause=Verb.ADD, type=Kind.IF_ADDED, interface="new0")
        one.delete(ids[3])
        assert one.add(OWN).errno == 0 and one.add(OWN).errno == errno.ENOSPC


# Extensions


def test_cause(quiet: Agent) -> None:
    """Bit 0x01: the flags of a NOTIFY are ADD, MODIFY or DELETE. Without it they are 0."""
    with client(quiet) as writer, client(quiet, CAUSE) as knows, client(quiet, WITH_ORIGIN) as guesses:
        id = Trigger.parse(writer.add(OWN)).id
        writer.modify(id, OWN + 1)
        writer.delete(id)
        for one, causes in ((knows, [Verb.ADD, Verb.MODIFY, Verb.DELETE]), (guesses, [0, 0, 0])):
            one.barrier()
            assert [told.cause for told in one.log] == causes
            assert [told.type for told in one.log] == [OWN, OWN + 1, OWN + 1]


def test_replay_of_the_bare_draft(quiet: Agent) -> None:
    """REPLAY alone: NOTIFYs without cause and origin, pid 0, then the mark; all of them count in seq."""
    with client(quiet) as writer:
        id = Trigger.parse(writer.add(OWN)).id
        with client(quiet, REPLAY) as one:
            assert id in {told.id for told in one.log}
            assert {(told.cause, told.pid, told.origin) for told in one.log} == {(0, 0, None)}
            assert one.news_seq == len(one.log) + 1
            writer.delete(id)
            one.barrier()
            assert one.news_seq == len(one.log) + 1 and one.log[-1].pid == os.getpid()


def test_replay_keeps_the_order_of_adding(quiet: Agent) -> None:
    with client(quiet) as writer:
        ids = [Trigger.parse(writer.add(OWN)).id for _ in range(30)]
        writer.modify(ids[3], OWN + 1)
        with client(quiet, CAUSE | REPLAY) as one:
            replayed = [told.id for told in one.log]
            assert replayed == sorted(replayed)
            assert next(told for told in one.log if told.id == ids[3]).type == OWN + 1
        for id in ids:
            writer.delete(id)


def test_origin_of_a_client(quiet: Agent) -> None:
    """Bit 0x04: where it comes from, when, and why it went. The timestamp is that of the last change, as exact as the
    agent's clock: it is read once for all the requests that it takes from a socket at a time."""
    once = 10_000_000
    with client(quiet, CAUSE | WITH_ORIGIN) as one:
        before = time.time_ns()
        id = Trigger.parse(one.add(Kind.DEST_UNREACHABLE, address("192.0.2.1"))).id
        time.sleep(2 * once / 1e9)
        between = time.time_ns()
        one.modify(id, Kind.DEST_UNREACHABLE)
        one.delete(id)
        one.barrier()
        added, modified, deleted = (told.origin for told in one.log)
        assert added is not None and modified is not None and deleted is not None
        for origin in (added, modified, deleted):
            assert (origin.interface, origin.name, origin.pvd, origin.source) == (0, "", 0, Source.CLIENT)
            assert (origin.icmp_type, origin.icmp_code, origin.count, origin.address_flags) == (0, 0, 1, 0)
        assert [added.reason, modified.reason, deleted.reason] == [Reason.NONE, Reason.NONE, Reason.DELETED]
        assert before - once <= added.timestamp < between - once < modified.timestamp <= deleted.timestamp
        assert deleted.timestamp <= time.time_ns()


def test_registering_again_replaces(quiet: Agent) -> None:
    """A second REGISTER replaces the extensions of the first; nothing is told twice for it."""
    with client(quiet) as writer, client(quiet, CAUSE | WITH_ORIGIN) as one:
        id = Trigger.parse(writer.add(OWN)).id
        one.barrier()
        one.register(0)
        writer.modify(id, OWN + 1)
        one.barrier()
        one.register(CAUSE)
        writer.delete(id)
        one.barrier()
        assert [(told.cause, told.origin is None) for told in one.log] == [(1, False), (0, True), (3, True)]


def test_registration_lasts_as_long_as_the_socket(quiet: Agent) -> None:
    with client(quiet) as writer, mif_client(quiet) as mif:
        with client(quiet, CAUSE):
            news = mif.statistics()["subscribers.news"]
            writer.delete(Trigger.parse(writer.add(OWN)).id)
            assert mif.statistics()["subscribers.news"] == news + 2
        connected = mif.statistics()["subscribers.connected"]
        wait_until(lambda: mif.statistics()["subscribers.connected"] <= connected, "the socket is closed")
        news = mif.statistics()["subscribers.news"]
        writer.delete(Trigger.parse(writer.add(OWN)).id)
        assert mif.statistics()["subscribers.news"] == news


def test_who_does_not_register_hears_nothing(quiet: Agent) -> None:
    with client(quiet) as one, client(quiet) as writer:
        writer.delete(Trigger.parse(writer.add(OWN)).id)
        one.barrier()
        assert one.news_seq == 0
        # And what was before REGISTER is not told without REPLAY.
        id = Trigger.parse(writer.add(OWN)).id
        one.register(CAUSE)
        writer.delete(id)
        one.barrier()
        assert [(told.cause, told.id) for told in one.log] == [(Verb.DELETE, id)]


def test_what_was_sent_before_the_end_is_done(quiet: Agent) -> None:
    """A client that writes and closes at once, or shuts its end: what it sent is carried out."""
    with client(quiet, CAUSE) as listener:
        ear = Tdb(listener)
        for end in (socket.SHUT_WR, socket.SHUT_RDWR, None):
            one = TriggerClient(quiet.directory)
            for _ in range(5):
                one.send(Verb.ADD, trigger(OWN))
            if end is None:
                one.close()
            else:
                one.socket.shutdown(end)
            ids = [ear.expect(cause=Verb.ADD, type=OWN).id for _ in range(5)]
            if end is not None:
                one.close()
            for id in ids:
                assert listener.delete(id).errno == 0
