"""Who may do what in the trigger database: processes of other users and groups against rules of the configuration."""

import errno
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from labkit.agent import Agent
from labkit.clients import client, client_of, mif_client
from labkit.frame import HEADER, Message, raw
from labkit.processes import wait_until
from labkit.story import eventually
from labkit.topology import Lab
from labkit.trigger_client import (
    CAUSE,
    REPLAY,
    WITH_ORIGIN,
    Kind,
    Reason,
    Trigger,
    TriggerClient,
    Verb,
    address,
    trigger,
)  # fmt: skip

ANNA, BERT, CARL = 23_001, 23_002, 23_003
GROUP = 23_100
OWN, OTHER = 4660, 4661
ALL = CAUSE | REPLAY | WITH_ORIGIN


def id_of(answer: Message) -> int:
    assert answer.errno == 0, errno.errorcode[answer.errno]
    return Trigger.parse(answer).id


def written(agent: Agent, uid: int, types: tuple[int, ...] = (OWN, OTHER, 6), **who: object) -> list[int]:
    """The types of which this user may add a trigger; what it added is deleted by root."""
    allowed = []
    with client_of(agent, uid, **who) as one, client(agent) as root:  # type: ignore[arg-type]
        for kind in types:
            answer = one.add(kind)
            assert answer.errno in (0, errno.EPERM)
            if answer.errno == 0:
                allowed.append(kind)
                assert root.delete(id_of(answer)).errno == 0
    return allowed


# Writing


def test_only_root_writes_by_default(lab: Lab, agent: Agent) -> None:
    assert written(agent, 0) == [OWN, OTHER, 6]
    assert written(agent, ANNA) == [] == written(agent, 65_534)
    with client(agent) as root, client_of(agent, ANNA) as anna:
        id = id_of(root.add(OWN))
        assert anna.modify(id, OWN).errno == errno.EPERM and anna.delete(id).errno == errno.EPERM
        assert id_of(anna.get(id)) == id
        # What exists is none of the business of somebody who may not write.
        assert anna.delete(0xFFFFFFF0).errno == errno.EPERM


@pytest.mark.configuration(
    f"trigger-write = user {ANNA}\ntrigger-write = user {BERT}: {OWN}, 6-7\ntrigger-write = group {GROUP}: {OTHER}\n"
)
def test_writers(lab: Lab, agent: Agent) -> None:
    """By uid, by effective and by supplementary group, for all types or some; rules add up."""
    assert written(agent, ANNA) == [OWN, OTHER, 6]
    assert written(agent, BERT) == [OWN, 6]
    assert written(agent, CARL) == []
    assert written(agent, CARL, gid=GROUP) == [OTHER] == written(agent, CARL, groups=[1, 2, GROUP])
    assert written(agent, BERT, groups=[GROUP]) == [OWN, OTHER, 6]
    assert written(agent, GROUP) == [OTHER]


@pytest.mark.configuration(f"trigger-write = any: {OWN}\ntrigger-write = user {ANNA}\n")
def test_type_that_may_not_be_written(lab: Lab, agent: Agent) -> None:
    """A MODIFY takes the right to the type that it was and to the one that it is to be, a DELETE to what it is."""
    with client_of(agent, ANNA) as anna, client_of(agent, BERT) as bert:
        id = id_of(bert.add(OWN))
        assert bert.add(OTHER).errno == errno.EPERM
        assert bert.modify(id, OTHER).errno == errno.EPERM and Trigger.parse(bert.get(id)).type == OWN
        assert bert.modify(id, OWN, address("192.0.2.1")).errno == 0
        assert bert.delete(id).errno == 0
        # Anna may write every type, but only what is hers.
        id = id_of(bert.add(OWN))
        assert anna.modify(id, OTHER).errno == errno.EPERM
        with client(agent) as root:
            assert root.modify(id, OTHER).errno == 0
        assert bert.modify(id, OWN).errno == errno.EPERM and bert.delete(id).errno == errno.EPERM


@pytest.mark.configuration("trigger-write = any\n")
def test_ownership(lab: Lab, agent: Agent) -> None:
    """A trigger is changed and deleted by the user that added it, from whichever process, and by root; the agent's own
    by nobody."""
    with client_of(agent, ANNA) as owner, client_of(agent, BERT) as other, client(agent) as root:
        id = id_of(owner.add(OWN, address("192.0.2.1")))
        assert Trigger.parse(other.get(id)).type == OWN
        assert other.modify(id, OTHER).errno == errno.EPERM and other.delete(id).errno == errno.EPERM
        with client_of(agent, ANNA) as again:
            assert again.modify(id, OTHER).errno == 0
        assert root.modify(id, OWN).errno == 0
        # Root's change makes it nobody else's.
        assert other.delete(id).errno == errno.EPERM and owner.delete(id).errno == 0
        roots = id_of(root.add(OWN))
        assert owner.delete(roots).errno == errno.EPERM and root.delete(roots).errno == 0
        root.register()
        agents = next(told for told in root.log if told.type == Kind.IF_ADDED)
        for one in (owner, root):
            assert one.delete(agents.id).errno == errno.EPERM and one.modify(agents.id, OWN).errno == errno.EPERM
        assert root.get(agents.id).errno == 0


# Reading


def test_socket_mode_and_group(lab: Lab, binary: Path) -> None:
    """Who can't open the socket does not read; the group that the configuration names can."""
    configuration = lab.record.directory / "mifd.conf"
    configuration.write_text(f"socket-mode = 0660\nsocket-group = {GROUP}\n")
    agent = Agent(lab, binary, "--config", str(configuration))
    with pytest.raises(PermissionError), client_of(agent, ANNA):
        pass
    for who in ({"groups": [GROUP]}, {"gid": GROUP}):
        with client_of(agent, ANNA, **who) as one:  # type: ignore[arg-type]
            assert one.register(ALL)


def readable(agent: Agent, uid: int, **who: object) -> set[int] | None:
    """The types that this user is told of in replay and news, which are the types that it may GET; None if it may not
    register at all."""
    with client(agent, ALL) as root, client_of(agent, uid, **who) as one:  # type: ignore[arg-type]
        answer = one.request(Verb.REGISTER, flags=0)
        if answer.errno:
            assert answer.errno == errno.EPERM
            assert {one.get(id).errno for id in (*root.standing, 0xFFFFFFF0)} == {errno.EPERM}
            return None
        one.register(ALL)
        replayed = set(one.standing)
        for id, told in root.standing.items():
            assert one.get(id).errno == (0 if id in replayed else errno.EPERM), told
        assert one.get(0xFFFFFFF0).errno == errno.ENOENT
        kinds = {told.type for told in one.standing.values()}
        for kind in (OWN, OTHER, 6):
            before = len(one.log)
            root.delete(id_of(root.add(kind)))
            one.barrier()
            assert [told.type for told in one.log[before:]] == ([kind, kind] if kind in kinds else [])
        return kinds


@contextmanager
def one_of_each(agent: Agent) -> Iterator[TriggerClient]:
    with client(agent) as root:
        for kind in (*range(1, 7), OWN, OTHER):
            root.add(kind)
        yield root


@pytest.mark.configuration(
    f"trigger-read = group {GROUP}\ntrigger-read = user {ANNA}: 1-3\ntrigger-read = user {ANNA}: {OWN}\n"
    f"trigger-read = user {BERT}: {OTHER}, 6\n"
)
def test_readers(lab: Lab, agent: Agent) -> None:
    """By uid and group, for all types or some: told is only what may be read, by replay, news and GET alike."""
    with one_of_each(agent):
        everything = {1, 2, 3, 4, 5, 6, OWN, OTHER}
        assert readable(agent, 0) == everything
        assert readable(agent, ANNA) == {1, 2, 3, OWN}
        assert readable(agent, BERT) == {OTHER, 6}
        assert readable(agent, CARL) is None
        assert readable(agent, CARL, gid=GROUP) == everything == readable(agent, CARL, groups=[7, GROUP])
        assert readable(agent, BERT, groups=[GROUP]) == everything


def test_everybody_reads_by_default(lab: Lab, agent: Agent) -> None:
    with one_of_each(agent):
        assert readable(agent, CARL) == {1, 2, 3, 4, 5, 6, OWN, OTHER}


@pytest.mark.configuration(f"trigger-read = user {ANNA}: {OWN}\n")
def test_what_may_no_longer_be_read(lab: Lab, agent: Agent) -> None:
    """A MODIFY to a type that this subscriber may not read is a deletion to it, as the trigger was; one to a type that
    it may is an addition."""
    with client(agent) as root, client_of(agent, ANNA) as anna:
        anna.register(ALL)
        id = id_of(root.add(OWN, address("192.0.2.1")))
        root.modify(id, OTHER, address("192.0.2.2"))
        root.modify(id, OTHER, address("192.0.2.3"))
        root.modify(id, OWN, address("192.0.2.4"))
        root.delete(id)
        anna.barrier()
        assert [(told.cause, told.type, told.ips) for told in anna.log] == [
            (Verb.ADD, OWN, ("192.0.2.1",)),
            (Verb.DELETE, OWN, ("192.0.2.1",)),
            (Verb.ADD, OWN, ("192.0.2.4",)),
            (Verb.DELETE, OWN, ("192.0.2.4",)),
        ]
        reasons = [told.origin.reason for told in anna.log if told.origin]
        assert reasons == [Reason.NONE, Reason.UNMATCHED, Reason.NONE, Reason.DELETED]


# Quotas


@pytest.mark.configuration("trigger-write = any\ntriggers-per-user = 20\ntriggers = 50\n")
def test_triggers_of_a_user(lab: Lab, agent: Agent) -> None:
    """ENOSPC past the user's quota, whichever of its connections it is; others have their own, root only the whole."""
    with ExitStack() as stack:
        annas = [stack.enter_context(client_of(agent, ANNA)) for _ in range(2)]
        bert = stack.enter_context(client_of(agent, BERT))
        root = stack.enter_context(client(agent))
        ids = [id_of(annas[number % 2].add(OWN)) for number in range(20)]
        for anna in annas:
            assert anna.add(OWN).errno == errno.ENOSPC
        assert annas[0].modify(ids[0], OTHER).errno == 0
        berts = [id_of(bert.add(OWN)) for _ in range(20)]
        assert bert.add(OWN).errno == errno.ENOSPC
        # Another one that goes makes room, whoever deletes it.
        root.delete(ids[5])
        id_of(annas[1].add(OWN))
        assert annas[0].add(OWN).errno == errno.ENOSPC
        for _ in range(10):
            id_of(root.add(OWN))
        assert root.add(OWN).errno == errno.ENOSPC
        bert.delete(berts[0])
        id_of(root.add(OWN))
        assert bert.add(OWN).errno == errno.ENOSPC, "there is room for bert, but not in all"
    # What a user has counts as long as it stands, not as long as the user is there.
    with client_of(agent, ANNA) as anna:
        assert anna.add(OWN).errno == errno.ENOSPC


def turned_away(one: TriggerClient) -> None:
    """The one message of a connection for which there is no room, and the end."""
    one.socket.settimeout(5)
    assert Message.parse(one.socket.recv(100)) == Message(0, (), 0, 0, errno.ENOSPC)
    assert one.socket.recv(100) == b""


@pytest.mark.configuration("subscribers-per-user = 3\n")
def test_connections_of_a_user(lab: Lab, agent: Agent) -> None:
    """One past the user's quota is told ENOSPC and closed; others and root are served, and so is the next one when one
    has gone."""
    with mif_client(agent) as mif, ExitStack() as stack:
        annas = [stack.enter_context(client_of(agent, ANNA)) for _ in range(3)]
        for anna in annas:
            anna.barrier()
        for _ in range(2):
            with client_of(agent, ANNA) as one:
                turned_away(one)
        assert mif.statistics()["subscribers.refused-full"] == 2
        for uid in (BERT, 0, 0, 0, 0):
            stack.enter_context(client_of(agent, uid)).barrier()
        annas[1].close()

        def served() -> None:
            with client_of(agent, ANNA) as one:
                one.barrier()

        eventually(served)


@pytest.mark.configuration("subscribers-per-user = 1\n")
def test_turned_away_in_mid_request(lab: Lab, agent: Agent) -> None:
    """Also a client that has sent its requests before the agent looked at it is told why."""
    with client_of(agent, ANNA) as one:
        one.barrier()
        agent.child.signal(SIGSTOP)
        with client_of(agent, ANNA) as other:
            for _ in range(3):
                other.send(Verb.REGISTER, flags=ALL)
            agent.child.signal(SIGCONT)
            turned_away(other)


# Refusals


def test_refusals_are_counted_and_logged_once(lab: Lab, agent: Agent) -> None:
    """Each counts; a process is named in the log at its first one, by pid and user."""
    with mif_client(agent) as mif, client_of(agent, ANNA) as anna, client_of(agent, BERT) as bert:
        before = mif.statistics()["subscribers.not-permitted"]
        for _ in range(50):
            assert anna.add(OWN).errno == errno.EPERM and anna.delete(1).errno == errno.EPERM
        assert bert.add(OWN).errno == errno.EPERM
        # What is wrong in itself is no attempt.
        assert anna.request(Verb.ADD, trigger(0)).errno == errno.EINVAL
        assert mif.statistics()["subscribers.not-permitted"] == before + 101
        wait_until(lambda: agent.child.output().count("was refused a request") == 2, "both are logged")
        logged = re.findall(r"process (\d+) of user (\d+) was refused a request", agent.child.output())
        assert logged == [(str(anna.pid), str(ANNA)), (str(bert.pid), str(BERT))]


def test_header_of_a_refusal(lab: Lab, agent: Agent) -> None:
    """EPERM has the request's type, seq and pid like every error; the socket stays usable."""
    with client_of(agent, ANNA) as anna:
        anna.send_bytes(HEADER.pack(1, Verb.ADD, 0, 0, 4, 0, 5, 6) + trigger(OWN).wire)
        answer = anna.answer(5)
        assert (answer.kind, answer.errno, answer.pid, answer.payloads) == (Verb.ADD, errno.EPERM, 6, ())
        assert anna.register(ALL)
