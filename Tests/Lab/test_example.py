"""The draft's own example (draft-ietf-mif-api-extension-05, section 3.3), message by message, with its numbers.

Interface 1 is up0 here, wa0 is up1. Behind up0 there is a network of IPv6 (PD 1, whose DNS server is 2001::1) and one
of IPv4 (PD 2, 192.168.1.1); behind up1 another one of IPv6 (PD 3, 2002::1)."""

import socket
import struct
from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from labkit import dns
from labkit.agent import Agent
from labkit.connection import Connection
from labkit.dns import Server, zone
from labkit.frame import Message, Payload, SocketAddress
from labkit.mif_client import (
    P_ADDRESS,
    P_FAILURE,
    P_INTERFACE,
    P_PVD,
    P_TRANSACTION,
    Element,
    From,
    Mif,
    endpoint_payload,
    interface_payload,
    name_payload,
    pvd_payload,
    transaction_payload,
)  # fmt: skip
from labkit.processes import wait_until
from labkit.site import PrivateNetwork, advertised, leased
from labkit.story import MifEar, tell
from labkit.topology import Lab, Uplink

NAME = "host.example.com"
SIX = "2001:192:321::1"


class Application(Connection):
    """The draft's APP: it reads every message itself."""

    name = "mif.sock"

    def is_news(self, message: Message) -> bool:
        return False

    def says(self, kind: Mif, *payloads: Payload) -> int:
        seq = self.send(kind, *payloads)
        tell(f"APP ──▶ {kind.name} ({seq})")
        return seq

    def hears(self) -> Message:
        wait_until(lambda: self.answers or self.pump(1), "a message", 5)
        message = self.answers.popleft()
        assert message.errno == 0, message
        tell(f"    ◀── {Mif(message.kind).name} ({message.seq})")
        return message

    def hears_all(self, kind: Mif, seq: int) -> list[Message]:
        """A snapshot of announcements of one kind."""
        found = []
        while (message := self.hears()).kind != Mif.SNAPSHOT_END:
            assert (message.kind, message.seq) == (kind, seq)
            found.append(message)
        return found


@pytest.fixture
def networks(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar) -> Iterator[dict[str, Server]]:
    """The three networks with their DNS servers, and the servers that answer a SYN: each by its address."""
    lab.r1.ip(
        "addr add 2001::1/128 dev lo", "addr add 192.168.1.1/24 dev host0", f"addr add {SIX}/128 dev lo"
    )  # fmt: skip
    # The other network knows the way to 2001:192:321::1, and it leads nowhere.
    lab.r2.ip("addr add 2002::1/128 dev lo", f"route add blackhole {SIX}/128")
    with ExitStack() as stack:
        servers = {
            "2001::1": Server(lab.r1, "2001::1", zone({NAME: ["14.15.16.17", SIX]})),
            "192.168.1.1": Server(lab.r1, "192.168.1.1", zone({NAME: ["192.168.1.1"]})),
            "2002::1": Server(lab.r2, "2002::1", zone({NAME: [SIX]})),
        }
        for server in servers.values():
            stack.enter_context(server)
        for ip in (SIX, "192.168.1.1"):
            family = socket.AF_INET6 if ":" in ip else socket.AF_INET
            listener = stack.enter_context(lab.r1.socket(family, socket.SOCK_STREAM))
            listener.bind((ip, 80))
            listener.listen()
        advertised(lab, mif, up0, ["2001::1"])
        leased(lab, mif, PrivateNetwork(up0.number), "192.168.1.1")
        advertised(lab, mif, up1, ["2002::1"])
        yield servers


def test_example(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, agent: Agent, networks: dict[str, Server]) -> None:
    app = Application(agent.directory)

    # "the application first invokes the MIF API to get a list of all the network interfaces in the host"
    interfaces = {}
    for message in app.hears_all(Mif.INTERFACE, app.says(Mif.ANNOUNCE_INTERFACES)):
        index, name = struct.unpack_from("=I16s", message.one(P_INTERFACE))
        interfaces[name.rstrip(b"\0").decode()] = index
    assert {"up0", "up1"} <= set(interfaces)

    # "As soon as each interface has been identified, ... a list of provisioning domains that are attached to that
    # interface"
    domains: dict[str, list[int]] = {}
    for name in ("up0", "up1"):
        seq = app.says(Mif.ANNOUNCE_PVDS, interface_payload(interfaces[name]))
        found = app.hears_all(Mif.PVD, seq)
        domains[name] = [struct.unpack_from("=I", message.one(P_PVD))[0] for message in found]
    # In the order in which they came to be.
    pd1, pd2 = domains["up0"]
    [pd3] = domains["up1"]
    assert mif.client.elements_of(pd1) == {Element.RA} and Element.DHCPV4 in mif.client.elements_of(pd2)

    # "to look up a name in the context of each provisioning domain"
    names = {number: pd for number, pd in enumerate((pd1, pd2, pd3), 1)}
    for number, pd in names.items():
        app.says(Mif.TRANSLATE_NAME, pvd_payload(pd), name_payload(NAME), transaction_payload(number))

    # "The name lookup may return more than one IP address"
    addresses: dict[int, set[str]] = {number: set() for number in names}
    open_names = set(names)
    while open_names:
        message = app.hears()
        [number] = struct.unpack("=I", message.one(P_TRANSACTION))
        if message.kind == Mif.NAME_TRANSLATION_ENDED:
            open_names.remove(number)
            continue
        assert message.kind == Mif.NAME_TRANSLATION
        addresses[number].add(str(SocketAddress.parse(message.one(P_ADDRESS)[12:]).ip))
    assert addresses == {1: {"14.15.16.17", SIX}, 2: {"192.168.1.1"}, 3: {SIX}}
    # Each server was asked from its own network for both families, and nobody else asked it.
    for ip, pd in (("2001::1", pd1), ("192.168.1.1", pd2), ("2002::1", pd3)):
        assert sorted(query.kind for query in networks[ip].asked(NAME)) == [dns.A, dns.AAAA]
        assert {query.source for query in networks[ip].queries} <= mif.client.addresses_of(pd)

    # "tries to connect to each such IP addresses ... through the provisioning domain on which it received that name"
    attempts = [(pd, ip) for number, pd in names.items() for ip in sorted(addresses[number])]
    for number, (pd, ip) in enumerate(attempts):
        app.says(Mif.CONNECT_TO_ADDRESS, pvd_payload(pd), transaction_payload(number), endpoint_payload(ip, 80))

    # "Some of the destination IP addresses may return an ACK packet; others may not."
    connected: dict[tuple[int, str], socket.socket] = {}
    refused: dict[tuple[int, str], From] = {}
    for _ in range(3):
        message = app.hears()
        [number] = struct.unpack("=I", message.one(P_TRANSACTION))
        if message.kind == Mif.CONNECTED:
            connected[attempts[number]] = socket.socket(fileno=app.passed.popleft())
        else:
            assert message.kind == Mif.NOT_CONNECTED
            refused[attempts[number]] = From(message.one(P_FAILURE)[2])
    assert set(connected) == {(pd1, SIX), (pd2, "192.168.1.1")}
    # PD 1 is one of IPv6 only: nothing can be sent to 14.15.16.17 through it. PD 3 never answers.
    assert refused == {(pd1, "14.15.16.17"): From.LOCAL}
    assert not app.pump(0)

    # "The application then chooses a connection based on its preferred criteria."
    chosen = connected[pd1, SIX]
    assert chosen.getsockname()[0] == up0.slaac and chosen.getpeername()[:2] == (SIX, 80)
    for opened in connected.values():
        opened.close()
    app.close()
