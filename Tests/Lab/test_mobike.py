"""What becomes of an IKE_SA of an unmodified strongSwan when a path fails, with mif-mobike beside it."""

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from ipaddress import IPv6Address
from pathlib import Path
from signal import SIGKILL, SIGTERM

import pytest
from labkit import advertise, daemons, forge, packets, tunnel
from labkit.advertise import RouterAdvertisement
from labkit.agent import Agent
from labkit.delay import slow_down
from labkit.handover import Watch
from labkit.processes import Child, wait_until
from labkit.story import tell
from labkit.strongswan import Settings
from labkit.topology import Lab, Uplink
from labkit.trigger_client import Kind, TriggerClient, address
from labkit.tunnel import PROTOCOL, Tunnel, digest, mif_mobike, swallow

PROBED = 30.0
"""Seconds within which a path that says nothing is found out by probing, or found good again."""
# Short times, so that no story waits for them; they are ten seconds and two by themselves.
QUICK = "probe-interval = 1\nmove-interval = 1\n"

# RFC 2827: what doesn't come from the router's own prefix isn't forwarded.
INGRESS = """table ip6 ingress {{
  chain forward {{
    type filter hook forward priority 0; policy accept;
    iifname "host0" ip6 saddr != {}/64 drop
  }}
}}"""

# Both builds tell the first story.
LAST = pytest.mark.last_build
FAMILIES = pytest.mark.parametrize("family", [4, 6], ids=["ipv4", "ipv6"])
Start = Callable[..., Child]


@pytest.fixture
def binary_of_mobike(binary: Path) -> Path:
    found = tunnel.program(binary)
    if found is None:
        pytest.skip("MIF_MOBIKE names no mif-mobike")
    return found


@pytest.fixture
def start(lab: Lab, agent: Agent, binary_of_mobike: Path) -> Start:
    """Starts mif-mobike beside the host's charon."""

    def begin(ends: Tunnel, configuration: str = QUICK, name: str = "mif-mobike") -> Child:
        return mif_mobike(ends, agent, binary_of_mobike, configuration, name)

    return begin


@pytest.fixture
def watched() -> Iterator[Callable[..., Watch]]:
    """Makes watches, and ends them."""
    open_ones: list[Watch] = []

    def begin(ends: Tunnel, packets: bool = True) -> Watch:
        open_ones.append(Watch(ends, packets))
        return open_ones[-1]

    yield begin
    for each in open_ones:
        each.close()


def routes_made(watch: Watch) -> int:
    return sum(change.added and change.protocol == PROTOCOL for change in watch.changes)


def settle(ends: Tunnel, uplink: Uplink, seconds: float = 5.0, address: str = "") -> None:
    """Waits for the IKE_SA on that uplink, and makes sure that it is still the same one."""
    began = time.monotonic()
    ends.moved_to(address or ends.local(uplink), seconds)
    tell(f"ike  on {uplink.interface} after {1000 * (time.monotonic() - began):.0f} ms")
    assert ends.kept


@FAMILIES
@pytest.mark.parametrize("by_peer", [False, True], ids=["initiator", "responder"])
def test_upstream_cut(family: int, by_peer: bool, lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """The router answers "network unreachable"; when it has its upstream again everything is as it was."""
    ends = Tunnel(lab, family, by_peer=by_peer)
    start(ends)
    lab.cut(up0)
    tell("net  r1 loses its upstream")
    ends.send()
    settle(ends, up1)
    assert len(ends.routes()) == 1 and ends.address in ends.routes()[0]
    lab.mend(up0)
    tell("net  r1 has it again")
    settle(ends, up0, PROBED)
    assert ends.routes() == []


@LAST
@FAMILIES
def test_black_hole(family: int, lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """The router drops everything and says nothing: only a probe finds out."""
    ends = Tunnel(lab, family)
    start(ends)
    swallow(lab, up0)
    settle(ends, up1, PROBED)
    digest(lab, up0)
    settle(ends, up0, PROBED)
    assert ends.routes() == []


@LAST
@pytest.mark.parametrize("means", ["default-route", "mildest"])
@pytest.mark.parametrize("by_peer", [False, True], ids=["initiator", "responder"])
def test_default_route(means: str, by_peer: bool, lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """A charon that doesn't prefer the best path stays where it is as long as it can: the default route goes."""
    ends = Tunnel(lab, settings=Settings(prefer_best_path=False), by_peer=by_peer)
    mobike = start(ends, f"{QUICK}move-by = {means}\n")
    before = lab.host.show("route", "show", "default")
    lab.cut(up0)
    ends.send()
    settle(ends, up1)
    wait_until(lambda: "is given back" in mobike.output(), "the default route is given back")
    lab.mend(up0)
    wait_until(lambda: lab.host.show("route", "show", "default") == before, "the default routes are as before", PROBED)
    wait_until(lambda: ends.traces() == [], "no route of mif-mobike's is left")
    assert ends.kept


@LAST
def test_responder_is_seen_to_follow(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """Nobody tells that a responder has moved; its default route stays where it is all the same."""
    ends = Tunnel(lab, by_peer=True)
    mobike = start(ends)
    lab.cut(up0)
    ends.send()
    settle(ends, up1)
    # Longer than a daemon that is not seen to follow is waited for.
    time.sleep(1)
    lines = mobike.output()
    assert f"{ends.address}: led over" in lines
    assert "default route" not in lines and "does not follow" not in lines


@LAST
def test_link_down(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """The cable's other end goes down: no carrier, but addresses and routes stay."""
    ends = Tunnel(lab)
    start(ends)
    lab.carrier(up0, False)
    tell("net  up0 has no carrier")
    settle(ends, up1)
    lab.carrier(up0, True)
    settle(ends, up0, PROBED)
    assert ends.routes() == []


@LAST
def test_both_down_and_one_back(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """Nothing works for a while, then the other uplink does."""
    ends = Tunnel(lab)
    start(ends)
    for uplink in (up0, up1):
        lab.carrier(uplink, False)
    ends.routes()
    time.sleep(2)
    lab.carrier(up1, True)
    tell("net  up1 is back")
    settle(ends, up1, PROBED)


@LAST
def test_lease_lost(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """The DHCP server dies, and the lease runs out."""
    server = daemons.kea4(lab, up0, lease=6, renewal=2, rebinding=4)
    daemons.dhclient(lab, up0)
    [address] = lab.host.addresses(up0.interface, 4)
    lab.configure_by_hand(up1, "4")
    ends = Tunnel(lab, configured=False)
    assert ends.first["local-host"] == address
    start(ends)
    server.stop()
    tell("net  r1's DHCP server dies")
    settle(ends, up1, PROBED)


def announce(lab: Lab, uplink: Uplink, lifetime: int = 1800, flags: int = 0) -> None:
    """One advertisement of the router's, and a prefix of its own in it."""
    router = lab.router(uplink)
    message = RouterAdvertisement(lifetime=lifetime, flags=flags, options=[advertise.prefix(f"{uplink.prefix6}/64")])
    with router.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        advertise.send(raw, router.index("host0"), message.wire)


def formed(lab: Lab, interface: str, address: str) -> str:
    wait_until(lambda: address in lab.host.addresses(interface, 6), f"{address} on {interface}")
    return address


@pytest.fixture
def shared(lab: Lab, up0: Uplink, up1: Uplink) -> tuple[Tunnel, str, str]:
    """Two routers on one link, each of which takes packets from its own prefix and no other, so that the address goes
    with the router (RFC 8028); the address in use, which is r1's, and the other one."""
    tail = IPv6Address(up0.slaac).packed[8:]
    made = [str(IPv6Address(IPv6Address(uplink.prefix6).packed[:8] + tail)) for uplink in (up0, up1)]
    # r1 is the preferred router (RFC 4191, 2.1), and its address the younger one.
    for uplink, own, preference in ((up1, made[1], 0x18), (up0, made[0], 0x08)):
        lab.router(uplink).run("nft", INGRESS.format(uplink.prefix6))
        announce(lab, uplink, flags=preference)
        formed(lab, "up0", own)
    ends = Tunnel(lab, 6, configured=False)
    assert ends.first["local-host"] == made[0]
    return ends, made[0], made[1]


@LAST
@pytest.mark.lab(shared_link=True)
@pytest.mark.parametrize("end", ["lifetime-0", "dies", "upstream"])
def test_two_routers_on_one_link(
    end: str, lab: Lab, up0: Uplink, up1: Uplink, shared: tuple[Tunnel, str, str], start: Start
) -> None:
    """One of them says that it is none any more, or just dies, or loses its upstream."""
    ends, old, new = shared
    mobike = start(ends)
    tell(f"net  r1: {end}")
    if end == "dies":
        lab.r1.ip("link set host0 down")
    else:
        lab.cut(up0)
    if end == "lifetime-0":
        announce(lab, up0, lifetime=0)
    elif end == "upstream":
        ends.send(local=old)
    settle(ends, up1, PROBED, new)
    assert mobike.stop(SIGTERM) == 0
    assert ends.traces() == []


@LAST
@pytest.mark.lab(shared_link=True)
def test_probes_move_nothing(
    lab: Lab, up0: Uplink, shared: tuple[Tunnel, str, str], start: Start, watched: Callable[..., Watch]
) -> None:
    """What it takes to send a probe to the other router doesn't make charon look for another path."""
    ends, old, new = shared
    start(ends)
    watch = watched(ends)

    def probes(source: str) -> int:
        return ends.peer.child.output().count(f"unsupported IKE version 3.0 from {source},")

    def both() -> bool:
        return all(probes(source) > before for source, before in asked.items())

    asked = {source: probes(source) for source in (old, new)}
    about = packets.ipv6(old, ends.address, 17, packets.udp(old, ends.address, 4500, 4500, bytes(40)))
    error = packets.icmpv6_error(up0.router6, old, 1, 0, about)
    wire = packets.Wire(lab.r1.socket(socket.AF_PACKET, socket.SOCK_DGRAM), "host0", up0.host_mac)
    wait_until(
        lambda: wire.send(packets.ipv6(up0.router6, old, 58, error)) or both(), "both paths are probed", every=0.2
    )
    wire.close()
    # charon looks a tenth of a second after a route changed.
    time.sleep(0.5)
    assert [packet for packet in watch.packets if packet.ike[:8] == ends.initiator_spi] == []
    assert ends.kept and ends.host.association["local-host"] == old and ends.routes() == []


@LAST
def test_lifetime_0(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """A router says that it is none any more, while its network works on."""
    for uplink in (up0, up1):
        announce(lab, uplink)
        formed(lab, uplink.interface, uplink.slaac)
    ends = Tunnel(lab, 6, configured=False)
    # charon takes either: the routes have the same metric.
    old, new = sorted(lab.uplinks, key=lambda uplink: uplink.slaac != ends.first["local-host"])
    start(ends)
    announce(lab, old, lifetime=0)
    tell(f"net  {old.router} says that it is no router")
    settle(ends, new, PROBED, new.slaac)


@LAST
def test_default_route_of_an_advertisement(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """Taken away and given back, it doesn't stand in the way of the router's next advertisement."""
    for uplink in (up0, up1):
        announce(lab, uplink)
        formed(lab, uplink.interface, uplink.slaac)
    ends = Tunnel(lab, 6, Settings(prefer_best_path=False), configured=False)
    old, new = sorted(lab.uplinks, key=lambda uplink: uplink.slaac != ends.first["local-host"])
    start(ends, QUICK + "move-by = default-route\n")

    def metrics() -> list[str]:
        lines = lab.host.show("-6", "route", "show", "default", "dev", old.interface).splitlines()
        return [line.split(" metric ")[1].split()[0] for line in lines]

    assert metrics() == ["1024"]
    lab.cut(old)
    ends.send(local=old.slaac)
    settle(ends, new, PROBED, new.slaac)
    wait_until(lambda: metrics() == ["1025"], "the default route is given back")
    announce(lab, old)
    wait_until(lambda: metrics() == ["1024"], "it is the kernel's own again")
    assert ends.kept


@LAST
def test_flapping(lab: Lab, up0: Uplink, up1: Uplink, start: Start, watched: Callable[..., Watch]) -> None:
    """The upstream comes and goes every second: few moves, and the IKE_SA stays."""
    ends = Tunnel(lab)
    start(ends, "move-interval = 2\n")
    watch = watched(ends, packets=False)
    for _ in range(10):
        lab.cut(up0)
        ends.send()
        time.sleep(1)
        lab.mend(up0)
        time.sleep(1)
    tell(f"     10 times down and up: {routes_made(watch)} moves")
    assert ends.kept
    # Whichever path it is on, packets get through.
    assert 1 <= routes_made(watch) <= 4
    settle(ends, up0, 2 * PROBED)


@LAST
@FAMILIES
@pytest.mark.parametrize("delay", [0, 80], ids=["near", "far"])
def test_forged_errors(
    family: int, delay: int, lab: Lab, up0: Uplink, start: Start, watched: Callable[..., Watch]
) -> None:
    """100,000 errors a second that no router meant; a probe over the path, however slow it is, says otherwise."""
    if delay:
        slow_down(lab, up0, delay // 2)
    ends = Tunnel(lab, family)
    start(ends)
    watch = watched(ends, packets=False)
    flooded = forge.flood(ends)
    tell(f"     {flooded.sent} errors in {flooded.seconds:.1f} s")
    # What the last of them led to takes no longer than a probe may.
    time.sleep(1)
    assert routes_made(watch) == 0 and ends.routes() == []
    assert ends.kept and ends.host.association["local-host"] == ends.local(up0)
    assert flooded.sent > 100_000


@LAST
def test_loss_among_forged_errors(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """The path fails in the midst of such a flood: that is found out too."""
    ends = Tunnel(lab)
    start(ends, "probe-interval = 0\n")
    attack = threading.Thread(target=forge.flood, args=(ends,))
    attack.start()
    time.sleep(1)
    assert ends.routes() == []
    lab.cut(up0)
    tell("net  r1 loses its upstream")
    settle(ends, up1)
    attack.join()


@LAST
def test_charon_comes_later(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """It is started before charon, whose socket belongs to root and its group."""
    ends = Tunnel(lab)
    socket_of_charon = ends.host.socket
    away = socket_of_charon.with_suffix(".away")
    socket_of_charon.rename(away)

    def appear() -> None:
        tell("ike  charon's socket is there")
        away.rename(socket_of_charon)

    later = threading.Timer(2, appear)
    later.start()
    start(ends)
    later.join()
    lab.cut(up0)
    ends.send()
    settle(ends, up1)


@LAST
def test_end(lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """At its end it takes back what it has done."""
    ends = Tunnel(lab)
    mobike = start(ends)
    lab.cut(up0)
    ends.send()
    settle(ends, up1)
    assert ends.routes()
    assert mobike.stop(SIGTERM) == 0
    assert ends.traces() == []


@LAST
@pytest.mark.parametrize("means", ["host-route", "default-route"])
def test_killed(means: str, lab: Lab, up0: Uplink, up1: Uplink, start: Start) -> None:
    """Killed, it leaves everything behind, which the next one takes back."""
    ends = Tunnel(lab, settings=Settings(prefer_best_path=means == "host-route"))
    before = lab.host.show("route", "show", "default")
    mobike = start(ends, f"{QUICK}move-by = {means}\n")
    lab.cut(up0)
    ends.send()
    settle(ends, up1)
    mobike.stop(SIGKILL)
    assert ends.routes()
    lab.mend(up0)
    start(ends, name="mif-mobike-again")
    assert ends.traces() == []
    assert lab.host.show("route", "show", "default") == before
    assert ends.kept


@LAST
@pytest.mark.parametrize("trusted", [False, True], ids=["stranger", "trusted"])
def test_trigger_of_a_client(
    trusted: bool, lab: Lab, agent: Agent, up0: Uplink, start: Start, watched: Callable[..., Watch]
) -> None:
    """What another client submits leads to a probe where the configuration trusts its user, and else to nothing."""
    ends = Tunnel(lab)
    start(ends, "probe-interval = 0\n" + (f"trust-user = {os.getuid()}\n" if trusted else ""))
    watch = watched(ends)
    client = TriggerClient(agent.directory)
    client.add(Kind.DEST_UNREACHABLE, address(ends.local(up0)), address(ends.address))
    client.barrier()
    probe = watch.first(lambda packet: packet.outgoing and packet.ike != b"", 5 if trusted else 1)
    client.close()
    assert (probe is not None) == trusted
    assert ends.routes() == [] and ends.kept
