"""ICMP errors of real routers: what becomes DEST_UNREACHABLE, how fast, and what must not."""

import socket
import struct
import time

import pytest

from labkit import packets
from labkit.agent import Agent
from labkit.path import Path, error, quoted, wire
from labkit.processes import Timeout
from labkit.story import MifEar, Tdb, distribution, eventually, percentile, tell
from labkit.trigger_client import Kind, Reason, Source, Verb


def hear_error(opened: socket.socket) -> int:
    """The error that the kernel gives the application: the lab's own proof that ICMP came."""
    try:
        opened.recv(100)
    except TimeoutError:
        raise Timeout("no ICMP error came back") from None
    except OSError as error:
        return error.errno or 0
    raise AssertionError("an answer where an error was due")


def test_upstream_cut(path: Path, tdb: Tdb) -> None:
    """The router loses its upstream, answers "network unreachable", and the path's two addresses are told."""
    path.lab.cut(path.uplink)
    tell("net  r1 loses its upstream")
    with path.talk(path.peer) as opened:
        told = tdb.expect(type=Kind.DEST_UNREACHABLE)
        hear_error(opened)
    assert told.cause == Verb.ADD and told.ips == (path.local, path.peer)
    assert told.pid == 0 and told.origin is not None
    assert told.origin.source == Source.ICMP and (told.origin.icmp_type, told.origin.icmp_code) == path.unreachable
    assert told.origin.name == "up0" and told.origin.interface == path.lab.host.index("up0")
    assert 0 <= told.received - told.origin.timestamp < 5_000_000_000


def test_repeats_fold(path: Path, tdb: Tdb) -> None:
    """One flood is one trigger whose count grows."""
    path.lab.cut(path.uplink)
    with path.talk(path.peer) as opened:
        told = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD)
        for _ in range(200):
            try:
                opened.send(b"again")
            except OSError:
                pass  # the error of an earlier one
        counted = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.MODIFY, id=told.id, origin=lambda o: o.count > 1)
    tdb.none(cause=Verb.ADD, type=Kind.DEST_UNREACHABLE)
    tdb.client.barrier()
    modified = [t for t in tdb.client.log if t.cause == Verb.MODIFY]
    assert len(modified) < 50, "each repeat was told"
    assert counted.origin is not None and counted.ips == (path.local, path.peer)


def test_latency(path: Path, tdb: Tdb) -> None:
    """From the kernel's receive timestamp of the error to the subscriber, over 120 errors.

    A Linux router that has no route sends an IPv4 host five errors at once and then one a second, whatever
    icmp_ratelimit says (net.ipv4.route.error_burst, which is the machine's and not a namespace's): so the host has more
    than one address."""
    sources = [path.other_local(number) for number in range(24)]
    path.lab.host.ip(*(f"addr add {source}/{24 if path.v4 else 64} dev up0" for source in sources))
    path.lab.cut(path.uplink)
    took: list[float] = []
    for number in range(120):
        source, destination = sources[number // 5], path.destination(1 + number)
        told = None
        for _ in range(4):
            # Now and then the router keeps silent before its fifth error, and has a second's worth later.
            with path.talk(destination, local=source):
                try:
                    told = tdb.expect(1.2, type=Kind.DEST_UNREACHABLE, ips=(source, destination))
                    break
                except Timeout:
                    pass
        assert told is not None and told.origin is not None
        took.append((told.received - told.origin.timestamp) / 1000)
    tell(f"ICMP error received → told: {distribution(took)}")
    assert min(took) > 0
    assert percentile(took, 0.5) < 5000


def test_flood_of_errors(path: Path, agent: Agent, tdb: Tdb) -> None:
    """Twenty thousand errors about one path, all of them right: one trigger, told again at most ten times a second,
    and the count says how many there were as far as the rings held them."""
    out = wire(path)
    before = agent.resident()
    with path.talk(path.peer) as opened:
        packet = error(path, quoted(path, path.local, opened.getsockname()[1]))
        began = time.monotonic()
        for _ in range(20_000):
            out.send(packet)
        seconds = time.monotonic() - began
        told = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD, ips=(path.local, path.peer))
        # The last repeats are told when the shortest time between two has passed.
        tdb.silent_for(0.3, cause=Verb.ADD)
    modified = [t for t in tdb.client.log if t.cause == Verb.MODIFY and t.id == told.id]
    counted = modified[-1].origin.count if modified and modified[-1].origin else 1
    tell(f"     {20_000 / seconds:.0f} errors/s sent, {counted} counted, told {1 + len(modified)} times")
    assert 1 <= len(modified) <= seconds * 10 + 5
    assert 1 < counted <= 20_000
    assert agent.resident() < before + 1_000_000
    out.close()


def test_other_kinds_of_refusal(path: Path, tdb: Tdb) -> None:
    """`prohibited` by administration is a DEST_UNREACHABLE by default as well, with its own code."""
    router = path.lab.r1
    router.run("ip", "-4" if path.v4 else "-6", "route", "add", "prohibit", path.peer)
    with path.talk(path.peer) as opened:
        told = tdb.expect(type=Kind.DEST_UNREACHABLE, ips=(path.local, path.peer))
        hear_error(opened)
    assert told.origin is not None
    assert (told.origin.icmp_type, told.origin.icmp_code) == ((3, 13) if path.v4 else (1, 1))


def test_port_unreachable_is_none(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """The peer has nobody on that port: the path is fine."""
    before = mif.client.statistics()
    with path.talk(path.peer, 9) as opened:
        hear_error(opened)
    eventually(lambda: _changed(mif, before, "icmp.kind-ignored"))
    tdb.none(type=Kind.DEST_UNREACHABLE)


def _changed(mif: MifEar, before: dict[str, int], counter: str) -> None:
    assert mif.client.statistics()[counter] > before[counter]


def test_taken_back_with_the_address(path: Path, tdb: Tdb) -> None:
    """A path that has no local end any more is nobody's news: the trigger goes, before or with its address."""
    path.lab.cut(path.uplink)
    with path.talk(path.peer):
        told = tdb.expect(type=Kind.DEST_UNREACHABLE)
    length = 24 if path.v4 else 64
    path.lab.host.ip(f"addr del {path.local}/{length} dev up0")
    tdb.expect_all(
        {"cause": Verb.DELETE, "type": Kind.DEST_UNREACHABLE, "id": told.id},
        {"cause": Verb.DELETE, "type": Kind.IF_ADDRCHANGED, "ips": (path.local,)},
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (path.local,)},
    )


@pytest.mark.configuration("hold-time = 1\n")
def test_expires_without_repeats(path: Path, tdb: Tdb) -> None:
    """Nobody hears of it again within the hold time: nothing is known any more, which is not that it is good again."""
    path.lab.cut(path.uplink)
    with path.talk(path.peer):
        told = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD)
        began = time.monotonic()
        gone = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.DELETE, id=told.id)
    assert 0.9 < time.monotonic() - began < 3
    assert gone.origin is not None and gone.origin.reason == Reason.EXPIRED


def routing_loop(path: Path) -> None:
    """The core sends back to r1 what r1 sent it."""
    network = path.destination(0)
    width = 24 if path.v4 else 48
    via = "10.255.1.1" if path.v4 else "2001:db8:ff:1::1"
    path.lab.core.ip(f"route add {network}/{width} via {via}")


def test_routing_loop_is_none(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """Time exceeded in transit makes no DEST_UNREACHABLE unless the configuration wants it."""
    before = mif.client.statistics()
    routing_loop(path)
    with path.talk(path.destination(1)) as opened:
        hear_error(opened)
    eventually(lambda: _changed(mif, before, "icmp.kind-ignored"))
    tdb.none(type=Kind.DEST_UNREACHABLE)


@pytest.mark.configuration("unreachable = network, time-exceeded\n")
def test_routing_loop_where_it_is_wanted(path: Path, tdb: Tdb) -> None:
    routing_loop(path)
    with path.talk(path.destination(1)):
        told = tdb.expect(type=Kind.DEST_UNREACHABLE, ips=(path.local, path.destination(1)))
    assert told.origin is not None
    assert (told.origin.icmp_type, told.origin.icmp_code) == ((11, 0) if path.v4 else (3, 0))


def test_forged_errors(path: Path, tdb: Tdb, mif: MifEar) -> None:
    """Errors that quote what this host never sent are counted and told to nobody; a right one still is."""
    stranger = "10.77.0.1" if path.v4 else "2001:db8:77::1"
    other = path.other_local(1)
    path.lab.host.ip(f"addr add {other}/{24 if path.v4 else 64} dev up0")
    out = wire(path)
    with path.talk(path.peer) as opened:
        port = opened.getsockname()[1]
        good = error(path, quoted(path, path.local, port))
        head = 20 if path.v4 else 40
        forged = {
            "quotes a stranger's packet": error(path, quoted(path, stranger, port)),
            "for a stranger, though it came here": error(path, quoted(path, stranger, port), stranger),
            "for another address of ours": error(path, quoted(path, path.local, port), other),
            "checksum": packets.spoil(good, head + 2),
            "cut within the quoted header": cut(path, good, 12),
            "cut before the quoted ports": cut(path, good, 8 + head),
        }
        for what, packet in forged.items():
            before = mif.client.statistics()
            out.send(packet)
            tell(f"net  forged error: {what}")
            eventually(lambda before=before: counted(mif, before))  # type: ignore[misc]
            tdb.none(type=Kind.DEST_UNREACHABLE)
        out.send(good)
        told = tdb.expect(type=Kind.DEST_UNREACHABLE, ips=(path.local, path.peer))
        assert told.origin is not None and told.origin.count == 1
    out.close()


def cut(path: Path, packet: bytes, keep: int) -> bytes:
    """The error with only so much of its ICMP message, every length and checksum right."""
    head = 20 if path.v4 else 40
    message = packet[head : head + keep]
    if path.v4:
        message = message[:2] + b"\0\0" + message[4:]
        message = message[:2] + struct.pack("!H", packets.checksum(message)) + message[4:]
        return packets.ipv4(path.router, path.local, 1, message)
    return packets.ipv6(path.router, path.local, 58, packets.icmpv6(path.router, path.local, message))


def counted(mif: MifEar, before: dict[str, int]) -> None:
    after = mif.client.statistics()
    grown = {name for name in after if after[name] > before.get(name, 0)}
    reasons = {name for name in grown if name.startswith(("wire.", "refused.", "icmp.", "ip.")) and "heard" not in name}
    assert reasons, f"no counter of a reason grew, only {sorted(grown)}"
    tell(f"     counted as {', '.join(sorted(reasons))}")
