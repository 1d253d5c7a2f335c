"""The file that sender and receivers share (Benchmarks/bench/log.h): times in nanoseconds of CLOCK_MONOTONIC."""

from __future__ import annotations

import mmap
import os
import struct
from array import array
from pathlib import Path

HEADER = 4096


class Log:
    """Made anew for each measurement, zeros all over."""

    def __init__(self, path: Path, events: int, receivers: int = 1) -> None:
        self.path = path
        self.events = events
        self.receivers = receivers
        with open(path, "w+b") as file:
            os.ftruncate(file.fileno(), HEADER + 8 * events * (receivers + 1))
            self._memory = mmap.mmap(file.fileno(), 0)
        struct.pack_into("=II", self._memory, 0, events, receivers)

    @property
    def ready(self) -> int:
        found: int = struct.unpack_from("=I", self._memory, 12)[0]
        return found

    def _row(self, number: int) -> array[int]:
        start = HEADER + 8 * self.events * number
        return array("Q", self._memory[start : start + 8 * self.events])

    @property
    def sent(self) -> int:
        return sum(1 for time in self._row(0) if time)

    def latencies(self, events: range | None = None) -> list[int]:
        """Nanoseconds from sent to received, of all receivers, in the order of the events."""
        sent = self._row(0)
        chosen = events if events is not None else range(self.events)
        found: list[int] = []
        for receiver in range(1, self.receivers + 1):
            row = self._row(receiver)
            found += [row[event] - sent[event] for event in chosen if row[event] and sent[event]]
        return found

    def close(self) -> None:
        self._memory.close()
        self.path.unlink()
