"""Small captures of what real daemons and the kernel send: Tests/Packets is made of them.

Of each scene the first few packets of every kind that the agent listens for are kept, as they were on the wire; only
their times are replaced, so that two recordings differ in what the daemons chose alone.
"""

import socket
import struct
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from . import daemons
from .daemons import DOMAIN, Capture
from .processes import wait_until
from .topology import PEER4, PEER6, Lab, Uplink

START = 1_700_000_000
"""The time of each capture's first packet; the others follow a tenth of a second apart."""
EACH = 2
"""Packets of one kind that are kept."""


def _dnsmasq6(lab: Lab, uplink: Uplink) -> None:
    daemons.dnsmasq(lab, uplink, dhcp4=False, dhcp6=True, advertise=True)
    daemons.dhclient(lab, uplink, 6)


def _kea6(lab: Lab, uplink: Uplink) -> None:
    daemons.radvd(lab, uplink, managed=True, autonomous=False)
    daemons.kea6(lab, uplink)
    daemons.dhcpcd(lab, uplink, 6)


def _radvd(lab: Lab, uplink: Uplink) -> None:
    daemons.radvd(
        lab, uplink, managed=True, other=True,
        extra="AdvDefaultPreference high;\n  AdvCurHopLimit 61;\n  AdvReachableTime 30000;\n  AdvRetransTimer 1000;\n"
        "  AdvHomeAgentFlag on;\n  AdvHomeAgentInfo on;\n  AdvIntervalOpt on;\n"
        "  prefix 2001:db8:77::/64 { AdvOnLink off; AdvAutonomous off; AdvRouterAddr off;\n"
        "    AdvValidLifetime infinity; AdvPreferredLifetime infinity; };\n"
        "  route 2001:db8:8::/40 { AdvRoutePreference low; AdvRouteLifetime infinity; };\n",
    )  # fmt: skip


def _dnsmasq_options(lab: Lab, uplink: Uplink) -> None:
    """Every DHCPv4 option that the agent reads, as far as dnsmasq can be told to send it unasked."""
    forced = [
        f"42,{PEER4}", "26,1400", "100,CET-1CEST", "101,Europe/Berlin", "108,1800",
        "114,https://portal.lab.example/api",
        f"121,10.7.0.0/16,{uplink.router4},0.0.0.0/0,{uplink.router4}", f"119,{DOMAIN},sub.{DOMAIN}",
        f"33,10.6.0.0,{uplink.router4}",
    ]  # fmt: skip
    daemons.dnsmasq(lab, uplink, renewal=50, rebinding=100, options=[f"dhcp-option-force={line}" for line in forced])
    daemons.dhclient(lab, uplink)


def _isc_dhcpd4(lab: Lab, uplink: Uplink) -> None:
    daemons.dhcpd(lab, uplink)
    daemons.dhclient(lab, uplink)


def _isc_dhcpd6(lab: Lab, uplink: Uplink) -> None:
    daemons.radvd(lab, uplink, managed=True, autonomous=False)
    daemons.dhcpd(lab, uplink, 6)
    daemons.dhclient(lab, uplink, 6)


def _kernel(lab: Lab, uplink: Uplink) -> None:
    """ICMP errors of the kernel: closed ports, no way on, a way that ends, and packets that are too big."""
    lab.configure_by_hand(uplink)
    for destination in (PEER4, PEER6):
        lab.reaches(uplink, destination)
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        with lab.host.socket(family, socket.SOCK_DGRAM) as closed:
            closed.sendto(b"nobody", (destination, 9))
        lab.host.run("ping", "-n", "-c", "1", "-W", "0.5", "-t", "1", destination, check=False)
    lab.router(uplink).ip("link set core0 mtu 1300")
    for destination in (PEER4, PEER6):
        lab.host.run("ping", "-n", "-c", "1", "-W", "0.5", "-M", "do", "-s", "1400", destination, check=False)
    lab.router(uplink).ip("link set core0 mtu 1500")
    lab.cut(uplink)
    for destination in (PEER4, PEER6):
        lab.host.run("ping", "-n", "-c", "1", "-W", "0.5", destination, check=False)
        family = socket.AF_INET6 if ":" in destination else socket.AF_INET
        with lab.host.socket(family, socket.SOCK_STREAM) as opening:
            opening.settimeout(0.5)
            try:
                opening.connect((destination, 443))
            except OSError:
                pass
    lab.mend(uplink)


def _networkd(lab: Lab, uplink: Uplink) -> None:
    daemons.dnsmasq(lab, uplink, dhcp6=True, advertise=True)
    daemons.networkd(lab, uplink)
    wait_until(lambda: daemons.has_lease(lab, uplink, 6), "an IPv6 address from networkd", 15)


SCENES: dict[str, Callable[[Lab, Uplink], object]] = {
    "radvd": _radvd,
    "dnsmasq-ra": lambda lab, uplink: daemons.dnsmasq(lab, uplink, dhcp4=False, advertise=True),
    "dnsmasq-dhclient4": lambda lab, uplink: (daemons.dnsmasq(lab, uplink), daemons.dhclient(lab, uplink)),
    "dnsmasq-options4": _dnsmasq_options,
    "dnsmasq-dhcpcd4": lambda lab, uplink: (daemons.dnsmasq(lab, uplink), daemons.dhcpcd(lab, uplink)),
    "kea-dhclient4": lambda lab, uplink: (daemons.kea4(lab, uplink), daemons.dhclient(lab, uplink)),
    "kea-dhcpcd4": lambda lab, uplink: (daemons.kea4(lab, uplink), daemons.dhcpcd(lab, uplink)),
    "isc-dhcpd-dhclient4": _isc_dhcpd4,
    "dnsmasq-networkd": _networkd,
    "dnsmasq-dhclient6": _dnsmasq6,
    "kea-dhcpcd6": _kea6,
    "isc-dhcpd-dhclient6": _isc_dhcpd6,
    "kernel": _kernel,
}
"""What goes over an uplink with each pair of server and client."""


def record(name: str) -> bytes:
    """Plays a scene once, and gives its capture."""
    with Lab(uplinks=1) as lab:
        capture = Capture(lab, lab.host, "up0")
        SCENES[name](lab, lab.uplinks[0])
        wait_until(lambda: lab.host.addresses("up0"), f"{name} gives the host an address", 20)
        return trimmed(capture.stop().read_bytes())


def frames(capture: bytes) -> Iterator[bytes]:
    """The frames of a pcap file of this machine's byte order."""
    offset = 24
    while offset + 16 <= len(capture):
        length = struct.unpack_from("=I", capture, offset + 8)[0]
        yield capture[offset + 16 : offset + 16 + length]
        offset += 16 + length


def pcap(frames: list[bytes], link_type: int = 1) -> bytes:
    """A capture file with nanoseconds, little endian, of these frames at the times of `START`."""
    result = struct.pack("<IHHiIII", 0xA1B23C4D, 2, 4, 0, 0, 262_144, link_type)
    for number, frame in enumerate(frames):
        seconds, tenths = divmod(number, 10)
        result += struct.pack("<IIII", START + seconds, tenths * 100_000_000, len(frame), len(frame)) + frame
    return result


def trimmed(capture: bytes) -> bytes:
    seen: Counter[tuple[object, ...]] = Counter()
    kept = []
    for frame in frames(capture):
        kind = _kind(frame)
        if kind is not None:
            seen[kind] += 1
            if seen[kind] <= EACH:
                kept.append(frame)
    return pcap(kept)


def _kind(frame: bytes) -> tuple[object, ...] | None:
    """What kind of packet it is, None for what the agent does not listen for. Captures of the lab have neither
    extension headers nor IPv4 options."""
    network = frame[14:]
    if frame[12:14] == b"\x08\x00":
        if network[9] == 1 and network[20] in (3, 11):
            return (4, *network[20:22], network[28 + 9])
        if network[9] == 17 and {network[21], network[23]} == {67, 68}:
            body = network[28:]
            where = body.find(b"\x35\x01", 240)
            return (4, "dhcp", body[where + 2])
    if frame[12:14] == b"\x86\xdd":
        if network[6] == 58 and network[40] in (1, 2, 3, 134):
            return (6, *network[40:42], network[48 + 6])
        if network[6] == 17 and network[41:44:2] in (b"\x22\x23", b"\x23\x22"):
            return (6, "dhcp", network[48])
    return None
