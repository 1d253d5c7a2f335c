"""What tshark makes of a capture file, told the way `mifctl decode --json` tells it.

Where its dissectors know an option, their fields are read; where they do not, `labkit.rfc` decodes the option's bytes,
whose bounds are still tshark's.
"""

import ipaddress
import subprocess
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from . import captures, rfc
from .daemons import program

Members = dict[str, Any]
Node = ElementTree.Element

MESSAGES4 = {1: "discover", 2: "offer", 3: "request", 4: "decline", 5: "ack", 6: "nak", 7: "release", 8: "inform"}
MESSAGES6 = {
    1: "solicit", 2: "advertise", 3: "request", 4: "confirm", 5: "renew", 6: "rebind", 7: "reply", 8: "release",
    9: "decline", 10: "reconfigure", 11: "information-request",
}  # fmt: skip


def dissect(path: Path) -> list[Members | None]:
    """One for each packet; None for what the agent does not listen for."""
    command = [program("tshark"), "-n", "-r", str(path), "-T", "pdml"]
    text = subprocess.run(command, capture_output=True, check=True, timeout=60).stdout
    packets = ElementTree.fromstring(text).findall("packet")
    return [_packet(packet, frame) for packet, frame in zip(packets, captures.frames(path.read_bytes()), strict=True)]


def _packet(packet: Node, frame: bytes) -> Members | None:
    protocols = packet.findall("proto")
    names = [each.get("name") for each in protocols]
    network = next((each for each in protocols if each.get("name") in ("ip", "ipv6")), None)
    if network is None:
        return None
    family = network.get("name")
    ends = {"source": _show(network, f"{family}.src"), "destination": _show(network, f"{family}.dst")}
    if "dhcp" in names:
        return {"packet": "dhcpv4", **_dhcpv4(protocols[names.index("dhcp")], ends)}
    if "dhcpv6" in names:
        return {"packet": "dhcpv6", **_dhcpv6(protocols[names.index("dhcpv6")], ends)}
    if "icmpv6" in names:
        return _icmp(protocols[names.index("icmpv6")], "icmpv6", ends, frame)
    if "icmp" in names:
        return _icmp(protocols[names.index("icmp")], "icmp", ends, frame)
    return None


# Fields


def _fields(node: Node, name: str) -> list[Node]:
    return [each for each in node.iter("field") if each.get("name") == name]


def _shows(node: Node, name: str) -> list[str]:
    return [each.get("show", "") for each in _fields(node, name)]


def _show(node: Node, name: str) -> str:
    return _shows(node, name)[0]


def _number(node: Node, name: str) -> int:
    return int(_show(node, name), 0)


def _raw(node: Node, name: str) -> bytes:
    return bytes.fromhex(_fields(node, name)[0].get("value", ""))


# Router Advertisements and ICMP errors


def _icmp(message: Node, protocol: str, ends: Members, frame: bytes) -> Members | None:
    kind, code = _number(message, f"{protocol}.type"), _number(message, f"{protocol}.code")
    if protocol == "icmpv6" and kind == 134:
        return {"packet": "router-advertisement", **ends, **_ra(message, frame)}
    if kind not in ((1, 2, 3) if protocol == "icmpv6" else (3, 11)):
        return None
    found: Members = {"packet": f"{protocol}-error", **ends, "type": kind, "code": code}
    found["kind"] = _kind(protocol, kind, code)
    if found["kind"] == "packet-too-big":
        mtu = _number(message, "icmpv6.mtu" if protocol == "icmpv6" else "icmp.mtu")
        if mtu:
            found["mtu"] = mtu
    return {**found, "quoted": _quoted(message)}


def _kind(protocol: str, kind: int, code: int) -> str:
    """RFC 792, 1122 3.2.2.1, 1812 5.2.7.1; RFC 4443 3."""
    if protocol == "icmp":
        if kind == 11:
            return "time-exceeded" if code == 0 else "other"
        classes = {
            "network-or-host": (0, 1, 5, 6, 7, 8, 11, 12), "protocol-or-port": (2, 3), "packet-too-big": (4,),
            "administrative": (9, 10, 13, 14, 15),
        }  # fmt: skip
    else:
        if kind == 2:
            return "packet-too-big"
        if kind == 3:
            return "time-exceeded" if code == 0 else "other"
        classes = {"network-or-host": (0, 3, 6), "protocol-or-port": (4,), "administrative": (1, 5)}
    return next((name for name, codes in classes.items() if code in codes), "other")


def _quoted(message: Node) -> Members:
    inner = {each.get("name"): each for each in message.iter("proto") if each is not message}
    family = "ip" if "ip" in inner else "ipv6"
    network = inner[family]
    number = _number(network, "ip.proto" if family == "ip" else "ipv6.nxt")
    found: Members = {
        "source": _show(network, f"{family}.src"), "destination": _show(network, f"{family}.dst"), "protocol": number
    }  # fmt: skip
    for transport in ("tcp", "udp"):
        if transport in inner:
            found["source_port"] = _number(inner[transport], f"{transport}.srcport")
            found["destination_port"] = _number(inner[transport], f"{transport}.dstport")
    if "tcp" in inner:
        found["sequence"] = int.from_bytes(_raw(inner["tcp"], "tcp.seq"), "big")
    if "esp" in inner:
        found["spi"] = _number(inner["esp"], "esp.spi")
    if "icmp" in inner and _number(inner["icmp"], "icmp.type") == 8:
        found["identifier"] = _number(inner["icmp"], "icmp.ident")
    if "icmpv6" in inner and _number(inner["icmpv6"], "icmpv6.type") == 128:
        found["identifier"] = _number(inner["icmpv6"], "icmpv6.echo.identifier")
    return found


def _ra(message: Node, frame: bytes) -> Members:
    flags, seconds = _number(message, "icmpv6.nd.ra.flag"), _number(message, "icmpv6.nd.ra.router_lifetime")
    return {
        "hop_limit": _number(message, "icmpv6.nd.ra.cur_hop_limit"), "flags": rfc.set_bits(flags, rfc.RA_FLAGS),
        "preference": rfc.preference(flags) if seconds else "medium", "router_lifetime": seconds,
        "reachable_ms": _number(message, "icmpv6.nd.ra.reachable_time"),
        "retransmit_ms": _number(message, "icmpv6.nd.ra.retrans_timer"),
        "options": [_ra_option(each, frame) for each in message.findall("field") if each.get("name") == "icmpv6.opt"],
    }  # fmt: skip


def _ra_option(option: Node, frame: bytes) -> Members:
    kind = _number(option, "icmpv6.opt.type")

    def named(name: str, /, **members: Any) -> Members:
        return {"option": name, "type": kind, **members}

    def seconds(name: str) -> int | str:
        return rfc.lifetime(_number(option, f"icmpv6.opt.{name}"))

    match kind:
        case 1:
            return named("source-link-layer-address", bytes=_raw(option, "icmpv6.opt.linkaddr").hex())
        case 3:
            address = _raw(option, "icmpv6.opt.prefix")
            return named(
                "prefix-information", prefix=rfc.network6(address, _number(option, "icmpv6.opt.prefix.length")),
                address=rfc.ipv6(address), flags=rfc.set_bits(_number(option, "icmpv6.opt.prefix.flag"), rfc.PIO_FLAGS),
                valid=seconds("prefix.valid_lifetime"), preferred=seconds("prefix.preferred_lifetime"),
            )  # fmt: skip
        case 5:
            return named("mtu", mtu=_number(option, "icmpv6.opt.mtu"))
        case 24:
            packed = _raw(option, "icmpv6.opt.prefix") if _fields(option, "icmpv6.opt.prefix") else b""
            return named(
                "route-information", prefix=rfc.network6(packed, _number(option, "icmpv6.opt.prefix.length")),
                preference=rfc.preference(_number(option, "icmpv6.opt.route_info.flag")),
                lifetime=seconds("route_lifetime"),
            )  # fmt: skip
        case 25:
            return named("rdnss", lifetime=seconds("rdnss.lifetime"), addresses=_shows(option, "icmpv6.opt.rdnss"))
        case 31:
            return named("dnssl", lifetime=seconds("dnssl.lifetime"), names=_shows(option, "icmpv6.opt.dnssl"))
        case 37:
            return named("captive-portal", uri=_show(option, "icmpv6.opt.captive_portal").rstrip("\0"))
    start, size = int(option.get("pos", "0")), int(option.get("size", "0"))
    return rfc.ra_option(frame[start : start + size])


# DHCPv4

_FIELDS4 = {
    3: ("routers", "router"), 6: ("dns-servers", "domain_name_server"), 42: ("ntp-servers", "ntp_server"),
}  # fmt: skip
_TEXTS4 = {
    12: ("host-name", "hostname", "text"), 15: ("domain-name", "domain_name", "text"),
    100: ("posix-timezone", "tz_pcode", "text"), 101: ("timezone-name", "tz_tcode", "text"),
    114: ("captive-portal", "captive_portal", "uri"),
}  # fmt: skip
_SECONDS4 = {
    51: ("lease-time", "ip_address_lease_time"), 58: ("renewal-time", "renewal_time_value"),
    59: ("rebinding-time", "rebinding_time_value"),
}  # fmt: skip


def _dhcpv4(message: Node, ends: Members) -> Members:
    options = sorted(
        (option for each in _fields(message, "dhcp.option.type") if (option := _dhcpv4_option(each))),
        key=lambda option: int(option["code"]),
    )
    return {
        "message": MESSAGES4[_number(message, "dhcp.option.dhcp")], **ends, "xid": _number(message, "dhcp.id"),
        # tshark reads this one backwards where its second byte is 0, as some clients of Microsoft's send it.
        "secs": int.from_bytes(_raw(message, "dhcp.secs"), "big"), "flags": _number(message, "dhcp.flags"),
        "htype": _number(message, "dhcp.hw.type"), "chaddr": _raw(message, "dhcp.hw.mac_addr").hex(),
        "ciaddr": _show(message, "dhcp.ip.client"), "yiaddr": _show(message, "dhcp.ip.your"),
        "siaddr": _show(message, "dhcp.ip.server"), "giaddr": _show(message, "dhcp.ip.relay"), "options": options,
    }  # fmt: skip


def _dhcpv4_option(option: Node) -> Members | None:
    code = int(option.get("show", ""))

    def field(name: str) -> str:
        return f"dhcp.option.{name}"

    def named(name: str, /, **members: Any) -> Members:
        return {"option": name, "code": code, **members}

    if code in _FIELDS4:
        name, known = _FIELDS4[code]
        return named(name, addresses=_shows(option, field(known)))
    if code in _TEXTS4:
        name, known, member = _TEXTS4[code]
        return named(name, **{member: _show(option, field(known))})
    if code in _SECONDS4:
        name, known = _SECONDS4[code]
        return named(name, seconds=rfc.lifetime(_number(option, field(known))))
    match code:
        case 1:
            mask = _show(option, field("subnet_mask"))
            return named("subnet-mask", prefixlen=ipaddress.IPv4Network(f"0.0.0.0/{mask}").prefixlen)
        case 26:
            return named("interface-mtu", mtu=_number(option, field("interface_mtu")))
        case 33:
            pairs = zip(
                _shows(option, field("static_route.ip")), _shows(option, field("static_route.router")), strict=True
            )
            return named("static-routes", routes=[{"prefix": _classful(to), "gateway": via} for to, via in pairs])
        case 54:
            return named("server-identifier", address=_show(option, field("dhcp_server_id")))
        case 80:
            return named("rapid-commit")
        case 119:
            return named("domain-search", names=_shows(option, field("dhcp_dns_domain_search_list_fqdn")))
        case 108 | 121 | 162:
            return rfc.dhcpv4_option(code, _raw(option, "dhcp.option.value"))
    return None


def _classful(address: str) -> str:
    """RFC 791, 2.3; a host where there are bits behind its class's network."""
    value = int(ipaddress.IPv4Address(address))
    length = 8 if value >> 31 == 0 else 16 if value >> 30 == 2 else 24
    return f"{address}/{32 if value & (1 << 32 - length) - 1 else length}"


# DHCPv6


def _dhcpv6(message: Node, ends: Members) -> Members:
    return {
        "message": MESSAGES6[_number(message, "dhcpv6.msgtype")], **ends, "xid": _number(message, "dhcpv6.xid"),
        "options": list(_dhcpv6_options(message)),
    }  # fmt: skip


def _dhcpv6_options(node: Node) -> Iterator[Members]:
    for each in node.findall("field"):
        if each.get("name") == "dhcpv6.option.type_str":
            yield _dhcpv6_option(each)


def _own(option: Node, name: str) -> Node | None:
    """A field of the option itself, not of one within it."""
    return next((each for each in option.findall("field") if each.get("name") == name), None)


def _status(option: Node) -> int:
    inner = [each for each in _dhcpv6_options(option) if each["code"] == 13]
    return int(inner[0]["status"]) if inner else 0


def _dhcpv6_option(option: Node) -> Members:
    type_field = _own(option, "dhcpv6.option.type")
    assert type_field is not None
    code = int(type_field.get("show", ""))
    value = bytes.fromhex(option.get("value", ""))[4:]

    def named(name: str, /, **members: Any) -> Members:
        return {"option": name, "code": code, **members}

    def number(name: str) -> int:
        return _number(option, f"dhcpv6.{name}")

    match code:
        case 1 | 2:
            name = "client-identifier" if code == 1 else "server-identifier"
            return named(name, duid=_raw(option, "dhcpv6.duid.bytes").hex())
        case 3 | 25:
            return named(
                "ia-na" if code == 3 else "ia-pd", iaid=int.from_bytes(_raw(option, "dhcpv6.iaid"), "big"),
                t1=rfc.lifetime(number("iaid.t1")), t2=rfc.lifetime(number("iaid.t2")),
                options=list(_dhcpv6_options(option)),
            )  # fmt: skip
        case 5:
            return named(
                "address", address=_show(option, "dhcpv6.iaaddr.ip"),
                preferred=rfc.lifetime(number("iaaddr.pref_lifetime")),
                valid=rfc.lifetime(number("iaaddr.valid_lifetime")), status=_status(option),
            )  # fmt: skip
        case 26:
            return named(
                "prefix", prefix=rfc.network6(_raw(option, "dhcpv6.iaprefix.pref_addr"), number("iaprefix.pref_len")),
                preferred=rfc.lifetime(number("iaprefix.pref_lifetime")),
                valid=rfc.lifetime(number("iaprefix.valid_lifetime")), status=_status(option),
            )  # fmt: skip
        case 7:
            return named("preference", preference=number("option_preference"))
        case 13:
            texts = _shows(option, "dhcpv6.status_msg")
            return named("status-code", status=number("status_code"), text=texts[0] if texts else "")
        case 14:
            return named("rapid-commit")
        case 23:
            return named("dns-servers", addresses=_shows(option, "dhcpv6.dns_server"))
        case 24:
            names = [name.rstrip(".") for name in _shows(option, "dhcpv6.search_list_entry")]
            every = rfc.take_names(value)
            # It leaves out names of one label.
            return named("domain-search", names=names if len(names) == len(every) else every)
        case 31:
            return named("sntp-servers", addresses=_shows(option, "dhcpv6.sntp_server"))
        case 32:
            return named("information-refresh-time", seconds=rfc.lifetime(max(600, number("lifetime"))))
        case 56:
            for member, known in (("address", "addr"), ("multicast", "mc_addr"), ("name", "fqdn")):
                found = _shows(option, f"dhcpv6.ntpserver.{known}")
                if found:
                    return named("ntp-server", **{member: found[0].rstrip(".")})
            # A name of one label, which it leaves out.
            return named("ntp-server", name=rfc.take_name(value[4:])[0])
        case 41:
            return named("posix-timezone", text=_show(option, "dhcpv6.timezone"))
        case 42:
            return named("timezone-name", text=_show(option, "dhcpv6.tzdb"))
    return rfc.dhcpv6_option(code, value)
