"""Clients as stories need them: for the length of a block, and as another user than the one who runs the story."""

import os
import socket
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from .agent import Agent
from .frame import Payload
from .mif_client import MifClient
from .trigger_client import TriggerClient


@contextmanager
def client(agent: Agent, extensions: int | None = None, view: Payload | None = None) -> Iterator[TriggerClient]:
    """A client of the trigger database; registered if there are `extensions`, 0 for the bare draft."""
    made = TriggerClient(agent.directory)
    try:
        if extensions is not None:
            made.register(extensions, view)
        yield made
    finally:
        made.close()


@contextmanager
def mif_client(agent: Agent) -> Iterator[MifClient]:
    made = MifClient(agent.directory)
    try:
        yield made
    finally:
        made.close()


@contextmanager
def client_of(agent: Agent, uid: int, gid: int | None = None, groups: Sequence[int] = ()) -> Iterator[TriggerClient]:
    """A client whose connection was made by a process of this user. The process is gone by now; the connection keeps
    its credentials. `pid` is what the process had. Raises what `connect` raised there."""
    connected, pid = _connection_of(agent, TriggerClient.name, uid, gid, groups)
    made = TriggerClient(agent.directory, connected)
    made.pid = pid
    try:
        yield made
    finally:
        made.close()


@contextmanager
def mif_client_of(agent: Agent, uid: int, gid: int | None = None, groups: Sequence[int] = ()) -> Iterator[MifClient]:
    """The same on the MIF API's socket."""
    connected, pid = _connection_of(agent, MifClient.name, uid, gid, groups)
    made = MifClient(agent.directory, connected)
    made.pid = pid
    try:
        yield made
    finally:
        made.close()


def _connection_of(
    agent: Agent, name: str, uid: int, gid: int | None, groups: Sequence[int]
) -> tuple[socket.socket, int]:
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    pid = os.fork()
    if pid == 0:
        _connect_as(agent.directory, name, theirs, uid, uid if gid is None else gid, groups)
    theirs.close()
    with ours:
        number, descriptors, _, _ = socket.recv_fds(ours, 16, 1)
    os.waitpid(pid, 0)
    if not descriptors:
        raise OSError(int(number), os.strerror(int(number)))
    return socket.socket(fileno=descriptors[0]), pid


def _connect_as(
    directory: Path, name: str, parent: socket.socket, uid: int, gid: int, groups: Sequence[int]
) -> None:
    """The child's part: it never returns."""
    try:
        # The way there may be root's alone; what is asked is who may open the socket.
        os.chdir(directory)
        os.setgroups(groups)
        os.setgid(gid)
        os.setuid(uid)
        opened = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        opened.connect(name)
        socket.send_fds(parent, [b"0"], [opened.fileno()])
    except OSError as error:
        parent.send(str(error.errno).encode())
    finally:
        os._exit(0)
