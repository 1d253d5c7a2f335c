"""What the agent itself puts into the trigger database: the table "Triggers of the agent" of docs/protocol.md, as far
as test_links.py, test_advertisements.py, test_leases.py and test_unreachable.py don't tell it already."""

import time

import pytest

from labkit.path import Path, error, quoted, wire
from labkit.processes import wait_until
from labkit.story import Tdb, tell
from labkit.topology import Lab, Uplink
from labkit.trigger_client import Kind, Reason, Source, Trigger, Verb

SHORT = pytest.mark.configuration("hold-time = 1\n")
DEPRECATED, PERMANENT = 0x04, 0x10
FAMILIES = ("4", "6")


def of(uplink: Uplink, family: str) -> str:
    return uplink.host4 if family == "4" else uplink.host6


def established(lab: Lab, uplink: Uplink, tdb: Tdb, families: str = "46") -> dict[str, Trigger]:
    lab.configure_by_hand(uplink, families)
    wanted = [{"cause": Verb.ADD, "type": Kind.CONN_ESTABLISHED, "ips": (of(uplink, f),)} for f in families]
    found = dict(zip(families, tdb.expect_all(*wanted), strict=True))
    tdb.mark()
    return found


def reason(told: Trigger) -> Reason:
    assert told.cause == Verb.DELETE and told.origin is not None and told.pid == 0
    return told.origin.reason


# An interface exists; an interface went away


def test_interface_exists(lab: Lab, tdb: Tdb) -> None:
    """IF_ADDED without ADDRESS stands from the link's making to its end, up or down; a new name is a MODIFY."""
    before = time.time_ns()
    lab.host.ip("link add new0 type veth peer name new1")
    added = tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDED, interface="new0")
    index = lab.host.index("new0")
    assert added.addresses == () and added.pid == 0 and added.origin is not None
    assert (added.origin.interface, added.origin.source, added.origin.count) == (index, Source.KERNEL, 1)
    assert before <= added.origin.timestamp <= added.received
    lab.host.ip("link set new0 up", "link set new1 up", "link set new0 down", "link set new0 mtu 1400")
    tdb.none(id=added.id)
    lab.host.ip("link set new0 name wan7")
    renamed = tdb.expect(id=added.id)
    assert renamed.cause == Verb.MODIFY and renamed.interface == "wan7" and renamed.addresses == ()
    assert renamed.origin is not None and renamed.origin.interface == index
    lab.host.ip("link del wan7")
    assert reason(tdb.expect(id=added.id)) == Reason.CONTRADICTED


@pytest.mark.parametrize("first", ["deleted", "set down, then deleted"])
def test_removed_keeps_the_last_addresses(first: str, lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """IF_REMOVED names what the interface had, also where the kernel took the addresses away before the interface."""
    lab.host.ip(f"addr add {up0.host4}/24 dev up0", f"addr add {up0.host6}/64 dev up0")
    tdb.expect_all(*({"cause": Verb.ADD, "type": Kind.IF_ADDRCHANGED, "ips": (ip,)} for ip in (up0.host4, up0.host6)))
    tdb.mark()
    index = lab.host.index("up0")
    if first != "deleted":
        lab.host.ip("link set up0 down")
        wait_until(lambda: lab.host.addresses("up0") == [up0.host4], "the kernel takes the IPv6 addresses")
    lab.unplug(up0)
    removed = tdb.expect(cause=Verb.ADD, type=Kind.IF_REMOVED, interface="up0")
    assert {(each.ip, each.prefix, each.scope) for each in removed.addresses} == {
        (up0.host4, 24, 0), (up0.host6, 64, 0), (up0.link_local, 64, index),
    }  # fmt: skip
    assert removed.origin is not None and removed.origin.interface == index


def test_removed_is_back_by_another_name(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """Who waits for a name has it back with any interface of that name."""
    lab.unplug(up0)
    removed = tdb.expect(cause=Verb.ADD, type=Kind.IF_REMOVED, interface="up0")
    lab.host.ip("link add new0 type veth peer name new1")
    tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDED, interface="new0")
    tdb.none(id=removed.id)
    lab.host.ip("link set new0 name up0")
    assert reason(tdb.expect(id=removed.id)) == Reason.CONTRADICTED


# An address is usable


def test_usable_address(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """IF_ADDRCHANGED has the address, its prefix length, and a link-local one its interface; loopback's are none."""
    index = lab.host.index("up0")
    standing = {each.addresses[0]: each for each in tdb.standing(type=Kind.IF_ADDRCHANGED)}
    own = next(each for each in standing if each.ip == up0.link_local)
    assert (own.prefix, own.scope) == (64, index)
    assert not [each for each in standing if each.ip in ("127.0.0.1", "::1")]
    for ip, length in (("10.1.0.33", 24), ("10.1.0.34", 32), ("2001:db8:1::33", 64), ("2001:db8:1::34", 128)):
        lab.host.ip(f"addr add {ip}/{length} dev up0")
        told = tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=(ip,))
        assert [(each.prefix, each.scope) for each in told.addresses] == [(length, 0)]
        assert told.origin is not None and told.origin.address_flags & PERMANENT and told.interface == "up0"
        lab.host.ip(f"addr del {ip}/{length} dev up0")
        assert reason(tdb.expect(id=told.id)) == Reason.CONTRADICTED
    # IPv4 addresses one by one, though the second one is a secondary of the first.
    lab.host.ip("addr add 10.1.0.35/24 dev up0", "addr add 10.1.0.36/24 dev up0")
    for ip in ("10.1.0.35", "10.1.0.36"):
        tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=(ip,))


def test_deprecated_and_preferred_again(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """Each is a MODIFY of the same trigger; lifetimes alone are not told, whichever they are."""
    ip = up0.host6
    lab.host.ip(f"addr add {ip}/64 dev up0")
    added = tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDRCHANGED, ips=(ip,))
    assert added.origin is not None and not added.origin.address_flags & DEPRECATED
    for valid, preferred in ((600, 300), (700, 100), (900, 800)):
        lab.host.ip(f"addr change {ip}/64 dev up0 valid_lft {valid} preferred_lft {preferred}")
        tdb.none(id=added.id)
    for preferred, flag in ((0, DEPRECATED), (300, 0)):
        lab.host.ip(f"addr change {ip}/64 dev up0 valid_lft 600 preferred_lft {preferred}")
        told = tdb.expect(id=added.id)
        assert told.cause == Verb.MODIFY and told.ips == (ip,) and told.type == Kind.IF_ADDRCHANGED
        assert told.origin is not None and told.origin.address_flags & DEPRECATED == flag
        assert told.origin.timestamp > added.origin.timestamp
    # By the kernel's own clock, this time.
    lab.host.ip(f"addr change {ip}/64 dev up0 valid_lft 600 preferred_lft 1")
    told = tdb.expect(id=added.id, seconds=4)
    assert told.cause == Verb.MODIFY and told.origin is not None and told.origin.address_flags & DEPRECATED


@pytest.mark.lab(dad=True)
def test_duplicate_is_no_source(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """An address that somebody else has makes no path, though there are carrier and router; one's own does."""
    lab.host.ip(
        f"addr add {up0.router6}/64 dev up0", f"route add default via {up0.router_link_local} dev up0 metric 1"
    )
    wait_until(lambda: "dadfailed" in lab.host.show("addr", "show", "dev", "up0"), "the duplicate is found")
    tdb.none(type=Kind.CONN_ESTABLISHED)
    tdb.none(type=Kind.IF_ADDRCHANGED, ips=(up0.router6,))
    lab.host.ip(f"addr add {up0.host6}/64 dev up0")
    tdb.none(ips=(up0.host6,))
    changed = tdb.expect(cause=Verb.ADD, ips=(up0.host6,), seconds=6)
    assert changed.type == Kind.IF_ADDRCHANGED
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.host6,))


# Carrier, usable address and default router


@pytest.mark.parametrize("family", FAMILIES)
def test_families_are_apart(family: str, lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """CONN_ESTABLISHED and CONN_LOST of one family say nothing of the other."""
    both = established(lab, up0, tdb)
    other = "46".replace(family, "")
    lab.host.show(f"-{family}", "route", "del", "default", "dev", "up0")
    gone, lost = tdb.expect_all(
        {"cause": Verb.DELETE, "type": Kind.CONN_ESTABLISHED},
        {"cause": Verb.ADD, "type": Kind.CONN_LOST},
    )
    assert gone.id == both[family].id and reason(gone) == Reason.CONTRADICTED and lost.ips == (of(up0, family),)
    tdb.none(type=lambda kind: kind in (Kind.CONN_ESTABLISHED, Kind.CONN_LOST))
    assert [each.id for each in tdb.standing(type=Kind.CONN_ESTABLISHED)] == [both[other].id]


def test_uplinks_are_apart(lab: Lab, up0: Uplink, up1: Uplink, tdb: Tdb) -> None:
    """Each interface with a path has its own CONN_ESTABLISHED, whichever default route is the better one."""
    established(lab, up0, tdb, "4")
    established(lab, up1, tdb, "4")
    lab.carrier(up0, False)
    lost = tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST)
    assert lost.interface == "up0"
    tdb.none(interface="up1")
    assert {each.interface for each in tdb.standing(type=Kind.CONN_ESTABLISHED)} == {"up1"}


def test_source_that_the_kernel_prefers(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """The ADDRESS of CONN_ESTABLISHED is the one that the kernel takes towards the router; another one is a MODIFY."""
    first = established(lab, up0, tdb)["6"]
    other = f"{up0.prefix6}77"
    lab.host.ip(f"addr add {other}/64 dev up0", f"addr change {up0.host6}/64 dev up0 valid_lft 600 preferred_lft 0")
    told = tdb.expect(id=first.id)
    assert told.cause == Verb.MODIFY and told.ips == (other,)
    assert f"src {other}" in lab.host.show("-6", "route", "get", "2001:db8:9::2")
    tdb.none(type=Kind.CONN_LOST)
    assert len([each for each in tdb.standing(type=Kind.CONN_ESTABLISHED) if ":" in each.ips[0]]) == 1


@SHORT
@pytest.mark.parametrize("family", FAMILIES)
def test_lost_expires(family: str, lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """CONN_LOST of an interface that is still there is news for the hold time."""
    established(lab, up0, tdb, family)
    began = time.monotonic()
    lab.carrier(up0, False)
    lost = tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST, ips=(of(up0, family),))
    gone = tdb.expect(id=lost.id)
    assert reason(gone) == Reason.EXPIRED and 0.9 < time.monotonic() - began < 3
    lab.carrier(up0, True)
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(of(up0, family),))
    tdb.none(id=lost.id)


def test_lost_until_connected_again(lab: Lab, up0: Uplink, tdb: Tdb) -> None:
    """An interface that went away and is back is still lost, until it has a path; per family."""
    established(lab, up0, tdb)
    lab.unplug(up0)
    lost4, lost6 = tdb.expect_all(
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (up0.host4,)},
        {"cause": Verb.ADD, "type": Kind.CONN_LOST, "ips": (up0.host6,)},
    )
    lab.plug(up0)
    lab.number_router(up0)
    tdb.expect(cause=Verb.ADD, type=Kind.IF_ADDED, interface="up0")
    tdb.none(id=lost4.id)
    lab.configure_by_hand(up0, "4")
    assert reason(tdb.expect(id=lost4.id)) == Reason.CONTRADICTED
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED, ips=(up0.host4,))
    tdb.none(id=lost6.id)
    lab.configure_by_hand(up0, "6")
    assert reason(tdb.expect(id=lost6.id)) == Reason.CONTRADICTED


# A destination can't be reached


def send_errors(path: Path, port: int, count: int, tdb: Tdb, every: float = 0) -> None:
    """So many errors about one path, so many seconds apart; what is told meanwhile is read."""
    out = wire(path)
    packet = error(path, quoted(path, path.local, port))
    for _ in range(count):
        out.send(packet)
        due = time.monotonic() + every
        while tdb.client.pump(max(0.0, due - time.monotonic())):
            pass
    out.close()


def test_folding(path: Path, tdb: Tdb) -> None:
    """Every error is counted in ORIGIN; the first is told at once, the others by a MODIFY each tenth of a second."""
    with path.talk(path.peer) as opened:
        send_errors(path, opened.getsockname()[1], 80, tdb, 0.005)
        added = tdb.expect(cause=Verb.ADD, type=Kind.DEST_UNREACHABLE, ips=(path.local, path.peer))
        last = tdb.expect(id=added.id, origin=lambda origin: origin.count == 80)
    assert added.origin is not None and added.origin.count == 1 and last.origin is not None
    modified = [told for told in tdb.client.log if told.cause == Verb.MODIFY and told.id == added.id]
    assert len(modified) >= 2 and all(told.ips == added.ips and told.type == added.type for told in modified)
    counts = [told.origin.count for told in modified if told.origin is not None]
    assert counts == sorted(set(counts)) and last.origin.timestamp > added.origin.timestamp
    # Less what it took to get here.
    told = [each.received for each in (added, *modified)]
    gaps = [later - earlier for earlier, later in zip(told, told[1:], strict=False)]
    tell(f"     {len(modified)} times, {', '.join(f'{gap / 1e6:.0f}' for gap in gaps)} ms apart")
    assert min(gaps) > 85e6
    tdb.silent_for(0.3, id=added.id)


@SHORT
@pytest.mark.parametrize("path", ["ipv6"], indirect=True)
def test_repeats_keep_it_standing(path: Path, tdb: Tdb) -> None:
    """The hold time counts from the last repeat."""
    with path.talk(path.peer) as opened:
        began = time.monotonic()
        send_errors(path, opened.getsockname()[1], 8, tdb, 0.25)
        added = tdb.expect(cause=Verb.ADD, type=Kind.DEST_UNREACHABLE)
        gone = tdb.expect(cause=Verb.DELETE, id=added.id)
    assert reason(gone) == Reason.EXPIRED and gone.origin is not None and gone.origin.count == 8
    assert time.monotonic() - began > 2.5


@pytest.mark.parametrize("how", ["deleted", "another one"])
def test_taken_back_with_the_route(how: str, path: Path, tdb: Tdb) -> None:
    """The route changed: what was said of the old one is nothing any more. Another family's stays."""
    with path.talk(path.peer) as opened:
        send_errors(path, opened.getsockname()[1], 1, tdb)
        added = tdb.expect(cause=Verb.ADD, type=Kind.DEST_UNREACHABLE)
    other, this = ("-6", "-4") if path.v4 else ("-4", "-6")
    lab, uplink = path.lab, path.uplink
    lab.host.show(other, "route", "del", "default", "dev", "up0")
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_LOST)
    tdb.none(id=added.id)
    if how == "deleted":
        lab.host.show(this, "route", "del", "default", "dev", "up0")
    else:
        via = uplink.router4 if path.v4 else uplink.router_link_local
        lab.host.show(this, "route", "add", "default", "via", via, "dev", "up0", "metric", "7")
    assert reason(tdb.expect(id=added.id)) == Reason.CONTRADICTED


def test_paths_are_apart(path: Path, tdb: Tdb) -> None:
    """Each pair of local address and destination has its own trigger, and its own ten times a second."""
    path.lab.cut(path.uplink)
    ids = []
    for number in range(3):
        with path.talk(path.destination(1 + number)):
            ips = (path.local, path.destination(1 + number))
            ids.append(tdb.expect(cause=Verb.ADD, type=Kind.DEST_UNREACHABLE, ips=ips).id)
    assert len(set(ids)) == 3
    tdb.none(cause=Verb.DELETE, type=Kind.DEST_UNREACHABLE)
