"""A reader of the agent's ring, written from docs/protocol.md."""

import mmap
import os
import select
import struct
import threading
import time

from .frame import Message, Payload, ProtocolError

HEADER, SLOT, ROOM, LONGEST = 256, 256, 248, 744
AWAKE, POLLING = 0, 1


class Lapped(AssertionError):
    """What was to be read next was overwritten."""


class Ring:
    """Takes over the three descriptors that came with the answer to REGISTER."""

    def __init__(self, ring: int, page: int, bell: int, place: Payload) -> None:
        self.offset, self.position = struct.unpack("=IQ", place.body)
        self.bell = bell
        self.descriptor = ring
        size = os.fstat(ring).st_size
        self.memory = mmap.mmap(ring, size, mmap.MAP_SHARED, mmap.PROT_READ)
        self.page = mmap.mmap(page, os.fstat(page).st_size, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        os.close(page)
        magic, version, slot, self.slots = struct.unpack_from("=8sIII", self.memory)
        if magic != b"mifdring" or version != 1 or slot != SLOT or self.slots & (self.slots - 1):
            raise ProtocolError(f"ring {magic!r} version {version}, slots of {slot} bytes, {self.slots} of them")
        if size < HEADER + SLOT * self.slots or self.offset % 8 or self.offset > len(self.page) - 16:
            raise ProtocolError(f"ring of {size} bytes, words at {self.offset}")

    def _slot(self, position: int) -> int:
        return HEADER + SLOT * (position % self.slots)

    def _stamp(self, position: int) -> int:
        return int(struct.unpack_from("=Q", self.memory, self._slot(position))[0])

    def next(self) -> Message | None:
        """The next record; None where there is none yet."""
        first = self._stamp(self.position)
        if first < 2 * self.position:
            return None
        if first > 2 * self.position:
            raise Lapped
        start = self._slot(self.position) + 8
        length = 8 * int(struct.unpack_from("=H", self.memory, start + 4)[0])
        if not 16 <= length <= LONGEST:
            raise Lapped
        places = range(self.position, self.position + (length + ROOM - 1) // ROOM)
        starts = [self._slot(each) + 8 for each in places]
        data = b"".join(self.memory[each : each + ROOM] for each in starts)[:length]
        if any(self._stamp(each) != 2 * each for each in places):
            raise Lapped
        message = Message.parse(data, time.clock_gettime_ns(time.CLOCK_REALTIME))
        if message.seq != self.position & 0xFFFFFFFF:
            raise ProtocolError(f"record at {self.position}: {message}")
        self.position = places.stop
        return message

    def say(self, state: int, cursor: int | None = None) -> None:
        """Writes the words of the page, whatever they are."""
        struct.pack_into("=Q", self.page, self.offset + 8, self.position if cursor is None else cursor)
        struct.pack_into("=I", self.page, self.offset, state)
        with threading.Lock():
            # Its atomic operations are the fence.
            pass

    def sleep(self, seconds: float) -> bool:
        """Sleeps until there is something to read; False if nothing came in time."""
        try:
            while os.read(self.bell, 8):
                pass
        except BlockingIOError:
            pass
        self.say(POLLING)
        if self._stamp(self.position) < 2 * self.position:
            select.select([self.bell], [], [], seconds)
        self.say(AWAKE)
        return self._stamp(self.position) >= 2 * self.position

    def close(self) -> None:
        self.memory.close()
        self.page.close()
        os.close(self.bell)
        os.close(self.descriptor)
