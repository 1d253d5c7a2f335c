"""What an uplink's network tells the host about itself, and the provisioning domain that comes of it."""

import socket
from collections.abc import Sequence

from . import advertise, daemons
from .advertise import RouterAdvertisement
from .mif_client import Element
from .story import MifEar, eventually
from .topology import Lab, Uplink


class PrivateNetwork(Uplink):
    """An uplink whose IPv4 network is 192.168.1.0/24, as nearly everybody's is."""

    @property
    def router4(self) -> str:
        return "192.168.1.1"


def advertised(
    lab: Lab, ear: MifEar, uplink: Uplink, servers: Sequence[str] = (), domains: Sequence[str] = (), prefix: str = ""
) -> int:
    """A network of IPv6: one Router Advertisement with a prefix and what it says about the DNS. The PvD."""
    options = [advertise.prefix(f"{prefix or uplink.prefix6}/64")]
    if servers:
        options.append(advertise.rdnss(*servers))
    if domains:
        options.append(advertise.dnssl(*domains))
    router = lab.router(uplink)
    with router.socket(socket.AF_INET6, socket.SOCK_RAW, socket.IPPROTO_ICMPV6) as raw:
        advertise.send(raw, router.index("host0"), RouterAdvertisement(options=options).wire)
    address = uplink.slaac if not prefix else prefix + uplink.slaac.removeprefix(uplink.prefix6)
    return pvd_with(ear, Element.RA, address, lab.host.index(uplink.interface))


def leased(lab: Lab, ear: MifEar, uplink: Uplink, server: str, options: Sequence[str] = ()) -> int:
    """A network of IPv4: a lease from dnsmasq, taken by dhclient. The PvD."""
    daemons.dnsmasq(lab, uplink, dns=server, options=options)
    daemons.dhclient(lab, uplink)
    [address] = lab.host.addresses(uplink.interface, 4)
    return pvd_with(ear, Element.DHCPV4, address, lab.host.index(uplink.interface))


def pvd_with(ear: MifEar, element: Element, address: str, interface: int) -> int:
    """Waits for the PvD of the interface that has this address and an element of the kind."""
    found: list[int] = []

    def there() -> None:
        ear.client.drain()
        told = ear.client.addresses.values()
        found[:] = [each.pvd for each in told if each.ip == address and each.interface == interface]
        assert len(found) == 1 and element in ear.client.elements_of(found[0]), (address, found)

    eventually(there)
    ear.mark()
    return found[0]
