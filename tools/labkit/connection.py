"""A connection to one of the agent's sockets: requests out, answers and news in, in the order in which they came."""

import os
import select
import socket
import time
from collections import deque
from pathlib import Path

from .frame import MAXIMUM, Message, Payload, ProtocolError
from .processes import Timeout


class Closed(AssertionError):
    """The agent ended the connection."""


class Connection:
    """Subclasses say which messages are news and what becomes of them."""

    name = ""

    def __init__(self, directory: Path, connected: socket.socket | None = None) -> None:
        self.socket = connected or socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        if connected is None:
            self.socket.connect(str(directory / self.name))
        self._outbox: deque[bytes] = deque()
        """What the agent does not take yet: it reads on when its answers have been read."""
        self.pid = os.getpid()
        self.seq = 0
        self.answers: deque[Message] = deque()
        self.passed: deque[int] = deque()
        """Descriptors that came by SCM_RIGHTS and that nobody has taken yet."""
        self.news_seq = 0

    def is_news(self, message: Message) -> bool:
        raise NotImplementedError

    def take_news(self, message: Message) -> None:
        raise NotImplementedError

    def send(self, kind: int, *payloads: Payload, flags: int = 0) -> int:
        """Sends a request without waiting for its answer and returns its seq."""
        self.seq += 1
        self.send_bytes(Message(kind, payloads, self.seq, self.pid, flags=flags).wire)
        return self.seq

    def send_bytes(self, data: bytes) -> None:
        self._outbox.append(data)
        self._flush()

    def flush(self, seconds: float = 5.0) -> None:
        """Waits until the agent has room for all that was sent, without reading anything."""
        deadline = time.monotonic() + seconds
        while self._outbox:
            _, writable, _ = select.select([], [self.socket], [], max(0.0, deadline - time.monotonic()))
            if not writable:
                raise Timeout(f"{len(self._outbox)} requests on {self.name} not taken within {seconds:g} s")
            self._flush()

    def _flush(self) -> None:
        try:
            while self._outbox:
                self.socket.send(self._outbox[0], socket.MSG_DONTWAIT)
                self._outbox.popleft()
        except BlockingIOError:
            pass
        except (BrokenPipeError, ConnectionResetError):
            raise Closed(f"the agent closed {self.name}") from None

    def pump(self, seconds: float) -> bool:
        """Reads one message, news or answer. False if none came in time."""
        deadline = time.monotonic() + seconds
        while True:
            sending = [self.socket] if self._outbox else []
            left = max(0.0, deadline - time.monotonic())
            readable, writable, _ = select.select([self.socket], sending, [], left)
            if writable:
                self._flush()
            if readable:
                break
            if not writable:
                return False
        try:
            data, passed, _, _ = socket.recv_fds(self.socket, MAXIMUM + 1, 3, socket.MSG_CMSG_CLOEXEC)
        except ConnectionResetError:
            data, passed = b"", []
        self.passed.extend(passed)
        received = time.clock_gettime_ns(time.CLOCK_REALTIME)
        if not data:
            raise Closed(f"the agent closed {self.name}")
        message = Message.parse(data, received)
        if self.is_news(message):
            expected = (self.news_seq + 1) & 0xFFFFFFFF
            if message.seq != expected:
                raise ProtocolError(f"{self.name}: news with seq {message.seq} after {self.news_seq}")
            self.news_seq = message.seq
            self.take_news(message)
        else:
            self.answers.append(message)
        return True

    def drain(self) -> None:
        """Reads what has come, without waiting."""
        while self.pump(0):
            pass

    def answer(self, seq: int, seconds: float = 5.0) -> Message:
        """The next answer, which has to be the one to this request: answers come in the order of the requests."""
        deadline = time.monotonic() + seconds
        while not self.answers:
            if not self.pump(deadline - time.monotonic()):
                raise Timeout(f"no answer on {self.name} within {seconds:g} s")
        message = self.answers.popleft()
        if message.seq != seq:
            raise ProtocolError(f"answer to {message.seq} where the one to {seq} was due: {message}")
        return message

    def request(self, kind: int, *payloads: Payload, flags: int = 0) -> Message:
        message = self.answer(self.send(kind, *payloads, flags=flags))
        if message.pid != self.pid:
            raise ProtocolError(f"answer with pid {message.pid}, asked with {self.pid}")
        return message

    def close(self) -> None:
        self.socket.close()
        while self.passed:
            os.close(self.passed.popleft())
