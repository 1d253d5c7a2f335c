"""CONNECT_TO_ADDRESS on real networks: through which provisioning domain, from which address, why not; and that no
descriptor is lost whatever a subscriber does."""

import errno
import fcntl
import os
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from signal import SIGKILL

import pytest

from labkit.agent import Agent
from labkit.clients import mif_client, mif_client_of
from labkit.mif_client import UDP, Element, Errand, Failure, From, Info, Mif, MifClient
from labkit.processes import wait_until
from labkit.site import pvd_with
from labkit.story import MifEar, tell
from labkit.topology import PEER4, PEER6, Lab, Namespace, Uplink

PORT = 8080
PEERS = {"ipv4": PEER4, "ipv6": PEER6}


@pytest.fixture
def listen() -> Iterator[Callable[..., socket.socket]]:
    """TCP servers: `listen(namespace, ip)`; who was connected, `accept` tells."""
    with ExitStack() as stack:

        def start(namespace: Namespace, ip: str, port: int = PORT, backlog: int = 64) -> socket.socket:
            family = socket.AF_INET6 if ":" in ip else socket.AF_INET
            server = stack.enter_context(namespace.socket(family, socket.SOCK_STREAM))
            server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            server.bind((ip, port))
            server.listen(backlog)
            server.settimeout(5)
            return server

        yield start


Listen = Callable[..., socket.socket]


def configured(lab: Lab, ear: MifEar, *uplinks: Uplink) -> list[int]:
    """Both families by hand; each uplink's PvD."""
    for uplink in uplinks:
        lab.configure_by_hand(uplink)
    return [pvd_of(ear, uplink.host4, uplink.host6) for uplink in uplinks]


def pvd_of(ear: MifEar, *ips: str) -> int:
    """The PvD that has these addresses."""

    def domain() -> int | None:
        ear.client.drain()
        found = {pvd for pvd, ip in ear.client.addresses if ip in ips}
        has = [pvd for pvd in found if set(ips) <= ear.client.addresses_of(pvd)]
        return has[0] if has else None

    wait_until(domain, f"a PvD with {ips}")
    ear.mark()
    return domain() or 0


@pytest.fixture
def pvds(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> list[int]:
    return configured(lab, mif, up0, up1)


def talk(errand: Errand, server: socket.socket) -> str:
    """Takes both ends of a connection and has them talk, and returns whom the server saw."""
    tell(f"mif  {errand}")
    with errand.socket() as ours:
        theirs, (source, *_) = server.accept()
        with theirs:
            ready_for_anything(ours)
            ours.sendall(b"GET")
            assert theirs.recv(10) == b"GET"
            theirs.sendall(b"HERE")
            assert ours.recv(10) == b"HERE"
    return str(source)


def ready_for_anything(ours: socket.socket) -> None:
    """As socket(2) and connect(2) make it: blocking, without an error, no option left of the agent's work."""
    assert not fcntl.fcntl(ours, fcntl.F_GETFL) & os.O_NONBLOCK
    assert ours.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR) == 0
    v4 = ours.family == socket.AF_INET
    recverr = (socket.IPPROTO_IP, 11) if v4 else (socket.IPPROTO_IPV6, 25)
    assert ours.getsockopt(*recverr) == 0
    ours.settimeout(5)


def failure(errand: Errand) -> Failure:
    tell(f"mif  {errand}")
    assert errand.failure is not None, errand
    return errand.failure


# Through which network, from which address


@pytest.mark.parametrize("family", PEERS)
def test_each_through_its_own(
    family: str, lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, pvds: list[int], listen: Listen
) -> None:
    """One destination, two networks: the peer sees the address of the PvD that was named, whatever the host's routes
    prefer."""
    server = listen(lab.peer, PEERS[family])
    for pvd, uplink in ((pvds[1], up1), (pvds[0], up0), (pvds[1], up1)):
        source = talk(mif.client.connect(PEERS[family], PORT, pvd), server)
        assert source == (uplink.host4 if family == "ipv4" else uplink.host6)


@pytest.mark.parametrize("family", PEERS)
def test_udp(family: str, lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, pvds: list[int]) -> None:
    """A connected UDP socket is there at once, and nothing was sent for it; what is sent goes through its PvD."""
    with lab.peer.socket(socket.AF_INET if family == "ipv4" else socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind((PEERS[family], PORT))
        server.settimeout(5)
        for pvd, uplink in ((pvds[1], up1), (pvds[0], up0)):
            with mif.client.connect(PEERS[family], PORT, pvd, transport=UDP).socket() as ours:
                assert ours.type == socket.SOCK_DGRAM
                ready_for_anything(ours)
                ours.send(b"hello")
                data, source = server.recvfrom(100)
                assert data == b"hello" and source[0] == (uplink.host4 if family == "ipv4" else uplink.host6)
                server.sendto(b"welcome", source)
                assert ours.recv(100) == b"welcome"


def test_source_chosen(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, listen: Listen) -> None:
    """RFC 6724 among the PvD's own addresses: scope, not deprecated, label, longest match."""
    router = lab.r1
    ula, other, old = "fd00:1::10", "2001:db8:1:0:aaaa::10", "2001:db8:1:0:aaaa::11"
    near_other = "2001:db8:1:0:aaaa::1"
    router.ip("addr add fd00:1::1/64 dev host0", f"addr add {near_other}/64 dev host0")
    lab.host.ip(
        f"addr add {ula}/64 dev up0",
        f"addr add {other}/64 dev up0",
        f"addr add {old}/64 dev up0 preferred_lft 0",
    )
    lab.configure_by_hand(up1)
    lab.configure_by_hand(up0)
    pvd = pvd_of(mif, up0.host4, up0.host6, ula, other, old)
    near = listen(router, "::")
    assert talk(mif.client.connect("fd00:1::1", PORT, pvd), near) == ula
    assert talk(mif.client.connect(up0.router6, PORT, pvd), near) in (up0.host6, other)
    assert talk(mif.client.connect(near_other, PORT, pvd), near) == other
    assert talk(mif.client.connect(up0.router_link_local, PORT, pvd), near).split("%")[0] == up0.link_local
    far = listen(lab.peer, PEER6)
    assert talk(mif.client.connect(PEER6, PORT, pvd), far) in (up0.host6, other)
    # The one that would never be chosen, where it is asked for.
    assert talk(mif.client.connect(PEER6, PORT, pvd, source=old), far) == old


def test_source_given(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, listen: Listen) -> None:
    """CONNECT_TO_ADDRESS_FROM_ADDRESS: this address and this port, or why not."""
    second = "10.1.0.77"
    lab.host.ip(f"addr add {second}/24 dev up0")
    configured(lab, mif, up0, up1)
    pvd = pvd_of(mif, up0.host4, second)
    server = listen(lab.peer, PEER4)
    client = mif.client
    for source in (second, up0.host4):
        assert talk(client.connect(PEER4, PORT, pvd, source=source), server) == source
    with client.connect(PEER4, PORT, pvd, source=second, source_port=40_000).socket() as ours:
        assert ours.getsockname() == (second, 40_000)
        theirs, source = server.accept()
        assert source == (second, 40_000)
        again = client.connect(PEER4, PORT, pvd, source=second, source_port=40_000)
        assert failure(again) == Failure(errno.EADDRINUSE, From.LOCAL)
        theirs.close()
    for wrong in (up1.host4, PEER4, "127.0.0.1", "0.0.0.0", "255.255.255.255", "224.0.0.1"):
        assert failure(client.connect(PEER4, PORT, pvd, source=wrong)) == Failure(errno.EADDRNOTAVAIL, From.LOCAL)
    assert failure(client.connect(PEER4, PORT, pvd, source=up0.host6)) == Failure(errno.EAFNOSUPPORT, From.LOCAL)
    server.settimeout(0)
    with pytest.raises(BlockingIOError):
        server.accept()


def test_selected_pvd(
    lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, agent: Agent, pvds: list[int], listen: Listen
) -> None:
    """Identifier 0 is the PvD that CONNECT_TO_PVD selected, for this subscriber."""
    server = listen(lab.peer, PEER4)
    client = mif.client
    assert client.connect(PEER4, PORT).refused == errno.ENOENT
    for pvd, uplink in ((pvds[1], up1), (pvds[0], up0)):
        assert client.select_pvd(pvd) == 0
        assert talk(client.connect(PEER4, PORT), server) == uplink.host4
        router = client.values(pvd, Element.KERNEL, Info.DEFAULT_ROUTER)
        assert router and client.values(0, Element.KERNEL, Info.DEFAULT_ROUTER) == router
    with mif_client(agent) as other:
        assert other.connect(PEER4, PORT).refused == errno.ENOENT
    assert client.select_pvd(0) == 0
    assert client.connect(PEER4, PORT).refused == errno.ENOENT


def test_who_may(
    lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, mif: MifEar, pvds: list[int], listen: Listen
) -> None:
    """Whoever may open the socket may connect; nobody gets a port by it that he could not have by himself, for who
    opens the sockets has no privilege either."""
    server = listen(lab.peer, PEER4)
    with mif_client_of(agent, 65_534) as nobody:
        assert talk(nobody.connect(PEER4, PORT, pvds[1]), server) == up1.host4
        reserved = nobody.connect(PEER4, PORT, pvds[1], source=up1.host4, source_port=80)
        assert failure(reserved) == Failure(errno.EACCES, From.LOCAL)


def test_overlapping_networks(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, listen: Listen) -> None:
    """192.168.1.0/24 on both uplinks, the host with one address on both, another server of one address behind each:
    each PvD reaches its own, also with all four numbers of the connection the same."""
    own, there = "192.168.1.10", "192.168.1.80"
    servers = []
    for number, uplink in enumerate((up0, up1)):
        router = lab.router(uplink)
        router.ip("addr add 192.168.1.1/24 dev host0", f"addr add {there}/24 dev host0")
        lab.host.ip(
            f"addr add {own}/24 dev {uplink.interface}",
            f"route add default via 192.168.1.1 dev {uplink.interface} metric {100 + number}",
        )
        servers.append(listen(router, there))
    pvds = [pvd_with(mif, Element.KERNEL, own, lab.host.index(uplink.interface)) for uplink in (up0, up1)]
    assert len(set(pvds)) == 2
    for place in (0, 1, 0):
        assert talk(mif.client.connect(there, PORT, pvds[place]), servers[place]) == own
    at_once = [mif.client.begin_to_connect(there, PORT, pvd, source=own, source_port=40_001) for pvd in pvds]
    mif.client.finish_all(at_once)
    with at_once[0].socket() as one, at_once[1].socket() as two:
        for ours, server, word in ((one, servers[0], b"one"), (two, servers[1], b"two")):
            theirs, source = server.accept()
            assert source == (own, 40_001) == ours.getsockname()
            with theirs:
                theirs.sendall(word)
                ours.settimeout(5)
                assert ours.recv(10) == word
    for server in servers:
        server.settimeout(0)
        with pytest.raises(BlockingIOError):
            server.accept()


# Why not


@pytest.mark.parametrize("family", PEERS)
def test_refused(family: str, lab: Lab, up0: Uplink, mif: MifEar, pvds: list[int]) -> None:
    """Nobody listens: a reset of the peer's, and no ICMP."""
    assert failure(mif.client.connect(PEERS[family], 9, pvds[0])) == Failure(errno.ECONNREFUSED, From.PEER)


# Somebody behind the router who does not answer it.
NEIGHBOUR = "neighbour"


@pytest.mark.parametrize(
    ("destination", "route", "expected"),
    [
        ("198.51.100.1", "", Failure(errno.ENETUNREACH, From.ICMP, (3, 0))),
        ("198.51.100.1", "unreachable 198.51.100.0/24", Failure(errno.EHOSTUNREACH, From.ICMP, (3, 1))),
        ("10.1.77.77", NEIGHBOUR, Failure(errno.EHOSTUNREACH, From.ICMP, (3, 1))),
        ("198.51.100.1", "prohibit 198.51.100.0/24", Failure(errno.EHOSTUNREACH, From.ICMP, (3, 13))),
        ("2001:db8:dead::1", "", Failure(errno.ENETUNREACH, From.ICMPV6, (1, 0))),
        ("2001:db8:ff:1::dead", NEIGHBOUR, Failure(errno.EHOSTUNREACH, From.ICMPV6, (1, 3))),
        ("2001:db8:dead::1", "prohibit 2001:db8:dead::/48", Failure(errno.EACCES, From.ICMPV6, (1, 1))),
    ],
)
def test_unreachable(
    destination: str, route: str, expected: Failure, lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, pvds: list[int]
) -> None:
    """What the router says ends the attempt at once, where TCP would try for minutes; the router is who it says."""
    if route == NEIGHBOUR:
        for version in ("ipv4", "ipv6"):
            lab.r1.sysctl({f"{version}/neigh/core0/retrans_time_ms": 50})
        lab.r1.ip("addr add 10.1.77.1/24 dev core0")
    elif route:
        lab.r1.ip(f"route add {route}")
    else:
        lab.cut(up0)
    began = time.monotonic()
    assert failure(mif.client.connect(destination, PORT, pvds[0])) == expected
    assert time.monotonic() - began < 1


def test_unreachable_in_one_network(
    lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, pvds: list[int], listen: Listen
) -> None:
    """The other one is as good as ever."""
    server = listen(lab.peer, PEER4)
    lab.cut(up0)
    bad, good = (mif.client.begin_to_connect(PEER4, PORT, pvd) for pvd in pvds)
    mif.client.finish_all([bad, good])
    assert failure(bad) == Failure(errno.ENETUNREACH, From.ICMP, (3, 0))
    assert talk(good, server) == up1.host4
    lab.mend(up0)
    lab.reaches(up0, PEER4)
    assert talk(mif.client.connect(PEER4, PORT, pvds[0]), server) == up0.host4


def test_time_out(lab: Lab, up0: Uplink, mif: MifEar, pvds: list[int]) -> None:
    """Nobody says anything: TCP gives up, here after its second SYN."""
    lab.host.sysctl({"ipv4/tcp_syn_retries": 1})
    lab.r1.ip("route add blackhole 198.51.100.0/24", "route add blackhole 2001:db8:dead::/48")
    errands = [mif.client.begin_to_connect(ip, PORT, pvds[0]) for ip in ("198.51.100.1", "2001:db8:dead::1")]
    mif.client.finish_all(errands, seconds=8)
    for errand in errands:
        assert failure(errand) == Failure(errno.ETIMEDOUT, From.TIME_OUT)


def test_local_reasons(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> None:
    """What this host itself knows: no route, no address of the family, nobody on the link, no such destination."""
    lab.host.sysctl({"ipv4/neigh/up0/retrans_time_ms": 50})
    lab.host.ip(f"addr add {up0.host4}/24 dev up0", f"addr add {up0.host6}/64 dev up0")
    lab.configure_by_hand(up1, families="6")
    pvd, six = pvd_of(mif, up0.host4, up0.host6), pvd_of(mif, up1.host6)

    def why(ip: str, pvd: int, port: int = PORT) -> tuple[int, From]:
        found = failure(mif.client.connect(ip, port, pvd))
        assert found.icmp == (0, 0) and found.rcode == 0
        return found.errno, found.origin

    assert why(PEER6, pvd) == (errno.ENETUNREACH, From.LOCAL)
    assert why(PEER4, six) == (errno.EADDRNOTAVAIL, From.LOCAL)
    # On up0's link, where nobody has it.
    assert why("10.1.0.222", pvd) == (errno.EHOSTUNREACH, From.LOCAL)
    for wrong in ("0.0.0.0", "::"):
        assert why(wrong, pvd) == (errno.EINVAL, From.LOCAL)
    assert why(PEER4, pvd, port=0) == (errno.EINVAL, From.LOCAL)
    assert why("127.0.0.1", pvd)[1] == From.LOCAL
    assert why("::ffff:10.9.0.2", pvd) == (errno.EAFNOSUPPORT, From.LOCAL)
    for group in ("224.0.0.1", "ff02::1", "255.255.255.255"):
        assert why(group, pvd)[1] == From.LOCAL


# In the middle of it


@pytest.fixture
def silence(lab: Lab) -> str:
    """A destination behind up0 that swallows everything."""
    lab.r1.ip("route add blackhole 198.51.100.0/24")
    return "198.51.100.1"


def test_address_goes(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, silence: str) -> None:
    """The source is gone: what waits for answers to it waits in vain. Another source of the PvD's does not matter."""
    second = "10.1.0.77"
    configured(lab, mif, up0)
    lab.host.ip(f"addr add {second}/24 dev up0")
    pvd = pvd_of(mif, up0.host4, second)
    lost = mif.client.begin_to_connect(silence, PORT, pvd, source=second)
    kept = mif.client.begin_to_connect(silence, PORT, pvd, source=up0.host4)
    mif.client.barrier()
    lab.host.ip(f"addr del {second}/24 dev up0")
    assert failure(mif.client.finish(lost)) == Failure(errno.EADDRNOTAVAIL, From.LOCAL)
    mif.expect(kind=Mif.NO_ADDRESS, ip=second)
    assert not kept.ended


def test_pvd_goes(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, agent: Agent, pvds: list[int], silence: str) -> None:
    """ENETDOWN for what is under way in it; its descriptor is closed."""
    before = agent.descriptors()
    errand = mif.client.begin_to_connect(silence, PORT, pvds[0])
    mif.client.barrier()
    assert agent.descriptors() == before + 1
    lab.unplug(up0)
    assert failure(mif.client.finish(errand)) == Failure(errno.ENETDOWN, From.LOCAL)
    mif.expect(kind=Mif.NO_PVD, pvd=pvds[0])
    assert mif.client.connect(PEER4, PORT, pvds[0]).refused == errno.ENOENT
    wait_until(lambda: agent.descriptors() <= before, "the descriptor is closed")


# No descriptor is lost


def statistic(agent: Agent, name: str) -> int:
    with mif_client(agent) as client:
        return client.statistics()[name]


def settled(agent: Agent, before: int) -> None:
    """As many descriptors as before, of a subscriber more or less that are about to go."""
    wait_until(lambda: agent.descriptors() == before, f"{before} descriptors, not {agent.descriptors()}")


def test_a_thousand(lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, pvds: list[int], listen: Listen) -> None:
    """One after the other, and in bursts: as many descriptors afterwards as before."""
    server = listen(lab.peer, PEER4, backlog=256)
    client = mif.client
    before = agent.descriptors()
    for _ in range(10):
        errands = [client.begin_to_connect(PEER4, PORT, pvds[0]) for _ in range(50)]
        errands += [client.begin_to_connect(PEER4, PORT, pvds[0], transport=UDP) for _ in range(50)]
        client.finish_all(errands)
        for errand in errands:
            errand.socket().close()
        for _ in range(50):
            server.accept()[0].close()
    settled(agent, before)
    assert client.statistics()["connector.connected"] == 1000


def test_subscriber_dies_connecting(
    lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, pvds: list[int], silence: str
) -> None:
    """Killed while its connections are on their way: they are dropped."""
    before = agent.descriptors()
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client = MifClient(agent.directory)
            for _ in range(100):
                client.begin_to_connect(silence, PORT, pvds[0])
            client.barrier()
            os.write(writing, b"!")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    assert agent.descriptors() == before + 101
    os.kill(pid, SIGKILL)
    os.waitpid(pid, 0)
    settled(agent, before)
    assert statistic(agent, "connector.cancelled") == 100


def test_connected_unread(lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, pvds: list[int], listen: Listen) -> None:
    """A subscriber goes without having read CONNECTED: its connections are closed, which their peer sees."""
    server = listen(lab.peer, PEER4)
    before = agent.descriptors()
    with mif_client(agent) as client:
        for _ in range(10):
            client.begin_to_connect(PEER4, PORT, pvds[0])
        client.flush()
        theirs = [server.accept()[0] for _ in range(10)]
    for each in theirs:
        each.settimeout(5)
        try:
            assert each.recv(1) == b""
        except ConnectionResetError:
            pass
        each.close()
    settled(agent, before)


def test_bound(lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, pvds: list[int], silence: str) -> None:
    """1,024 translations and connections of one subscriber under way; one more is ENOSPC, for this one alone."""
    before = agent.descriptors()
    with mif_client(agent) as many:
        for _ in range(1024):
            many.begin_to_connect(silence, PORT, pvds[0])
        refused = many.finish(many.begin_to_connect(silence, PORT, pvds[0]))
        assert refused.refused == errno.ENOSPC
        assert many.finish(many.translate("host.example", pvds[0])).refused == errno.ENOSPC
        mif.client.connect(PEER4, PORT, pvds[0], transport=UDP).socket().close()
    settled(agent, before)


def test_subscriber_that_never_takes_its_sockets(
    lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, pvds: list[int], listen: Listen
) -> None:
    """What waits for it is bounded, others have theirs meanwhile; when it reads at last, each request has its one
    result, and nothing is left."""
    before = agent.descriptors()
    server = listen(lab.peer, PEER4)
    with mif_client(agent) as sleeper:
        errands = [sleeper.begin_to_connect(PEER4, 4500, pvds[0], transport=UDP) for _ in range(3000)]
        most = 0
        for _ in range(20):
            talk(mif.client.connect(PEER4, PORT, pvds[1]), server)
            most = max(most, agent.descriptors())
        tell(f"     {most - before} descriptors wait for the subscriber that does not read")
        assert most - before < 1100
        sleeper.finish_all(errands, 20)
        for errand in errands:
            if errand.descriptor is not None:
                errand.socket().close()
            else:
                assert errand.failure in (
                    Failure(errno.ENOBUFS, From.LOCAL), Failure(errno.ETOOMANYREFS, From.LOCAL),
                ), errand  # fmt: skip
    settled(agent, before)


def test_sockets_at_once_and_unread(
    lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, pvds: list[int], listen: Listen
) -> None:
    """A thousand handshakes that end at the same time, for one who does not read: what its queue has no room for is
    closed, which it is told; all others it gets."""
    before = agent.descriptors()
    lab.peer.sysctl({"core/somaxconn": 4096})
    listen(lab.peer, PEER4, backlog=4096)
    lab.r1.ip(f"route add blackhole {PEER4}/32")
    with mif_client(agent) as sleeper:
        errands = [sleeper.begin_to_connect(PEER4, PORT, pvds[0]) for _ in range(1000)]
        sleeper.flush()
        wait_until(lambda: statistic(agent, "connector.under-way") == 1000, "all are on their way")
        lab.r1.ip(f"route del blackhole {PEER4}/32")
        wait_until(lambda: statistic(agent, "connector.under-way") == 0, "all are through", 8)
        sleeper.finish_all(errands, 8)
        got = [errand for errand in errands if errand.descriptor is not None]
        told = {errand.failure for errand in errands if errand.failure}
        tell(f"     {len(got)} of 1000 sockets; the others: {[str(each) for each in told]}")
        assert told <= {Failure(errno.ENOBUFS, From.LOCAL), Failure(errno.ETOOMANYREFS, From.LOCAL)}
        assert len(got) >= 100
        for errand in got:
            errand.socket().close()
    settled(agent, before)
