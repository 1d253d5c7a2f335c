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


def test_mifctl(lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """`mifctl pvds --json` shows the object as text."""
    if "MIFCTL" not in os.environ:
        pytest.skip("MIFCTL is not set: mifctl's path")
    site.serve(good(up0))
    site.advertise(up0)
    eventually(lambda: _known(mif), 20)
    command = [os.environ["MIFCTL"], "--runtime-dir", str(agent.directory), "pvds", "--json"]
    for line in lab.host.run(*command).splitlines():
        pvd = json.loads(line)
        if pvd["name"] == NAME:
            [element] = pvd["elements"]
            [item] = [item for item in element["data"] if item["key"] == "additional-information"]
            assert json.loads(item["text"])["identifier"] == NAME


def _known(mif: MifEar) -> None:
    assert information(mif) is not None


def test_sequence_number(lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """Another sequence number: what is known is dropped at once, and fetched anew, ten seconds after the last time."""
    server = site.serve(good(up0, dnsZones=["old.example"]))
    site.advertise(up0)
    eventually(lambda: _known(mif), 20)
    server.answer = good(up0, dnsZones=["new.example"])
    first = server.times[0]
    site.advertise(up0, sequence=2)
    eventually(lambda: _unknown(mif))
    server.wait_asked(2, seconds=30)
    assert server.times[1] - first > 9
    eventually(lambda: _known(mif), 20)
    told = information(mif)
    assert told is not None and told["dnsZones"] == ["new.example"]


def _unknown(mif: MifEar) -> None:
    assert information(mif) is None


def test_flag_withdrawn(lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """Without the H flag there is none any more."""
    site.serve(good(up0))
    site.advertise(up0)
    eventually(lambda: _known(mif), 20)
    site.advertise(up0, http=False)
    eventually(lambda: _unknown(mif))


def test_redirection(lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """A redirection is followed, over https, through the same PvD."""
    there = {"Location": f"https://{NAME}/elsewhere"}
    server = site.serve(
        lambda request: (
            Response(b"", 302, headers=there) if request.path.startswith("/.well") else Response(document(up0))
        )
    )
    site.advertise(up0)
    eventually(lambda: _known(mif), 20)
    assert [request.path for request in server.requests] == ["/.well-known/pvd", "/elsewhere"]


BAD: dict[str, Callable[[Uplink], Answer]] = {
    "another identifier": lambda up0: good(up0, identifier="pvd.example.org."),
    "expired": lambda up0: good(up0, expires="2020-05-23T06:00:00Z"),
    "no date": lambda up0: good(up0, expires="tomorrow"),
    "prefix not covered": lambda up0: good(up0, prefixes=["2001:db8:77::/48"]),
    "no prefixes": lambda up0: good(up0, prefixes=None),
    "too long": lambda up0: good(up0, dnsZones=["a" * 100_000]),
    "no JSON": lambda _: lambda _: Response(b"<html>Welcome! Please log in.</html>", kind="text/html"),
    "not found": lambda _: lambda _: Response(b"", 404),
    "redirection to http": lambda _: lambda _: Response(b"", 302, headers={"Location": f"http://{NAME}/"}),
    "redirection in circles": lambda _: lambda _: Response(b"", 302, headers={"Location": f"https://{NAME}/"}),
}


@pytest.mark.parametrize("case", BAD)
def test_refused(case: str, lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """Nothing of it is used, and it is not asked for again on this network, whatever the sequence number."""
    server = site.serve(BAD[case](up0))
    site.advertise(up0)
    _wait_for(mif, "pvd-info.refused")
    assert information(mif) is None
    asked = len(server.requests)
    site.advertise(up0, sequence=2)
    server.answer = good(up0)
    mif.silent_for(2.0, kind=Mif.NO_ELEMENT)
    assert information(mif) is None and len(server.requests) == asked
    assert mif.client.statistics()["pvd-info.requests"] == 1


def _wait_for(mif: MifEar, counter: str, seconds: float = 20.0) -> None:
    wait_until(lambda: mif.client.statistics()[counter] == 1, f"{counter} is 1", seconds)


@pytest.mark.parametrize("case", ["unknown authority", "another name"])
def test_certificate(case: str, lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """TLS proves that the server is the PvD's: else nothing is even asked."""
    if case == "another name":
        server = site.serve(good(up0), host="www.example.net")
    else:
        server = site.serve(good(up0), Authority(site.directory, "stranger"))
    site.advertise(up0)
    _wait_for(mif, "pvd-info.refused")
    assert information(mif) is None and not server.requests and server.connections > 0


def test_silence(lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """A server that never answers is left after 30 seconds; nothing else waits for it."""
    server = site.serve(lambda _: None)
    site.advertise(up0)
    server.wait_asked()
    mif.client.barrier()
    _wait_for(mif, "pvd-info.not-reached", 60)
    assert information(mif) is None


def test_no_way_around(lab: Lab, up0: Uplink, up1: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """A server that only another network reaches is not reached."""
    lab.router(up0).ip(f"route add unreachable {PEER6}")
    advertised(lab, mif, up1, [DNS6])
    lab.reaches(up1, PEER6)
    server = site.serve(good(up0))
    site.advertise(up0)
    _wait_for(mif, "pvd-info.not-reached", 60)
    assert information(mif) is None and server.connections == 0


def test_unprivileged(lab: Lab, up0: Uplink, mif: MifEar, site: Site, agent: Agent) -> None:
    """The fetcher is the engine's user, without a capability, and has nothing open but the socket and the log."""
    server = site.serve(lambda _: None)
    site.advertise(up0)
    server.wait_asked()
    keeper = agent.family[1]
    [fetcher] = Path(f"/proc/{keeper}/task/{keeper}/children").read_text().split()
    status, engine = _status(int(fetcher)), _status(agent.child.pid)
    assert status["Name"] == "mif-pvdinfo" and status["NoNewPrivs"] == "1"
    assert status["Uid"] == engine["Uid"] and status["Gid"] == engine["Gid"] and "0" not in status["Uid"].split()
    assert not status["Groups"].strip()
    assert {int(status[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapAmb")} == {0}
    assert Path(f"/proc/{fetcher}/environ").read_bytes() == b""
    agent.stop()
    wait_until(lambda: not Path(f"/proc/{fetcher}").exists(), "the fetcher ends with the agent")


def _status(process: int) -> dict[str, str]:
    return dict(line.split(":\t", 1) for line in Path(f"/proc/{process}/status").read_text().splitlines())


def test_no_program(lab: Lab, up0: Uplink, binary: Path) -> None:
    """Without the program the agent says so and goes on."""
    file = lab.record.directory / "mifd.conf"
    file.write_text("pvd-info-program = /nowhere/mif-pvdinfo\n")
    agent = Agent(lab, binary, "--config", str(file))
    said = "PvD Additional Information is not fetched: cannot run /nowhere/mif-pvdinfo: No such file or directory"
    assert said in agent.child.output()
