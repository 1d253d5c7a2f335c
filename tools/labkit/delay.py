"""A slow line between two namespaces: TUN devices at its ends and a process that holds each packet for a while.

A program for a kernel without netem; it carries some thousand packets a second.
"""

import fcntl
import os
import select
import struct
import sys
import time
from collections import deque
from pathlib import Path

from .topology import Lab, Uplink, enter

TUNSETIFF = 0x400454CA  # <linux/if_tun.h>
IFF_TUN, IFF_NO_PI = 0x0001, 0x1000
BOUND = 10_000
"""Packets under way; what comes beyond is dropped."""


def slow_down(lab: Lab, uplink: Uplink, milliseconds: int) -> None:
    """Puts a slow line in the place of the one between a router and the core; so long in each direction."""
    router = lab.router(uplink)
    router.ip("link del core0")
    line = lab.spawn(
        router, f"delay-{uplink.router}", sys.executable, "-m", "labkit.delay", "core0", lab.core.name, uplink.router,
        str(milliseconds),
        environment={"PYTHONPATH": str(Path(__file__).parent.parent), "PYTHONDONTWRITEBYTECODE": "1"},
    )  # fmt: skip
    line.says("carries")
    router.ip("link set core0 up")
    lab.core.ip(f"link set {uplink.router} up")
    lab.number_line(uplink)


def _device(name: str) -> int:
    opened = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(opened, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TUN | IFF_NO_PI))
    return opened


def carry(ends: tuple[int, int], seconds: float) -> None:
    under_way: deque[tuple[float, int, bytes]] = deque()
    while True:
        wait = None if not under_way else max(0.0, under_way[0][0] - time.monotonic())
        readable, _, _ = select.select(ends, [], [], wait)
        now = time.monotonic()
        for end in readable:
            try:
                packet = os.read(end, 65536)
            except OSError:
                continue  # it is down
            if len(under_way) < BOUND:
                under_way.append((now + seconds, ends[1] if end == ends[0] else ends[0], packet))
        while under_way and under_way[0][0] <= now:
            _, end, packet = under_way.popleft()
            try:
                os.write(end, packet)
            except OSError:
                pass  # it is down: lost


if __name__ == "__main__":
    here = _device(sys.argv[1])
    enter(sys.argv[2])
    there = _device(sys.argv[3])
    print("carries", flush=True)
    carry((here, there), int(sys.argv[4]) / 1000)
