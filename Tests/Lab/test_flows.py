"""An ICMP error is believed only if it quotes a packet of a flow that the host has (RFC 5927, 4)."""

import os
import select
import socket
import struct
import time
from collections.abc import Iterator

import pytest

from labkit import packets
from labkit.agent import Agent
from labkit.path import Path, error, quoted, wire
from labkit.story import MifEar, Tdb, eventually, tell
from labkit.trigger_client import Kind, Reason, Verb

TCP, UDP, ESP, SCTP = 6, 17, 50, 132
NOT_OURS, UNVERIFIED = "icmp.flow-not-ours", "icmp.flow-unverified"


def about(path: Path, protocol: int, transport: bytes, destination: str = "") -> bytes:
    """The router's error about a packet of the host's with this transport header."""
    to = destination or path.peer
    if path.v4:
        return error(path, packets.ipv4(path.local, to, protocol, transport))
    return error(path, packets.ipv6(path.local, to, protocol, transport))


def tcp(source: int, destination: int) -> bytes:
    return struct.pack("!HHIIHHHH", source, destination, 0x11223344, 0, 0x5002, 1024, 0, 0)


def udp(path: Path, source: int, destination: int, peer: str = "") -> bytes:
    return packets.udp(path.local, peer or path.peer, source, destination, b"hello")


def echo(path: Path, identifier: int) -> bytes:
    return struct.pack("!BBHHH", 8 if path.v4 else 128, 0, 0, identifier, 1)


def grown(mif: MifEar, before: dict[str, int], counter: str, by: int = 1) -> None:
    assert mif.client.statistics()[counter] >= before.get(counter, 0) + by


def refused(path: Path, tdb: Tdb, mif: MifEar, forged: dict[str, bytes]) -> None:
    """Each is counted as no flow of the host's, and told to nobody."""
    out = wire(path)
    for what, packet in forged.items():
        before = mif.client.statistics()
        out.send(packet)
        tell(f"net  forged error: {what}")
        eventually(lambda before=before: grown(mif, before, NOT_OURS))  # type: ignore[misc]
        tdb.none(type=Kind.DEST_UNREACHABLE)
    out.close()


def connection(path: Path, port: int = 7777) -> tuple[socket.socket, socket.socket]:
    """A TCP connection of the host's to the peer: its two ends."""
    listener = path.lab.peer.socket(path.family, socket.SOCK_STREAM)
    listener.bind((path.peer, port))
    listener.listen()
    opened = path.lab.host.socket(path.family, socket.SOCK_STREAM)
    opened.settimeout(3)
    opened.bind((path.local, 0))
    opened.connect((path.peer, port))
    accepted, _ = listener.accept()
    listener.close()
    return opened, accepted


def test_tcp_connection(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """Forged errors about a connection's two addresses are refused; a true one about what it sends is told."""
    opened, accepted = connection(path)
    port = opened.getsockname()[1]
    refused(path, tdb, mif, {
        "another port here": about(path, TCP, tcp(port ^ 1, 7777)),
        "another port there": about(path, TCP, tcp(port, 7778)),
        "another destination": about(path, TCP, tcp(port, 7777), path.destination(9)),
        "the same ports of UDP": about(path, UDP, udp(path, port, 7777)),
        "ESP that nobody sends": about(path, ESP, struct.pack("!II", 0x12345678, 1)),
        "a protocol that nobody speaks": about(path, SCTP, struct.pack("!HHII", port, 7777, 1, 0)),
        "an echo request that nobody sent": about(path, 1 if path.v4 else 58, echo(path, port)),
    })
    path.lab.cut(path.uplink)
    opened.send(b"hello")
    told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, path.peer) and told.cause == Verb.ADD
    opened.close()
    accepted.close()


def test_tcp_connect(path: Path, tdb: Tdb) -> None:
    """An error about a connection that is being made."""
    path.lab.cut(path.uplink)
    with path.lab.host.socket(path.family, socket.SOCK_STREAM) as opened:
        opened.bind((path.local, 0))
        opened.setblocking(False)
        opened.connect_ex((path.peer, 443))
        told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, path.peer)


def test_tcp_connect_that_the_error_ends(path: Path, tdb: Tdb) -> None:
    """A router's error that comes after connect(2) has let go of its socket ends it at once (RFC 1122, 4.2.3.9): nobody
    can look it up any more when the error is looked at."""
    absent = "10.9.0.77" if path.v4 else "2001:db8:9::77"
    path.lab.core.sysctl({f"{'ipv4' if path.v4 else 'ipv6'}/neigh/peer0/retrans_time_ms": 100})
    with path.lab.host.socket(path.family, socket.SOCK_STREAM) as opened:
        opened.settimeout(20)
        with pytest.raises(OSError):
            opened.connect((absent, 443))
    told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, absent) and told.cause == Verb.ADD


def segments(path: Path, tap: socket.socket) -> Iterator[bytes]:
    """The TCP segments that a packet socket hears next, at most a hundred packets on."""
    for _ in range(100):
        packet = tap.recv(2048)
        header, protocol = (packet[0] % 16 * 4, packet[9]) if path.v4 else (40, packet[6])
        if protocol == TCP:
            yield packet[header:]


@pytest.mark.parametrize("family", ["one", "both"])
def test_tcp_connect_and_forged_errors(family: str, path: Path, tdb: Tdb, mif: MifEar) -> None:
    """Of the errors about an attempt that nobody answers, only the one with its two ports ends it and is told, as soon
    as the program has closed it: also where a socket of IPv6 speaks IPv4."""
    absent = path.destination(9)
    path.lab.router(path.uplink).ip(f"route add blackhole {absent}")
    is_both = path.v4 and family == "both"
    router = path.lab.router(path.uplink)
    tap = router.socket(socket.AF_PACKET, socket.SOCK_DGRAM, socket.htons(0x0800 if path.v4 else 0x86DD))
    tap.bind(("host0", 0x0800 if path.v4 else 0x86DD))
    tap.settimeout(5)
    with tap, path.lab.host.socket(socket.AF_INET6 if is_both else path.family, socket.SOCK_STREAM) as opened:
        if is_both:
            opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.setblocking(False)
        opened.connect_ex(("::ffff:" + absent if is_both else absent, 443))
        port = opened.getsockname()[1]
        attempt = next(segment for segment in segments(path, tap) if segment[:4] == struct.pack("!HH", port, 443))
        refused(path, tdb, mif, {
            "another port here": about(path, TCP, tcp(port ^ 1, 443), absent),
            "another port there": about(path, TCP, tcp(port, 444), absent),
            "another destination": about(path, TCP, tcp(port, 443), path.destination(10)),
        })
        out = wire(path)
        # The kernel checks the quoted sequence number as well.
        out.send(about(path, TCP, attempt, absent))
        out.close()
        ended = select.poll()
        ended.register(opened, 0)
        assert ended.poll(5000), "the error ended the attempt"
        before = mif.client.statistics()
    eventually(lambda: grown(mif, before, "flows.ended"))
    told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, absent)
    tdb.none(type=Kind.DEST_UNREACHABLE)


def test_tcp_listener_is_no_flow(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """The kernel's look-up finds listening sockets as well."""
    with path.lab.host.socket(path.family, socket.SOCK_STREAM) as listener:
        listener.bind((path.local, 7777))
        listener.listen()
        refused(path, tdb, mif, {"from a port that listens": about(path, TCP, tcp(7777, 40000))})


@pytest.mark.parametrize("bound", ["local", "wildcard", "device"])
def test_udp_unconnected(bound: str, path: Path, tdb: Tdb, mif: MifEar) -> None:
    """As an IKE daemon's sockets are: their port is what must fit."""
    with path.lab.host.socket(path.family, socket.SOCK_DGRAM) as opened:
        if bound == "device":
            opened.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"up0")
        opened.bind((path.local if bound == "local" else "", 0))
        port = opened.getsockname()[1]
        refused(path, tdb, mif, {"another port here": about(path, UDP, udp(path, port ^ 1, 4500))})
        path.lab.cut(path.uplink)
        opened.sendto(b"hello", (path.peer, 4500))
        told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, path.peer)


def test_udp_of_both_families(path: Path, tdb: Tdb) -> None:
    """One IPv6 socket that speaks IPv4 too."""
    with path.lab.host.socket(socket.AF_INET6, socket.SOCK_DGRAM) as opened:
        opened.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        opened.bind(("::", 0))
        path.lab.cut(path.uplink)
        opened.sendto(b"hello", ("::ffff:" + path.peer if path.v4 else path.peer, 4500))
        told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, path.peer)


def test_udp_connected(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """A connected socket has one peer."""
    with path.talk(path.peer) as opened:
        port = opened.getsockname()[1]
        elsewhere = path.destination(9)
        refused(path, tdb, mif, {
            "another port here": about(path, UDP, udp(path, port ^ 1, 4500)),
            "another port there": about(path, UDP, udp(path, port, 4501)),
            "another destination": about(path, UDP, udp(path, port, 4500, elsewhere), elsewhere),
        })
        path.lab.cut(path.uplink)
        with pytest.raises(OSError):
            opened.recv(1)  # the peer has nobody on that port
        opened.send(b"hello")
        told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, path.peer)


@pytest.mark.parametrize("kind", ["ping", "raw"])
def test_echo(kind: str, path: Path, tdb: Tdb, mif: MifEar) -> None:
    """A ping socket's identifier is its port; a raw socket may send any."""
    protocol = 1 if path.v4 else 58
    path.lab.host.sysctl({"ipv4/ping_group_range": "0 0"})
    refused(path, tdb, mif, {"nobody pings": about(path, protocol, echo(path, 76))})
    form = socket.SOCK_DGRAM if kind == "ping" else socket.SOCK_RAW
    with path.lab.host.socket(path.family, form, protocol) as opened:
        if kind == "ping":
            opened.bind((path.local, 77))
            refused(path, tdb, mif, {"another identifier": about(path, protocol, echo(path, 78))})
        path.lab.cut(path.uplink)
        opened.sendto(echo(path, 77), (path.peer, 0))
        told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, path.peer)


def allocate(path: Path, spi: int, destination: str) -> None:
    """An ESP state of the host's: a kernel without ESP makes it too, while it has no keys."""
    path.lab.host.run(
        "ip", "xfrm", "state", "allocspi", "src", path.local, "dst", destination, "proto", "esp", "mode", "tunnel",
        "min", hex(spi), "max", hex(spi),
    )  # fmt: skip


def test_esp(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """The kernel must have a state with the quoted SPI and destination."""
    esp = struct.pack("!II", 0x1234, 1) + bytes(32)
    refused(path, tdb, mif, {"no ESP here": about(path, ESP, esp)})
    allocate(path, 0x9999, path.peer)
    time.sleep(0.06)  # as long as it is remembered that there was none
    refused(path, tdb, mif, {"another SPI": about(path, ESP, esp)})
    allocate(path, 0x1234, path.destination(1))
    time.sleep(0.06)
    refused(path, tdb, mif, {"another destination": about(path, ESP, esp)})
    out = wire(path)
    out.send(about(path, ESP, esp, path.destination(1)))
    out.close()
    told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    assert told.ips == (path.local, path.destination(1))


def test_esp_in_udp(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """The socket of port 4500, and the SPI too where the kernel does ESP."""

    def esp(spi: int) -> bytes:
        return about(path, UDP, packets.udp(path.local, path.peer, 4500, 4500, struct.pack("!II", spi, 1) + bytes(32)))

    out = wire(path)
    refused(path, tdb, mif, {"no socket": esp(0x1230)})
    with path.lab.host.socket(path.family, socket.SOCK_DGRAM) as opened:
        opened.bind(("", 4500))
        allocate(path, 0x1234, path.peer)
        refused(path, tdb, mif, {"another SPI": esp(0x1235)})
        out.send(esp(0x1234))
        assert tdb.expect(type=Kind.DEST_UNREACHABLE).ips == (path.local, path.peer)
    out.close()


def test_esp_in_udp_of_a_program(path: Path, tdb: Tdb) -> None:
    """The kernel does no ESP, so that the socket's program does."""
    out = wire(path)
    with path.lab.host.socket(path.family, socket.SOCK_DGRAM) as opened:
        opened.bind(("", 4500))
        packet = packets.udp(path.local, path.peer, 4500, 4500, struct.pack("!II", 0x1234, 1) + bytes(32))
        out.send(about(path, UDP, packet))
        assert tdb.expect(type=Kind.DEST_UNREACHABLE).ips == (path.local, path.peer)
    out.close()


@pytest.mark.configuration("icmp-check = address\n")
def test_address_is_enough_where_it_is_configured(path: Path, tdb: Tdb) -> None:
    out = wire(path)
    out.send(about(path, TCP, tcp(1, 2)))
    told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    out.close()
    assert told.ips == (path.local, path.peer)


@pytest.mark.configuration("hold-time = 2\n")
def test_forged_repeats_keep_nothing_standing(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """A path that a true error was about: forged ones neither count nor lengthen it."""
    path.lab.cut(path.uplink)
    with path.talk(path.peer) as opened:
        told = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD)
        began = time.monotonic()
        port = opened.getsockname()[1]
        out, sent = wire(path), 0
        while time.monotonic() < began + 3:
            out.send(about(path, UDP, udp(path, port ^ 1 + sent % 64, 4500)))
            sent += 1
            time.sleep(0.002)
        gone = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.DELETE, id=told.id)
        out.close()
    assert gone.origin is not None and gone.origin.reason == Reason.EXPIRED and gone.origin.count == 1
    assert told.origin is not None and gone.origin.timestamp - told.origin.timestamp < 2_500_000_000
    counted = mif.client.statistics()
    tell(f"     {sent} forged, {counted[NOT_OURS]} refused, {counted['flows.asked']} questions")
    assert counted[NOT_OURS] + counted[UNVERIFIED] == sent


def test_flood_of_forged_errors(path: Path, agent: Agent, tdb: Tdb, mif: MifEar) -> None:
    """Forged errors without end about one path and about many: nobody is told, memory and the number of questions
    stay bounded, and what is true of another path is told meanwhile."""
    out = wire(path)
    before, allocated, busy = mif.client.statistics(), agent.allocated(), processor(agent)
    one = [about(path, UDP, udp(path, 1024 + number, 4500)) for number in range(500)]
    many = [
        about(path, TCP, tcp(1024 + number, 443), path.destination(number % 200 + 20)) for number in range(1500)
    ]
    began, sent = time.monotonic(), 0
    with path.talk(path.destination(1)) as opened:
        port = opened.getsockname()[1]
        true = about(path, UDP, udp(path, port, 4500, path.destination(1)), path.destination(1))
        while time.monotonic() < began + 2:
            for packet in one + many:
                out.send(packet)
            sent += len(one) + len(many)
            out.send(true)
        tdb.expect(type=Kind.DEST_UNREACHABLE, ips=(path.local, path.destination(1)))
        seconds = time.monotonic() - began
        mif.client.barrier()
    after = mif.client.statistics()
    busy = processor(agent) - busy
    asked = after["flows.asked"] - before["flows.asked"]
    heard = after["icmp.errors-heard"] - before["icmp.errors-heard"]
    tell(f"     {sent / seconds:.0f} forged errors/s sent, {heard / seconds:.0f}/s heard")
    tell(f"     {asked / seconds:.0f} questions/s")
    tell(f"     {busy / seconds * 100:.0f} % of a core, {agent.allocated() - allocated} bytes more allocated")
    tdb.none(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD)
    assert asked < 8_000 * seconds + 1_000
    assert agent.allocated() < allocated + 300_000
    out.close()


def processor(agent: Agent) -> float:
    """Seconds of processor time that the engine has had."""
    with open(f"/proc/{agent.child.pid}/stat", encoding="ascii") as file:
        fields = file.read().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@pytest.mark.configuration("unreachable = network, packet-too-big\n")
def test_packet_too_big_below_the_least(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """It is discarded, whatever is configured (RFC 8201, 4; RFC 1191, 3)."""
    with path.talk(path.peer) as opened:
        quote = quoted(path, path.local, opened.getsockname()[1])
        if path.v4:
            packet = packets.ipv4(path.router, path.local, 1, packets.icmp_error(3, 4, quote, 67))
        else:
            message = packets.icmpv6_error(path.router, path.local, 2, 0, quote, 1279)
            packet = packets.ipv6(path.router, path.local, 58, message)
        before = mif.client.statistics()
        out = wire(path)
        out.send(packet)
        eventually(lambda: grown(mif, before, "icmp.mtu-below-minimum"))
        out.close()
    tdb.none(type=Kind.DEST_UNREACHABLE)
