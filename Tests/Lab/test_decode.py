"""`mifctl decode` on captures of real daemons (Tests/Packets): what it says is what was found right once, and what
tshark says. It needs neither a lab nor an agent.

After `tools/lab record` has replaced captures, `MIFD_EXPECT=write` writes what is expected anew, to be read before it
is believed."""

import json
import os
import struct
import subprocess
from pathlib import Path
from typing import Any

import pytest
from labkit import captures
from labkit.decoding import Decoded, content, decode, mifctl
from labkit.dissect import dissect

PACKETS = Path(__file__).parents[1] / "Packets"
pytestmark = pytest.mark.skipif("MIFCTL" not in os.environ, reason="MIFCTL is not set: the path of mifctl")
NAMES = sorted(path.stem for path in PACKETS.glob("*.pcap"))


def test_every_scene_was_recorded() -> None:
    assert NAMES == sorted(captures.SCENES)


@pytest.mark.parametrize("name", NAMES)
def test_expected(name: str) -> None:
    lines = decode(PACKETS / f"{name}.pcap")
    expected = PACKETS / f"{name}.json"
    if os.environ.get("MIFD_EXPECT") == "write":
        expected.write_text("".join(json.dumps(line) + "\n" for line in lines))
    assert lines == [json.loads(line) for line in expected.read_text().splitlines()]
    assert all("refused" not in line and "skipped" not in line for line in lines)


@pytest.mark.parametrize("name", NAMES)
def test_tshark_agrees(name: str) -> None:
    path = PACKETS / f"{name}.pcap"
    assert [content(line) for line in decode(path)] == dissect(path)


def tagged(*tags: int) -> bytes:
    """802.1ad outside, 802.1Q inside (IEEE 802.1Q, 9.6)."""
    types = [0x88A8] * (len(tags) - 1) + [0x8100]
    return b"".join(struct.pack("!HH", kind, tag) for kind, tag in zip(types, tags, strict=True))


def sll(frame: bytes, kind: int = 0) -> bytes:
    return struct.pack("!HHH8s", kind, 1, 6, frame[6:12]) + frame[12:]


def sll2(frame: bytes, kind: int = 0) -> bytes:
    return frame[12:14] + struct.pack("!HIHBB8s", 0, 7, 1, kind, 6, frame[6:12]) + frame[14:]


LINKS: dict[str, tuple[int, Any, Decoded]] = {
    "raw": (101, lambda frame: frame[14:], {}),
    "openbsd-raw": (12, lambda frame: frame[14:], {}),
    "vlan": (1, lambda frame: frame[:12] + tagged(0x6064) + frame[12:], {"vlans": [100]}),
    "two-vlans": (1, lambda frame: frame[:12] + tagged(7, 100) + frame[12:], {"vlans": [7, 100]}),
    "cooked": (113, sll, {}),
    "cooked-vlan": (113, lambda frame: sll(frame[:12] + tagged(100) + frame[12:]), {"vlans": [100]}),
    "cooked-2": (276, sll2, {"ifindex": 7}),
}
"""Link types: how a frame of Ethernet becomes one of them, and what is then known beside the packet."""


@pytest.mark.parametrize("link", LINKS)
@pytest.mark.parametrize("name", ["isc-dhcpd-dhclient6", "dnsmasq-options4", "kernel"])
def test_link_types(name: str, link: str, tmp_path: Path) -> None:
    number, convert, known = LINKS[link]
    frames = list(captures.frames((PACKETS / f"{name}.pcap").read_bytes()))
    path = tmp_path / "converted.pcap"
    path.write_bytes(captures.pcap([convert(frame) for frame in frames], number))
    assert decode(path) == [{**line, **known} for line in decode(PACKETS / f"{name}.pcap")]


@pytest.mark.parametrize(("number", "version"), [(228, 4), (229, 6)])
def test_link_types_of_one_family(number: int, version: int, tmp_path: Path) -> None:
    frames = list(captures.frames((PACKETS / "kernel.pcap").read_bytes()))
    own = [frame[14:] for frame in frames if frame[14] >> 4 == version]
    path = tmp_path / "one.pcap"
    path.write_bytes(captures.pcap(own, number))
    kind = {4: "icmp-error", 6: "icmpv6-error"}[version]
    assert [line["packet"] for line in decode(path)] == [kind] * len(own)


def test_outgoing_and_other_hosts(tmp_path: Path) -> None:
    """Cooked captures tell direction: a client's own request is shown, what else this host sent is refused."""
    request, reply = list(captures.frames((PACKETS / "dnsmasq-dhclient4.pcap").read_bytes()))[:2]
    path = tmp_path / "any.pcap"
    path.write_bytes(captures.pcap([sll(request, 4), sll(reply, 4), sll(reply, 3)], 113))
    first, second, third = decode(path)
    assert (first["outgoing"], first["message"]) == (True, "discover")
    assert (second["outgoing"], second["refused"]) == (True, "not-ours.outgoing")
    assert third["skipped"] == "other-host"


def test_what_is_no_packet(tmp_path: Path) -> None:
    arp = b"\xff" * 6 + b"\2" * 6 + b"\x08\x06" + bytes(28)
    path = tmp_path / "no.pcap"
    path.write_bytes(captures.pcap([arp, arp[:9]]))
    assert [line["skipped"] for line in decode(path)] == ["not-ip", "cut"]


def test_pcapng(tmp_path: Path) -> None:
    path = tmp_path / "radvd.pcapng"
    command = ["/usr/bin/editcap", "-F", "pcapng", str(PACKETS / "radvd.pcap"), str(path)]
    subprocess.run(command, check=True, capture_output=True, timeout=20)
    assert decode(path) == decode(PACKETS / "radvd.pcap")


def test_for_people() -> None:
    text = mifctl(PACKETS / "radvd.pcap").stdout
    assert "router-advertisement  source fe80::ff:fe00:101" in text
    assert "prefix-information  type 3  prefix 2001:db8:1::/64" in text


def test_complaints(tmp_path: Path) -> None:
    absent = mifctl(tmp_path / "absent.pcap", check=False)
    assert absent.returncode == 1 and "cannot open the capture file" in absent.stderr
    damaged = tmp_path / "damaged.pcap"
    damaged.write_bytes((PACKETS / "kernel.pcap").read_bytes()[:-1])
    result = mifctl(damaged, "--json", check=False)
    assert result.returncode == 1 and "is damaged after 7 frames" in result.stderr
    assert len(result.stdout.splitlines()) == 7
