"""PvD Additional Information (RFC 8801 section 4): from the H flag through `mif-pvdinfo` to configuration data.

MIF_PVDINFO names that program."""

import json
import os
import shutil
import socket
import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from labkit import advertise, dns
from labkit.advertise import RouterAdvertisement
from labkit.agent import Agent
from labkit.https import Answer, Authority, HttpsServer, Response
from labkit.mif_client import Element, Info, Mif
from labkit.processes import wait_until
from labkit.site import advertised
from labkit.story import MifEar, eventually
from labkit.topology import DNS6, PEER6, Lab, Uplink

pytestmark = pytest.mark.skipif("MIF_PVDINFO" not in os.environ, reason="MIF_PVDINFO is not set: the fetcher's path")
NAME = "pvd.example.net"


@dataclass
class Site:
    """The PvD's operator: a DNS server and an HTTPS server on the peer, and an authority that the agent trusts."""

    lab: Lab
    directory: Path
    authority: Authority
    stack: ExitStack
    names: dict[str, list[str]] = field(default_factory=lambda: {NAME: [PEER6]})

    def serve(self, answer: Answer, authority: Authority | None = None, host: str = NAME) -> HttpsServer:
        context = (authority or self.authority).certify(host)
        return self.stack.enter_context(HttpsServer(self.lab.peer, PEER6, context, answer))

    def advertise(self, uplink: Uplink, sequence: int = 1, *more: bytes, http: bool = True) -> None:
        """The prefix stands outside as well, for the kernel, which makes no address of what it does not know."""
        prefix = advertise.prefix(f"{uplink.prefix6}/64")
        pvd = advertise.pvd(NAME, prefix, advertise.rdnss(DNS6), *more, http=http, sequence=sequence)
        router = self.lab.router(uplink)
        with router.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
            advertise.send(raw, router.index("host0"), RouterAdvertisement(options=[prefix, pvd]).wire)


@pytest.fixture
def site(lab: Lab) -> Iterator[Site]:
    # The fetcher is nobody: it must be able to read what it needs.
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        directory = Path(name)
        directory.chmod(0o755)
        shutil.copy(os.environ["MIF_PVDINFO"], directory / "mif-pvdinfo")
        found = Site(lab, directory, Authority(directory), stack)
        stack.enter_context(dns.Server(lab.peer, DNS6, dns.zone(found.names)))
        yield found


@pytest.fixture
def agent(lab: Lab, binary: Path, site: Site) -> Agent:
    file = lab.record.directory / "mifd.conf"
    program, roots = site.directory / "mif-pvdinfo", site.authority.certificate
    file.write_text(f"pvd-info-program = {program}\npvd-info-roots = {roots}\n")
    return Agent(lab, binary, "--config", str(file))


def document(uplink: Uplink, **changes: object) -> bytes:
    """A good object, with changes; None takes a key out."""
    expires = datetime.now(timezone.utc) + timedelta(hours=1)
    content: dict[str, object] = {
        "identifier": NAME + ".",
        "expires": expires.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "prefixes": [f"{uplink.prefix6}/48"],
        **changes,
    }
    return json.dumps({key: value for key, value in content.items() if value is not None}).encode()


def good(uplink: Uplink, **changes: object) -> Answer:
    return lambda _: Response(document(uplink, **changes))


def information(mif: MifEar) -> dict[str, object] | None:
    """What is told of the PvD; None while nothing is."""
    mif.client.drain()
    [pvd] = [pvd for pvd in mif.client.pvds.values() if pvd.name == NAME]
    values = mif.client.values(pvd.pvd, Element.RA, Info.ADDITIONAL_INFORMATION)
    return json.loads(str(values[0])) if values else None


def test_good(lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """What the PvD's server says is configuration data of the PvD, and news; unknown keys are left out."""
    with_more = good(up0, dnsZones=["example.net"], noInternet=True, vendor_lab={"key": [1]})
    server = site.serve(with_more)
    site.advertise(up0)
    pvd = mif.expect(kind=Mif.PVD, name=NAME)
    mif.expect(kind=Mif.ELEMENT, pvd=pvd.pvd, element=Element.RA)
    [request] = server.wait_asked()
    assert request.path == "/.well-known/pvd"
    assert request.headers["accept"] == "application/pvd+json" and request.headers["host"] == NAME
    assert request.source == up0.slaac
    mif.expect(kind=Mif.ELEMENT, pvd=pvd.pvd, element=Element.RA, seconds=10)
    told = information(mif)
    assert told is not None and told.pop("expires")
    assert told == {
        "identifier": NAME,
        "prefixes": [f"{up0.prefix6}/48"],
        "dnsZones": ["example.net"],
        "noInternet": True,
    }
    [datum] = mif.client.data(pvd.pvd, Element.RA, Info.ADDITIONAL_INFORMATION)
    assert 3500 < datum.valid <= 3600
