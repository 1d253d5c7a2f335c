"""Two IKE daemons with an IKE_SA between them, over the host's first uplink, and what may go wrong with that uplink."""

import os
import socket
from dataclasses import replace
from pathlib import Path

from .agent import Agent, binaries
from .processes import Child, LabError, wait_until
from .strongswan import Charon, Settings
from .topology import DNS4, DNS6, PEER4, PEER6, Lab, Uplink

PROTOCOL = 201
"""The route protocol number that mif-mobike tags its routes with (rtnetlink(7), rtm_protocol)."""
KEEPALIVE = b"\xff"
"""RFC 3948, 2.3: what an IKE daemon takes for a NAT's keep-alive, and drops."""


class Tunnel:
    """Both ends, configured and connected. `family` is 4 or 6; the other one is not used."""

    def __init__(
        self,
        lab: Lab,
        family: int = 4,
        settings: Settings = Settings(),
        by_peer: bool = False,
        configured: bool = True,
    ) -> None:
        """`by_peer`: the peer is the initiator. `configured`: the uplinks get addresses and default routes by hand."""
        self.lab = lab
        self.family = family
        self.address = PEER4 if family == 4 else PEER6
        self.old, self.new = lab.uplinks[0], lab.uplinks[-1]
        # One address of the peer's: each more is one more path that charon tries.
        lab.peer.ip(f"addr del {DNS4}/24 dev core0", f"addr del {DNS6}/64 dev core0")
        lab.peer.ip(f"addr del {PEER6}/64 dev core0" if family == 4 else f"addr del {PEER4}/24 dev core0")
        if configured:
            for uplink in lab.uplinks:
                lab.configure_by_hand(uplink, str(family))
                lab.reaches(uplink, self.address, 10)
        mirrored = replace(settings, traffic=settings.traffic[::-1]) if settings.traffic else settings
        for namespace, own in ((lab.host, settings), (lab.peer, mirrored)):
            if own.traffic:
                namespace.ip(f"addr add {own.traffic[0]} dev lo")
        self.peer = Charon(lab, lab.peer, [self.local(self.old) if by_peer else "%any"], "host", mirrored)
        self.host = Charon(lab, lab.host, ["%any" if by_peer else self.address], "peer", settings)
        (self.peer if by_peer else self.host).initiate(with_child=settings.traffic is not None)
        wait_until(lambda: len(self.host.vici.associations()) == 1, "the IKE_SA stands at the host")
        self.first = self.host.association
        self._talkers: dict[str, socket.socket] = {}

    @property
    def initiator_spi(self) -> bytes:
        """It names the IKE_SA in each of its packets (RFC 7296, 3.1)."""
        return bytes.fromhex(self.first["initiator-spi"])

    def local(self, uplink: Uplink) -> str:
        return uplink.host4 if self.family == 4 else uplink.host6

    def addresses(self) -> list[str]:
        """The host's, of all its uplinks."""
        interfaces = {each.interface for each in self.lab.uplinks[: 1 if self.lab.shared_link else None]}
        return [address for name in sorted(interfaces) for address in self.lab.host.addresses(name, self.family)]

    @property
    def kept(self) -> bool:
        """Whether both ends still have the IKE_SA that they made, and no other."""
        names = [[each["initiator-spi"] for each in end.vici.associations()] for end in (self.host, self.peer)]
        return names == [[self.first["initiator-spi"]]] * 2

    def moved_to(self, address: str, seconds: float = 5.0) -> None:
        """Waits until both ends use this address of the host's."""

        def agreed() -> bool:
            return [self.host.association["local-host"], self.peer.association["remote-host"]] == [address] * 2

        wait_until(agreed, f"the IKE_SA moves to {address}", seconds, every=0.05)

    def send(self, destination: str = "", local: str = "") -> None:
        """Somebody's datagram from the old address to the peer, unless others are named: what an error is about."""
        local = local or self.local(self.old)
        opened = self._talkers.get(local) or self._talker(local)
        self._talkers[local] = opened
        try:
            opened.sendto(KEEPALIVE, (destination or self.address, 4500))
        except OSError:
            pass  # the error of an earlier one

    def _talker(self, local: str) -> socket.socket:
        """It stays open: the agent believes no error about a packet that nobody could have sent."""
        opened = self.lab.host.socket(socket.AF_INET if self.family == 4 else socket.AF_INET6, socket.SOCK_DGRAM)
        opened.bind((local, 0))
        return opened

    def routes(self) -> list[str]:
        """The host's routes that mif-mobike made for packets of others than itself."""
        return self._tagged("route", "show")

    def traces(self) -> list[str]:
        """All that mif-mobike has in the kernel, of both families: what it asks single routers by is there as well."""
        return self._tagged("route", "show", "table", "all") + self._tagged("rule", "show")

    def _tagged(self, *command: str) -> list[str]:
        lines = [line for flag in ("-4", "-6") for line in self.lab.host.show(flag, *command).splitlines()]
        return [line.strip() for line in lines if f" proto {PROTOCOL}" in line]


def swallow(lab: Lab, uplink: Uplink) -> None:
    """The router forwards nothing any more, and doesn't say so."""
    chain = "chain forward { type filter hook forward priority 0; drop; }"
    lab.router(uplink).run("nft", f"table inet swallow {{ {chain}; }}")


def digest(lab: Lab, uplink: Uplink) -> None:
    """The end of `swallow`."""
    lab.router(uplink).run("nft", "delete table inet swallow")


def program(agent: Path) -> Path | None:
    """mif-mobike beside that agent: MIF_MOBIKE names one for each of MIFD_AGENTS, or one for all; None where it isn't set."""
    named = [Path(word).resolve() for word in os.environ.get("MIF_MOBIKE", "").split(":") if word]
    if not named:
        return None
    for path in named:
        if not os.access(path, os.X_OK):
            raise LabError(f"MIF_MOBIKE names {path}, which is no executable file")
    return named[min(binaries().index(agent), len(named) - 1)]


def mif_mobike(tunnel: Tunnel, agent: Agent, binary: Path, configuration: str = "", name: str = "mif-mobike") -> Child:
    """Runs it beside the host's charon; returns when it has asked the peer over each path whether that path lives."""
    file = tunnel.lab.record.directory / f"{name}.conf"
    file.write_text(configuration)
    before = len(tunnel.peer.child.output())
    child = tunnel.lab.spawn(
        tunnel.lab.host, name, str(binary),
        "--runtime-dir", str(agent.directory), "--vici", f"unix://{tunnel.host.socket}", "--config", str(file),
    )  # fmt: skip

    def asked() -> bool:
        if not child.running:
            raise LabError(f"mif-mobike ended with {child.process.returncode}:\n{child.output()}")
        heard = tunnel.peer.child.output()[before:]
        # What charon says of a probe.
        probes = [f"unsupported IKE version 3.0 from {address}," for address in tunnel.addresses()]
        return all(probe in heard for probe in probes)

    wait_until(asked, f"mif-mobike has probed each path:\n{child.output()}")
    return child
