"""Packets through the tunnel, a thousand a second, and how long none came through."""

import re
from signal import SIGINT

from .daemons import program
from .processes import wait_until
from .strongswan import Settings
from .tunnel import Tunnel

ENDS = Settings(traffic=("10.20.0.1/32", "10.20.0.2/32"))
"""What a tunnel needs for it."""


class Traffic:
    """ping(8), as its output has the kernel's time of each answer."""

    def __init__(self, tunnel: Tunnel) -> None:
        here, there = (end.split("/")[0] for end in ENDS.traffic or ())
        self._child = tunnel.lab.spawn(
            tunnel.lab.host, "ping", program("ping"), "-n", "-D", "-i", "0.001", "-I", here, there
        )
        self.answered()

    def answered(self, more: int = 20) -> None:
        """Waits until so many more answers have come."""
        before = self._answers()
        wait_until(
            lambda: self._answers() >= before + more, f"answers through the tunnel:\n{self._child.output()[-500:]}"
        )

    def stop(self) -> float:
        """The longest time without an answer, in milliseconds."""
        self._child.stop(SIGINT)
        times = [
            float(time) for time in re.findall(r"^\[([0-9.]+)\] \d+ bytes from", self._child.output(), re.MULTILINE)
        ]
        return 1000 * max(later - sooner for sooner, later in zip(times, times[1:], strict=False))

    def _answers(self) -> int:
        return self._child.output().count("bytes from")
