"""TRANSLATE_NAME on real networks: whom each provisioning domain asks, what comes of it, and what hostile servers and
subscribers can't do."""

import errno
import os
import socket
import struct
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from signal import SIGKILL

import pytest

from labkit import daemons, dns
from labkit.agent import Agent
from labkit.clients import mif_client
from labkit.dns import Answer, Query, Server, reply, zone
from labkit.frame import INFINITE
from labkit.mif_client import COMPLETE, Element, Errand, Failure, From, Info, Mif, MifClient
from labkit.processes import Mounts, wait_until
from labkit.site import PrivateNetwork, advertised, leased, pvd_with
from labkit.story import MifEar, eventually, tell
from labkit.topology import DNS6, PEER4, PEER6, Lab, Uplink

NAME = "host.example"
ONE4, ONE6 = "192.0.2.1", "2001:db8:aaaa::1"
TWO4, TWO6 = "198.51.100.2", "2001:db8:bbbb::2"
FIRST = zone({NAME: [ONE4, ONE6]}, ttl=77)
SECOND = zone({NAME: [TWO4, TWO6]}, ttl=88)
NOT_THERE = Failure(errno.ENOENT, From.RESOLVER, rcode=dns.NXDOMAIN)


@pytest.fixture
def serve(lab: Lab) -> Iterator[Callable[..., Server]]:
    """Starts servers of the story's own: `serve(uplink, answer)` on its router's address, or on another."""
    with ExitStack() as stack:

        def start(uplink: Uplink, answer: Answer, ip: str = "") -> Server:
            return stack.enter_context(Server(lab.router(uplink), ip or uplink.router6, answer))

        yield start


Serve = Callable[..., Server]


@pytest.fixture
def one(lab: Lab, up0: Uplink, mif: MifEar) -> int:
    """up0's PvD: IPv6, its router is its DNS server."""
    return advertised(lab, mif, up0, [up0.router6])


def counter(agent: Agent, name: str) -> int:
    with mif_client(agent) as client:
        return client.statistics()[name]


def complete(errand: Errand, *ips: str) -> None:
    assert errand.failure == COMPLETE and sorted(errand.ips) == sorted(ips), errand
    tell(f"mif  {errand}")


# Whom it asks


def test_each_asks_its_own(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, serve: Serve) -> None:
    """Two networks, one name, two answers: each PvD asks its own server, from its own address, and nobody else's."""
    first, second = serve(up0, FIRST), serve(up1, SECOND)
    pvds = [advertised(lab, mif, uplink, [uplink.router6]) for uplink in (up0, up1)]
    client = mif.client
    errands = [client.translate(NAME, pvd) for pvd in pvds]
    client.finish_all(errands)
    complete(errands[0], ONE4, ONE6)
    complete(errands[1], TWO4, TWO6)
    assert {found.ttl for found in errands[0].found} == {77} and {found.ttl for found in errands[1].found} == {88}
    for server, uplink in ((first, up0), (second, up1)):
        assert sorted(query.kind for query in server.queries) == [dns.A, dns.AAAA]
        for query in server.queries:
            assert query.source == uplink.slaac and query.name == NAME and not query.tcp
            assert query.payload is not None and 1220 <= query.payload <= 4096
    # The second network's PvD alone is asked again.
    complete(client.lookup(NAME, pvds[1]), TWO4, TWO6)
    assert (len(first.queries), len(second.queries)) == (2, 4)


def test_real_servers(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> None:
    """dnsmasq behind one uplink and Unbound behind the other; the logs tell who was asked by whom."""
    dnsmasq = daemons.dnsmasq_dns(
        lab, lab.router(up0), "dns-r1", [up0.router6], [f"host-record={NAME},{ONE4},{ONE6},77"]
    )
    unbound = daemons.unbound(
        lab, lab.router(up1), "dns-r2", [up1.router6], "example", [f"host A {TWO4}", f"host AAAA {TWO6}"]
    )
    pvds = [advertised(lab, mif, uplink, [uplink.router6]) for uplink in (up0, up1)]
    complete(mif.client.lookup(NAME, pvds[0]), ONE4, ONE6)
    complete(mif.client.lookup(NAME, pvds[1]), TWO4, TWO6)
    for kind in ("A", "AAAA"):
        assert f"query[{kind}] {NAME} from {up0.slaac}\n" in dnsmasq.output()
        assert f"{up1.slaac} {NAME}. {kind} IN" in unbound.output()
    assert up1.slaac not in dnsmasq.output() and up0.slaac not in unbound.output()
    assert mif.client.lookup("nobody.example", pvds[1]).failure == NOT_THERE


def test_servers_of_the_same_address(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, serve: Serve) -> None:
    """Both networks call their server by the same address, and the host's routes lead to one of them only: it is the
    interface that decides."""
    for uplink in (up0, up1):
        lab.router(uplink).ip(f"addr add {DNS6}/128 dev lo")
    first, second = serve(up0, FIRST, DNS6), serve(up1, SECOND, DNS6)
    pvds = [advertised(lab, mif, uplink, [DNS6]) for uplink in (up0, up1)]
    complete(mif.client.lookup(NAME, pvds[0]), ONE4, ONE6)
    complete(mif.client.lookup(NAME, pvds[1]), TWO4, TWO6)
    assert {query.source for query in first.queries} == {up0.slaac}
    assert {query.source for query in second.queries} == {up1.slaac}


def test_overlapping_networks(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, serve: Serve) -> None:
    """192.168.1.0/24 behind both uplinks, 192.168.1.1 is router and server of each: two leases, two answers."""
    pvds = []
    for uplink, answer in ((up0, FIRST), (up1, SECOND)):
        lab.router(uplink).ip("addr add 192.168.1.1/24 dev host0")
        serve(uplink, answer, "192.168.1.1")
        pvds.append(leased(lab, mif, PrivateNetwork(uplink.number), "192.168.1.1"))
    assert len(set(pvds)) == 2
    for _ in range(2):
        complete(mif.client.lookup(NAME, pvds[0]), ONE4, ONE6)
        complete(mif.client.lookup(NAME, pvds[1]), TWO4, TWO6)


def test_renumbered(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """The network gives the host another address: from then on the server is asked from that one."""
    server = serve(up0, FIRST)
    complete(mif.client.lookup(NAME, one), ONE4, ONE6)
    lab.r1.ip("addr add fd00:1::1/64 dev host0")
    lab.host.ip(f"addr del {up0.slaac}/64 dev up0")
    pvd = advertised(lab, mif, up0, [up0.router6], prefix="fd00:1::")
    server.queries.clear()
    complete(mif.client.lookup(NAME, pvd), ONE4, ONE6)
    assert {query.source for query in server.queries} == {up0.slaac.replace(up0.prefix6, "fd00:1::")}


def test_link_local_server(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve) -> None:
    """fe80:: as RDNSS: asked on its link, from the host's own link-local address."""
    router = lab.router(up0)
    scoped = f"{up0.router_link_local}%{router.inside(lambda: socket.if_nametoindex('host0'))}"
    address = socket.getaddrinfo(scoped, 53, type=socket.SOCK_DGRAM, flags=socket.AI_NUMERICHOST)[0][4]
    with router.socket(socket.AF_INET6, socket.SOCK_DGRAM) as server:
        server.bind(address)
        server.settimeout(3)
        pvd = advertised(lab, mif, up0, [up0.router_link_local])
        errand = mif.client.translate(NAME, pvd)
        for _ in range(2):
            data, source = server.recvfrom(2048)
            assert source[0].split("%")[0] == up0.link_local
            query = Query.parse(data, source[0], source[1], tcp=False)
            server.sendto(reply(query, *[dns.address(NAME, ONE6)] * (query.kind == dns.AAAA)), source)
        complete(mif.client.finish(errand), ONE6)


@pytest.mark.parametrize("families", ["IPv4 only", "IPv6 only", "dual-stack"])
def test_uplinks_of(families: str, lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> None:
    """What real servers hand out: DHCPv4 by dnsmasq, RDNSS by radvd, or both on one uplink. The name's own families
    have nothing to do with it."""
    records = [f"host-record={NAME},{ONE4},{ONE6}", "host-record=wrong.example,203.0.113.1"]
    server = daemons.dnsmasq_dns(lab, lab.router(up0), "dns-r1", [up0.router4, up0.router6], records)
    pvds = {}
    if families != "IPv6 only":
        pvds[up0.router4] = leased(lab, mif, up0, up0.router4)
    if families != "IPv4 only":
        daemons.radvd(lab, up0, dns=up0.router6)
        mif.expect(kind=Mif.ADDRESS, ip=up0.slaac)
        pvds[up0.router6] = next(pvd for pvd, ip in mif.client.addresses if ip == up0.slaac)
    for pvd in pvds.values():
        complete(mif.client.lookup(NAME, pvd), ONE4, ONE6)
    own = set(lab.host.addresses(up0.interface))
    asked = {line.rsplit(" ", 1)[1] for line in server.output().splitlines() if "query[" in line}
    assert asked <= own and {":" in ip for ip in asked} == {":" in ip for ip in pvds}, asked


def test_server_of_dhcpv6(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """The server and the search list that DHCPv6 told."""
    lab.r1.ip(f"addr add {DNS6}/128 dev lo")
    server = daemons.dnsmasq_dns(lab, lab.r1, "dns-r1", [DNS6], [f"host-record=www.{daemons.DOMAIN},{ONE4},{ONE6}"])
    daemons.dnsmasq(lab, up0, dhcp4=False, dhcp6=True, advertise=True)
    daemons.dhclient(lab, up0, 6)
    mif.expect(kind=Mif.ELEMENT, element=Element.DHCPV6)
    # The lease may be there before the advertisement that brings the route.
    lab.reaches(up0, DNS6)
    address = next(ip for ip in lab.host.addresses(up0.interface, 6) if ip != up0.slaac)
    pvd = pvd_with(mif, Element.DHCPV6, address, lab.host.index(up0.interface))
    assert mif.client.values(pvd, Element.DHCPV6, Info.DNS_SERVERS) == [DNS6]
    complete(mif.client.lookup("www", pvd), ONE4, ONE6)
    asked = {line.rsplit(" ", 1)[1] for line in server.output().splitlines() if "query[" in line}
    assert asked <= {address, up0.slaac} and asked


def test_no_server(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """A network configured by hand says nothing of servers: that is told, and nobody else's is asked."""
    lab.configure_by_hand(up0)
    pvd = mif.expect(kind=Mif.ADDRESS, ip=up0.host4).pvd
    assert mif.client.lookup(NAME, pvd).failure == Failure(errno.EDESTADDRREQ, From.LOCAL)


# What needs no server


def test_hosts_table_first(lab: Lab, up0: Uplink, binary: Path, serve: Serve) -> None:
    """hosts(5) before any server, for every PvD, and as it is now."""
    hosts = lab.record.directory / "hosts"
    hosts.write_text(f"127.0.0.1 localhost\n{PEER4} {NAME} other\n{PEER6}\tHost.Example # both\n")
    agent = Agent(lab, binary, mounts=Mounts({"/etc/hosts": hosts}))
    server = serve(up0, FIRST)
    with mif_client(agent) as client:
        client.follow()
        pvd = advertised(lab, MifEar(client), up0, [up0.router6])
        errand = client.lookup("HOST.example", pvd)
        complete(errand, PEER4, PEER6)
        assert {found.ttl for found in errand.found} == {INFINITE}
        complete(client.lookup("other", pvd), PEER4)
        assert server.queries == []
        hosts.write_text(f"192.0.2.55 {NAME}\n")
        complete(client.lookup(NAME, pvd), "192.0.2.55")
        hosts.write_text("")
        complete(client.lookup(NAME, pvd), ONE4, ONE6)


def test_names_without_a_server(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """Addresses as names, localhost (RFC 6761), .onion (RFC 7686): nobody is asked."""
    server = serve(up0, FIRST)
    complete(mif.client.lookup("192.0.2.9", one), "192.0.2.9")
    complete(mif.client.lookup("2001:db8::9", one), "2001:db8::9")
    complete(mif.client.lookup("a.localhost", one), "127.0.0.1", "::1")
    assert mif.client.lookup("hidden.onion", one).failure == NOT_THERE
    assert server.queries == []


NAMES: dict[str, tuple[str | bytes, int]] = {
    "a label of 64": ("a" * 64 + ".example", errno.ENAMETOOLONG),
    "255 bytes, 257 as labels": (".".join(["a" * 63] * 4), errno.ENAMETOOLONG),
    "an empty label": ("a..example", errno.EINVAL),
    "only a dot": (".", errno.EINVAL),
    "a space": ("a b.example", errno.EINVAL),
    "a zero": ("a\0b.example", errno.EINVAL),
    "not UTF-8": (b"\xff\xfe.example", errno.EILSEQ),
    "a surrogate": (b"\xed\xa0\x80.example", errno.EILSEQ),
    "a port": ("host.example:80", errno.EINVAL),
}


def test_malformed_names(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """Refused for what they are, and no server hears of them; the longest right one, and one beyond ASCII, go out."""
    server = serve(up0, zone({}))
    for what, (name, number) in NAMES.items():
        assert mif.client.lookup(name, one).failure == Failure(number, From.LOCAL), what
    assert server.queries == []
    longest = ".".join(["a" * 63] * 3 + ["b" * 61])
    assert mif.client.lookup(longest, one).failure == NOT_THERE
    assert mif.client.lookup("bücher.example", one).failure == NOT_THERE
    assert {query.name for query in server.queries} == {longest, "xn--bcher-kva.example"}


# What it makes of answers


def test_as_they_come(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """A and AAAA are asked at once, and each is told when it is there, whichever comes first."""
    server = serve(up0, dns.silent)
    for first, second in ((dns.AAAA, dns.A), (dns.A, dns.AAAA)):
        server.queries.clear()
        errand = mif.client.translate(NAME, one)
        asked = {query.kind: query for query in server.wait_asked(NAME, 2)}
        ips = {dns.A: ONE4, dns.AAAA: ONE6}
        server.send(asked[first], reply(asked[first], dns.address(NAME, ips[first])))
        while not errand.found:
            assert mif.client.pump(5), "the first one did not come"
        assert errand.ips == [ips[first]] and not errand.ended
        server.send(asked[second], reply(asked[second], dns.address(NAME, ips[second])))
        mif.client.finish(errand)
        assert errand.ips == [ips[first], ips[second]] and errand.failure == COMPLETE


def test_one_family_only(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """A name with an A alone, or an AAAA alone, is as good as any; one with neither is told from one that is none."""
    serve(up0, zone({"four.example": [ONE4], "six.example": [ONE6], "empty.example": []}))
    complete(mif.client.lookup("four.example", one), ONE4)
    complete(mif.client.lookup("six.example", one), ONE6)
    assert mif.client.lookup("empty.example", one).failure == Failure(errno.ENODATA, From.RESOLVER)
    assert mif.client.lookup("none.example", one).failure == NOT_THERE


@pytest.mark.parametrize(
    ("rcode", "number"),
    [
        (dns.SERVFAIL, errno.EREMOTEIO), (dns.NXDOMAIN, errno.ENOENT), (dns.NOTIMP, errno.EOPNOTSUPP),
        (dns.REFUSED, errno.EACCES), (9, errno.EPROTO),
    ],
)  # fmt: skip
def test_verdict(rcode: int, number: int, lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """What the server says, in its own number and in <errno.h>'s."""
    serve(up0, dns.failing(rcode))
    assert mif.client.lookup(NAME, one).failure == Failure(number, From.RESOLVER, rcode=rcode)


def test_without_edns(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """A server from before EDNS says FORMERR: it is asked without (RFC 6891, 7)."""

    def old(server: Server, query: Query) -> Iterable[bytes]:
        return [reply(query, rcode=dns.FORMERR)] if query.payload else FIRST(server, query)

    server = serve(up0, old)
    complete(mif.client.lookup(NAME, one), ONE4, ONE6)
    assert {query.kind for query in server.queries if query.payload is None} == {dns.A, dns.AAAA}


def test_aliases(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """A chain of CNAMEs, as a real server follows it."""
    records = ["www CNAME cdn", "cdn CNAME edge", f"edge A {ONE4}", f"edge AAAA {ONE6}", "dangling CNAME nobody"]
    daemons.unbound(lab, lab.router(up0), "dns-r1", [up0.router6], "example", records)
    pvd = advertised(lab, mif, up0, [up0.router6])
    complete(mif.client.lookup("www.example", pvd), ONE4, ONE6)
    failure = mif.client.lookup("dangling.example", pvd).failure
    assert failure is not None and failure.origin == From.RESOLVER and failure.errno in (errno.ENOENT, errno.ENODATA)


def test_aliases_left_to_us(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """A server that tells the alias and no more is asked for what it leads to; in a circle, not for ever."""
    chain = {"a.example": "b.example", "b.example": "c.example", "x.example": "y.example", "y.example": "x.example"}

    def terse(server: Server, query: Query) -> Iterable[bytes]:
        if query.name in chain:
            return [reply(query, dns.alias(query.name, chain[query.name]))]
        return zone({"c.example": [ONE4, ONE6]})(server, query)

    server = serve(up0, terse)
    complete(mif.client.lookup("a.example", one), ONE4, ONE6)
    assert [len(server.asked(name)) for name in ("a.example", "b.example", "c.example")] == [2, 2, 2]
    assert mif.client.lookup("x.example", one).failure == Failure(errno.ELOOP, From.RESOLVER)
    assert len(server.asked("x.example")) + len(server.asked("y.example")) <= 20


def test_truncated(lab: Lab, up0: Uplink, mif: MifEar, agent: Agent) -> None:
    """More than a datagram holds: asked again by TCP, and all of it is told."""
    many = [f"2001:db8:aaaa::{number:x}" for number in range(1, 61)]
    daemons.unbound(
        lab,
        lab.router(up0),
        "dns-r1",
        [up0.router6],
        "example",
        [f"many AAAA {ip}" for ip in many] + [f"many A {ONE4}"],
    )
    pvd = advertised(lab, mif, up0, [up0.router6])
    complete(mif.client.lookup("many.example", pvd), *many, ONE4)
    assert mif.client.statistics()["resolver.truncated"] == 1


def test_truncated_for_ever(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, serve: Serve) -> None:
    """A server that truncates by TCP as well, and one that hangs up: neither keeps a translation."""
    pvds = [advertised(lab, mif, uplink, [uplink.router6]) for uplink in (up0, up1)]
    always = serve(up0, lambda _, query: [reply(query, truncated=True)])
    errand = mif.client.lookup(NAME, pvds[0])
    assert errand.failure == Failure(errno.EBADMSG, From.RESOLVER)
    assert len(always.queries) <= 12 and always.connections <= 6

    def hang_up(_: Server, query: Query) -> Iterable[bytes]:
        if query.tcp:
            raise ConnectionResetError
        return [reply(query, truncated=True)]

    serve(up1, hang_up)
    failure = mif.client.lookup(NAME, pvds[1]).failure
    assert failure is not None and failure.errno in (errno.ECONNRESET, errno.EBADMSG), failure


def test_many_truncated(lab: Lab, up0: Uplink, mif: MifEar, agent: Agent) -> None:
    """A hundred and fifty at once that all need TCP, of dnsmasq, which ends a connection after a hundred questions."""

    def long(number: int, step: int) -> str:
        return ".".join(f"{number}-{step}-{part}".ljust(60, "a") for part in range(4)) + ".example"

    records = []
    for number in range(150):
        # A chain of aliases that is too long for a datagram.
        chain = [f"n{number}.example", *(long(number, step) for step in range(6))]
        records += [f"cname={alias},{target}" for alias, target in zip(chain, chain[1:], strict=False)]
        records.append(f"host-record={chain[-1]},{ONE4},{ONE6}")
    daemons.dnsmasq_dns(lab, lab.router(up0), "dns-r1", [up0.router6], records)
    pvd = advertised(lab, mif, up0, [up0.router6])
    errands = [mif.client.translate(f"n{number}.example", pvd) for number in range(150)]
    mif.client.finish_all(errands, 10)
    for errand in errands:
        assert errand.failure == COMPLETE and sorted(errand.ips) == sorted((ONE4, ONE6)), errand
    assert mif.client.statistics()["resolver.truncated"] == 300


def test_search_list(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve) -> None:
    """A name without dots is looked for below the PvD's domains, in their order; with dots it is tried as it is first,
    and with a dot at its end only so."""
    server = serve(up0, zone({"www.sub.lab.example": [ONE4], "www.lab.example": [TWO4], "a.b.lab.example": [ONE6]}))
    pvd = advertised(lab, mif, up0, [up0.router6], ["lab.example", "sub.lab.example"])

    def asked() -> list[str]:
        names = list(dict.fromkeys(query.name for query in server.queries))
        server.queries.clear()
        return names

    complete(mif.client.lookup("www", pvd), TWO4)
    assert asked() == ["www.lab.example"]
    complete(mif.client.lookup("a.b", pvd), ONE6)
    assert asked() == ["a.b", "a.b.lab.example"]
    assert mif.client.lookup("www.", pvd).failure == NOT_THERE
    assert asked() == ["www"]
    assert mif.client.lookup("none", pvd).failure == NOT_THERE
    assert asked() == ["none.lab.example", "none.sub.lab.example", "none"]


def test_search_list_of_a_lease(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve) -> None:
    """The domain that DHCPv4 told."""
    server = serve(up0, zone({f"www.{daemons.DOMAIN}": [ONE4]}), up0.router4)
    pvd = leased(lab, mif, up0, up0.router4)
    complete(mif.client.lookup("www", pvd), ONE4)
    [address] = lab.host.addresses(up0.interface, 4)
    assert {query.source for query in server.queries} == {address}


# Servers that are not there


def test_unreachable_server(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve) -> None:
    """An ICMPv6 error about the first server gives the second one its turn at once; about the only one, it is told."""
    nobody = "2001:db8:dead::53"
    serve(up0, FIRST)
    lab.cut(up0)
    pvd = advertised(lab, mif, up0, [nobody, up0.router6])
    complete(mif.client.lookup(NAME, pvd, seconds=1.5), ONE4, ONE6)


def test_no_server_is_there(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> None:
    """Unreachable, or nobody on the port: told within a second, not after the time-out."""
    lab.cut(up0)
    pvds = [advertised(lab, mif, up0, ["2001:db8:dead::53"]), advertised(lab, mif, up1, [up1.router6])]
    unreachable = mif.client.lookup(NAME, pvds[0], seconds=1.5).failure
    assert unreachable is not None and unreachable.errno in (errno.ENETUNREACH, errno.EHOSTUNREACH), unreachable
    refused = mif.client.lookup(NAME, pvds[1], seconds=1.5).failure
    assert refused is not None and refused.errno == errno.ECONNREFUSED and refused.rcode == 0, refused


def test_server_comes_back(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """What refused a moment ago is asked again."""
    refused = mif.client.lookup(NAME, one).failure
    assert refused is not None and refused.errno == errno.ECONNREFUSED
    serve(up0, FIRST)
    complete(mif.client.lookup(NAME, one), ONE4, ONE6)


def test_hanging_servers(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, agent: Agent, serve: Serve) -> None:
    """The first server says nothing: the next one is asked after two seconds, and first the next time. One alone has
    three turns."""
    other = f"{up0.prefix6}2"
    lab.router(up0).ip(f"addr add {other}/64 dev host0")
    mute, good, alone = serve(up0, dns.silent), serve(up0, FIRST, other), serve(up1, dns.silent)
    pvds = [advertised(lab, mif, up0, [up0.router6, other]), advertised(lab, mif, up1, [up1.router6])]
    client = mif.client
    slow, hopeless = client.translate(NAME, pvds[0]), client.translate(NAME, pvds[1])
    # This one says "ask by TCP", accepts the connection, and says no more.
    alone.answer = lambda _, query: [reply(query, truncated=True)] * (query.name == "big.example" and not query.tcp)
    stuck = client.translate("big.example", pvds[1])
    complete(client.finish(slow), ONE4, ONE6)
    assert len(mute.queries) == 2 == len(good.queries)
    complete(client.lookup(NAME, pvds[0], seconds=1.5), ONE4, ONE6)
    assert len(mute.queries) == 2, "the one that hangs was asked first again"
    client.finish(hopeless, seconds=10)
    assert hopeless.failure == Failure(errno.ETIMEDOUT, From.TIME_OUT) and hopeless.found == []
    assert [query.kind for query in alone.asked(NAME)].count(dns.A) == 3
    client.finish(stuck, seconds=10)
    assert stuck.failure == Failure(errno.ETIMEDOUT, From.TIME_OUT) and alone.connections


# Servers that lie


def lies(query: Query, wrong: str) -> list[bytes]:
    """Answers that are none: to another question, or to none that was asked."""
    lie = dns.address(query.name, wrong)
    looped = query.question[:1] + pointer(12) + query.question[3:]
    other = dns.labels("other.example") + struct.pack("!HH", query.kind, 1)
    right = reply(query, lie)
    return [
        reply(query, lie, id=query.id ^ 1),
        reply(query, lie, id=(query.id + 1) & 0xFFFF),
        reply(query, dns.address("other.example", wrong), question=other),
        reply(query, lie, question=query.question[:-4] + struct.pack("!HH", dns.CNAME, 1)),
        reply(query, lie, question=query.question[:-4] + struct.pack("!HH", query.kind, 3)),
        reply(query, lie, question=looped),
        right[:2],
        right[:11],
        b"",
    ]


def test_liar(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """Wrong ids, wrong questions, scraps, and an answer from another address or port: none of it is believed, and the
    right answer behind it is."""

    def lie(server: Server, query: Query) -> Iterable[bytes]:
        wrong = "203.0.113.66" if query.kind == dns.A else "2001:db8:6666::6"
        for ip, port in ((other, 53), (up0.router6, 5353)):
            with server.elsewhere(ip, port) as elsewhere:
                elsewhere.sendto(reply(query, dns.address(query.name, wrong)), (query.source, query.port))
        return [*lies(query, wrong), *FIRST(server, query)]

    other = f"{up0.prefix6}2"
    lab.router(up0).ip(f"addr add {other}/64 dev host0")
    serve(up0, lie)
    for _ in range(5):
        complete(mif.client.lookup(NAME, one), ONE4, ONE6)


def test_answer_about_somebody_else(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """The right question above records of other names and classes: they are not this name's."""

    def poison(_: Server, query: Query) -> Iterable[bytes]:
        wrong = "203.0.113.66" if query.kind == dns.A else "2001:db8:6666::6"
        chaos = dns.address(query.name, wrong, of_class=3)
        return [reply(query, dns.address("other.example", wrong), chaos)]

    serve(up0, poison)
    errand = mif.client.lookup(NAME, one)
    assert errand.found == [] and errand.failure is not None and errand.failure.errno, errand


def garbage(query: Query) -> dict[str, bytes]:
    """Answers to the question that can't be taken apart."""
    here = 12 + len(query.question)
    width = 16 if query.kind == dns.AAAA else 4
    rest = struct.pack("!HHIH", query.kind, 1, 60, width) + bytes(width)
    good = reply(query, dns.address(query.name, ONE6 if query.kind == dns.AAAA else ONE4))
    return {
        "a pointer to itself": reply(query, pointer(here) + rest),
        "two pointers to each other": reply(query, pointer(here + 2) + pointer(here) + rest),
        "labels that lead back": reply(query, b"\1a" + pointer(here) + rest),
        "a pointer past the end": reply(query, b"\xff\xff" + rest),
        "a label past the end": reply(query, b"\x3f" + b"a" * 10),
        "a label of an unknown kind": reply(query, b"\x80a\0" + rest),
        "an alias in a loop": reply(query, dns.record(query.name, dns.CNAME, b"\1a" + pointer(here + 12 + len(NAME)))),
        "a record that is cut": good[:-3],
        "an address of three bytes": reply(query, dns.record(query.name, query.kind, b"\1\2\3")),
        "fewer records than it says": struct.pack("!6H", query.id, 0x8580, 1, 0xFFFF, 0, 0) + query.question,
        "an alias of itself": reply(query, dns.alias(query.name, query.name)),
    }


def pointer(place: int) -> bytes:
    return struct.pack("!H", 0xC000 | place)


def test_garbage(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, agent: Agent, serve: Serve) -> None:
    """Compression loops, pointers past the end, records that are cut: no address comes of them, and a next server has
    its turn."""
    other = f"{up1.prefix6}2"
    lab.router(up1).ip(f"addr add {other}/64 dev host0")
    kind = ""
    for uplink in (up0, up1):
        serve(uplink, lambda _, query: [garbage(query)[kind]])
    serve(up1, FIRST, other)
    alone = advertised(lab, mif, up0, [up0.router6])
    helped = advertised(lab, mif, up1, [up1.router6, other])
    for kind in garbage(Query.parse(dns.question(NAME, dns.A), "", 0, False)):
        errand = mif.client.lookup(NAME, alone)
        tell(f"mif  {kind}: {errand}")
        assert errand.found == [] and errand.failure is not None, kind
        assert errand.failure.origin == From.RESOLVER, (kind, str(errand))
        assert errand.failure.errno in (errno.EBADMSG, errno.ENODATA, errno.ELOOP), (kind, str(errand))
        helpful = mif.client.lookup(NAME, helped)
        if errand.failure.errno == errno.EBADMSG:
            complete(helpful, ONE4, ONE6)
        else:
            assert helpful.failure == errand.failure, kind
    assert agent.child.running


# In the middle of it


def test_cancel(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """After the answer to STOP_TRANSLATING_NAME nothing comes, and the identifier is free."""
    server = serve(up0, dns.silent)
    client = mif.client
    errand = client.translate(NAME, one, identifier=7)
    asked = server.wait_asked(NAME, 2)
    client.stop_translating(errand)
    for query in asked:
        server.send(query, *FIRST(server, query))
    # A word from it now would be an answer that nobody asked for.
    mif.silent_for(0.2)
    assert not errand.ended and not errand.found
    server.answer = SECOND
    complete(client.finish(client.translate(NAME, one, identifier=7)), TWO4, TWO6)
    client.stop_translating(Errand(Mif.TRANSLATE_NAME, 4711, "never begun"))


def test_identifier_in_use(lab: Lab, up0: Uplink, mif: MifEar, serve: Serve, one: int) -> None:
    """EEXIST while it is open; the first one goes on undisturbed, and another subscriber has identifiers of its own."""
    server = serve(up0, dns.silent)
    client = mif.client
    first = client.translate(NAME, one, identifier=5)
    asked = server.wait_asked(NAME, 2)
    again = client.finish(client.translate("b.example", one, identifier=5))
    assert again.refused == errno.EEXIST
    for query in asked:
        server.send(query, *FIRST(server, query))
    complete(client.finish(first), ONE4, ONE6)
    server.answer = FIRST
    complete(client.finish(client.translate(NAME, one, identifier=5)), ONE4, ONE6)
    assert not server.asked("b.example")


def test_pvd_goes(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, serve: Serve) -> None:
    """What is under way in it ends with ENETDOWN, before NO_PVD; the other PvD's goes on."""
    servers = [serve(uplink, dns.silent) for uplink in (up0, up1)]
    pvds = [advertised(lab, mif, uplink, [uplink.router6]) for uplink in (up0, up1)]
    client = mif.client
    lost, kept = client.translate(NAME, pvds[0]), client.translate(NAME, pvds[1])
    for server in servers:
        server.wait_asked(NAME, 2)
    ended: list[bool] = []
    lab.unplug(up0)
    while not any(told.kind == Mif.NO_PVD for told in client.log):
        ended.append(lost.ended)
        assert client.pump(5), "NO_PVD did not come"
    assert lost.failure == Failure(errno.ENETDOWN, From.LOCAL) and lost.found == []
    mif.expect(kind=Mif.NO_PVD, pvd=pvds[0])
    assert ended[-1], "NO_PVD before the translation's end"
    assert client.lookup(NAME, pvds[0]).refused == errno.ENOENT
    for query in servers[1].asked(NAME):
        servers[1].send(query, *SECOND(servers[1], query))
    complete(client.finish(kept), TWO4, TWO6)


def test_selected_pvd(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, agent: Agent, serve: Serve) -> None:
    """CONNECT_TO_PVD says what identifier 0 means, for this subscriber, until it goes."""
    serve(up0, FIRST)
    serve(up1, SECOND)
    pvds = [advertised(lab, mif, uplink, [uplink.router6]) for uplink in (up0, up1)]
    client = mif.client
    assert client.lookup(NAME).refused == errno.ENOENT
    assert client.select_pvd(pvds[1]) == 0
    complete(client.lookup(NAME), TWO4, TWO6)
    complete(client.lookup(NAME, pvds[0]), ONE4, ONE6)
    assert client.select_pvd(0xFFFFFFF0) == errno.ENOENT
    complete(client.lookup(NAME), TWO4, TWO6)
    with mif_client(agent) as other:
        assert other.lookup(NAME).refused == errno.ENOENT
    assert client.select_pvd(pvds[0]) == 0
    complete(client.lookup(NAME), ONE4, ONE6)
    lab.unplug(up0)
    mif.expect(kind=Mif.NO_PVD, pvd=pvds[0])
    assert client.lookup(NAME).refused == errno.ENOENT


# Subscribers


def subscriber_in_a_process(agent: Agent, pvd: int, count: int) -> int:
    """A program of its own with translations under way; its pid."""
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            client = MifClient(agent.directory)
            for number in range(count):
                client.translate(f"n{number}.example", pvd)
            client.flush()
            os.write(writing, b"!")
            time.sleep(60)
        finally:
            os._exit(1)
    os.close(writing)
    assert os.read(reading, 1) == b"!"
    os.close(reading)
    return pid


def test_subscriber_dies(lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, serve: Serve, one: int) -> None:
    """Killed in the middle: its translations are forgotten, late answers find nobody, others go on."""
    server = serve(up0, dns.silent)
    before = agent.descriptors()
    pid = subscriber_in_a_process(agent, one, 20)
    server.wait_asked("n19.example", 2)
    mine = mif.client.translate(NAME, one)
    asked = server.wait_asked(NAME, 2)
    os.kill(pid, SIGKILL)
    os.waitpid(pid, 0)
    wait_until(lambda: counter(agent, "resolver.cancelled") == 20, "its translations are cancelled")
    for query in list(server.queries):
        server.send(query, *zone({query.name: [ONE4, ONE6]})(server, query))
    assert len(asked) == 2
    complete(mif.client.finish(mine), ONE4, ONE6)
    # The channel to the server stays for a while, no descriptor beyond it.
    assert agent.descriptors() <= before + 1
    assert agent.child.running


def test_bound(lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, serve: Serve, one: int) -> None:
    """1,024 of one subscriber under way; one more is ENOSPC, another subscriber's is not; then all are answered."""
    server = serve(up0, dns.silent)
    with mif_client(agent) as many, mif_client(agent) as other:
        errands = [many.translate(f"n{number}.example", one) for number in range(1024)]
        refused = many.finish(many.translate("more.example", one))
        assert refused.refused == errno.ENOSPC
        mine = other.translate(NAME, one)
        server.wait_asked(NAME, 2)
        wait_until(lambda: len(server.queries) >= 2 * 1025, "all are asked", 5)
        assert not server.asked("more.example")
        server.answer = lambda server, query: zone({query.name: [ONE4, ONE6]})(server, query)
        for query in list(server.queries):
            server.send(query, *server.answer(server, query))
            many.drain()
        many.finish_all(errands, 8)
        for errand in errands:
            assert errand.failure == COMPLETE and sorted(errand.ips) == sorted((ONE4, ONE6)), errand
        complete(other.finish(mine), ONE4, ONE6)
        assert many.finish(many.translate(NAME, one)).refused == 0


def test_a_thousand_at_once(lab: Lab, up0: Uplink, mif: MifEar) -> None:
    """A thousand in flight, of a real server and a subscriber that reads when it can: all are whole."""
    daemons.dnsmasq_dns(
        lab, lab.router(up0), "dns-r1", [up0.router6], [f"address=/example/{ONE4}", f"address=/example/{ONE6}"]
    )
    pvd = advertised(lab, mif, up0, [up0.router6])
    errands = [mif.client.translate(f"n{number}.example", pvd) for number in range(1000)]
    mif.client.finish_all(errands, 10)
    for errand in errands:
        assert errand.failure == COMPLETE and sorted(errand.ips) == sorted((ONE4, ONE6)), errand


def test_subscriber_that_does_not_read(
    lab: Lab, up0: Uplink, mif: MifEar, agent: Agent, serve: Serve, one: int
) -> None:
    """Results that it does not take are dropped, which the last one of each translation says; the agent's memory has
    its bound, and others notice nothing."""
    addresses = [f"198.51.100.{number}" for number in range(60)]
    plenty = [dns.address(b"\xc0\x0c", ip) for ip in addresses]
    server = serve(up0, dns.silent)
    with mif_client(agent) as sleeper:
        errands = [sleeper.translate(f"n{number}.example", one) for number in range(500)]
        sleeper.flush()
        wait_until(lambda: len(server.queries) >= 1000, "all are asked", 5)
        before = agent.resident()
        server.answer = lambda _, query: [reply(query, *plenty * (query.kind == dns.A))]
        for number, query in enumerate(list(server.queries)):
            server.send(query, *server.answer(server, query))
            if number % 20 == 0:
                # An answer of the agent's: it has come so far.
                mif.client.barrier()
        dropped = 0

        def all_heard() -> None:
            nonlocal dropped
            counters = mif.client.statistics()
            dropped = counters["mif.results-dropped"]
            assert counters["resolver.answers"] >= 1000

        eventually(all_heard, 8)
        # 500 times 60 results of more than 100 bytes were not all kept.
        assert dropped > 10_000
        assert agent.resident() < before + 2_000_000
        server.answer = FIRST
        complete(mif.client.lookup(NAME, one), ONE4, ONE6)
        sleeper.finish_all(errands, 8)
        short = [errand for errand in errands if errand.failure != COMPLETE]
        assert {errand.failure for errand in short} == {Failure(errno.ENOBUFS, From.LOCAL)}
        assert all(len(errand.found) < 60 for errand in short)
        assert all(errand.ips == addresses for errand in errands if errand.failure == COMPLETE)
        assert sum(len(errand.found) for errand in errands) + dropped == 500 * 60
        complete(sleeper.lookup(NAME, one), ONE4, ONE6)
