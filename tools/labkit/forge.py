"""ICMP errors that no router meant: what somebody sends who knows the addresses, and guesses the rest."""

import random
import struct
import subprocess
from dataclasses import dataclass
from pathlib import Path

from . import packets
from .processes import LabError
from .tunnel import Tunnel

KINDS = 8192
"""Different frames in a flood; they are sent round and round."""


@dataclass(frozen=True)
class Flooded:
    sent: int
    seconds: float


def flood(tunnel: Tunnel, rate: int = 100_000, seconds: float = 3.0) -> Flooded:
    """From the old uplink's router, about the IKE_SA's own packets and about probes with guessed ports and SPIs."""
    directory = tunnel.lab.directory("flood")
    compiled, file = directory / "flood", directory / "frames"
    source = Path(__file__).with_name("flood.c")
    compiler = ["gcc", "-std=gnu2x", "-O2", "-Wall", "-Wextra", "-Werror", "-o", str(compiled), str(source)]
    done = subprocess.run(compiler, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise LabError(f"gcc: {done.stderr}")
    file.write_bytes(b"".join(struct.pack("!H", len(frame)) + frame for frame in _frames(tunnel)))
    router = tunnel.lab.router(tunnel.old)
    words = [str(compiled), "host0", str(file), str(rate), str(int(rate * seconds))]
    sent, microseconds = router.run(*words, seconds=10 * seconds + 10).split()
    return Flooded(int(sent), int(microseconds) / 1e6)


def _frames(tunnel: Tunnel) -> list[bytes]:
    chance = random.Random(4555)
    v4 = tunnel.family == 4
    old, local, peer = tunnel.old, tunnel.local(tunnel.old), tunnel.address
    router = old.router4 if v4 else old.router6
    head = bytes.fromhex((old.host_mac + old.router_mac).replace(":", "")) + (b"\x08\x00" if v4 else b"\x86\xdd")
    frames = []
    for number in range(KINDS):
        # Every other one is about charon's own packets, of which only the message is guessed.
        port, far = (4500, 4500) if number % 2 else (chance.randrange(1024, 65536), chance.choice((500, 4500)))
        spis = tunnel.initiator_spi + chance.randbytes(8) if number % 4 == 1 else chance.randbytes(16)
        message = spis + bytes([0, 0x30, 34, 8]) + bytes(4) + struct.pack("!I", 28)
        datagram = packets.udp(local, peer, port, far, (bytes(4) if far == 4500 else b"") + message)
        if v4:
            quoted = packets.ipv4(local, peer, 17, datagram)
            frames.append(head + packets.ipv4(router, local, 1, packets.icmp_error(3, chance.choice((0, 1)), quoted)))
        else:
            quoted = packets.ipv6(local, peer, 17, datagram)
            error = packets.icmpv6_error(router, local, 1, chance.choice((0, 3)), quoted)
            frames.append(head + packets.ipv6(router, local, 58, error))
    return frames
