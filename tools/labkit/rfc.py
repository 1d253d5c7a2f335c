"""A second decoder of options, written from the RFCs, for what tshark does not know. It takes well-formed options
alone, and gives what `mifctl decode --json` must say of them."""

import ipaddress
import struct
from collections.abc import Iterator
from typing import Any

FOREVER = 0xFFFFFFFF
Members = dict[str, Any]


def lifetime(seconds: int) -> int | str:
    return "forever" if seconds == FOREVER else seconds


def ipv6(data: bytes) -> str:
    return str(ipaddress.IPv6Address(data))


def network6(data: bytes, length: int) -> str:
    return str(ipaddress.IPv6Network((data.ljust(16, b"\0"), length), strict=False))


def addresses6(data: bytes) -> list[str]:
    return [ipv6(data[at : at + 16]) for at in range(0, len(data), 16)]


def take_name(data: bytes) -> tuple[str, bytes]:
    """A name of uncompressed labels (RFC 1035, 3.1), and what follows it."""
    labels = []
    while data[0]:
        labels.append(data[1 : 1 + data[0]].decode("ascii"))
        data = data[1 + data[0] :]
    return ".".join(labels), data[1:]


def take_names(data: bytes) -> list[str]:
    found = []
    while data.strip(b"\0"):
        name, data = take_name(data)
        found.append(name)
    return found


def preference(bits: int) -> str:
    """RFC 4191, 2.1; the reserved value reads as medium in headers."""
    return {1: "high", 3: "low"}.get(bits >> 3 & 3, "medium")


def set_bits(value: int, names: dict[int, str]) -> list[str]:
    return [name for bit, name in names.items() if value & bit]


RA_FLAGS = {0x80: "managed", 0x40: "other", 0x20: "home-agent", 0x04: "proxied"}
PIO_FLAGS = {0x80: "on-link", 0x40: "autoconf", 0x20: "router-address", 0x10: "prefix-delegation"}


def ra_header(data: bytes) -> Members:
    """RFC 4861, 4.2, from the type on; RFC 4191, 2.2."""
    limit, flags, seconds, reachable, retransmit = struct.unpack_from("!4xBBHII", data)
    return {
        "hop_limit": limit, "flags": set_bits(flags, RA_FLAGS),
        "preference": preference(flags) if seconds else "medium", "router_lifetime": seconds,
        "reachable_ms": reachable, "retransmit_ms": retransmit,
    }  # fmt: skip


def ra_options(data: bytes) -> Iterator[Members]:
    while data:
        length = 8 * data[1]
        yield ra_option(data[:length])
        data = data[length:]


def ra_option(option: bytes) -> Members:
    kind, body = option[0], option[2:]

    def named(name: str, /, **members: Any) -> Members:
        return {"option": name, "type": kind, **members}

    match kind:
        case 1:
            return named("source-link-layer-address", bytes=body.hex())
        case 3:
            valid, preferred = struct.unpack_from("!II", body, 2)
            return named(
                "prefix-information", prefix=network6(body[14:], body[0]), address=ipv6(body[14:]),
                flags=set_bits(body[1], PIO_FLAGS), valid=lifetime(valid), preferred=lifetime(preferred),
            )  # fmt: skip
        case 5:
            return named("mtu", mtu=struct.unpack_from("!I", body, 2)[0])
        case 7:
            return named("advertisement-interval", interval_ms=struct.unpack_from("!I", body, 2)[0])
        case 8:
            best, seconds = struct.unpack_from("!HH", body, 2)
            return named("home-agent", preference=best, lifetime=seconds)
        case 26:
            return named("flags-extension", bits=body[:6].hex())
        case 21:
            bits, sequence = struct.unpack_from("!HH", body)
            name, _ = take_name(body[4:])
            rest = option[(6 + len(name) + 2 + 7) // 8 * 8 :]
            members = {
                "name": name, "flags": set_bits(bits, {0x8000: "http", 0x4000: "legacy", 0x2000: "ra"}),
                "delay": bits & 15, "sequence": sequence,
            }  # fmt: skip
            if bits & 0x2000:
                members["header"] = ra_header(rest)
                rest = rest[16:]
            return named("pvd", **members, options=list(ra_options(rest)))
        case 24:
            seconds = struct.unpack_from("!I", body, 2)[0]
            return named(
                "route-information", prefix=network6(body[6:], body[0]), preference=preference(body[1]),
                lifetime=lifetime(seconds),
            )  # fmt: skip
        case 25:
            seconds = struct.unpack_from("!I", body, 2)[0]
            return named("rdnss", lifetime=lifetime(seconds), addresses=addresses6(body[6:]))
        case 31:
            seconds = struct.unpack_from("!I", body, 2)[0]
            return named("dnssl", lifetime=lifetime(seconds), names=take_names(body[6:]))
        case 37:
            return named("captive-portal", uri=body.rstrip(b"\0").decode("ascii"))
        case 38:
            field = struct.unpack_from("!H", body)[0]
            length = {0: 96, 1: 64, 2: 56, 3: 48, 4: 40, 5: 32}[field & 7]
            return named("pref64", prefix=network6(body[2:14], length), lifetime=field & 0xFFF8)
        case 144:
            priority, seconds = struct.unpack_from("!HI", body)
            return named("encrypted-dns", **resolver6(priority, body[6:], lifetime(seconds), is_counted=True))
    return named("unknown", bytes=body.hex())


def _counted(data: bytes) -> tuple[bytes, bytes]:
    size = struct.unpack_from("!H", data)[0]
    return data[2 : 2 + size], data[2 + size :]


def resolver6(priority: int, data: bytes, seconds: int | str | None, is_counted: bool) -> Members:
    """RFC 9463, 4.1 and 6.1: in an RA the parameters are counted, in DHCPv6 they are what is left."""
    name, data = _counted(data)
    members: Members = {"priority": priority, "name": take_name(name)[0]}
    if seconds is not None:
        members["lifetime"] = seconds
    parameters = b""
    if len(data) >= 2 and any(data):
        addresses, data = _counted(data)
        members["addresses"] = addresses6(addresses)
        parameters = _counted(data)[0] if is_counted else data
    return {**members, "parameters": parameters.hex()}





def dhcpv4_option(code: int, value: bytes) -> Members:
    match code:
        case 108:
            return {"option": "ipv6-only-preferred", "code": code, "seconds": struct.unpack("!I", value)[0]}
        case 121:
            routes = []
            while value:
                width = (value[0] + 7) // 8
                network = ipaddress.IPv4Network((value[1 : 1 + width].ljust(4, b"\0"), value[0]), strict=False)
                gateway = ipaddress.IPv4Address(value[1 + width : 5 + width])
                routes.append({"prefix": str(network), "gateway": str(gateway)})
                value = value[5 + width :]
            return {"option": "classless-routes", "code": code, "routes": routes}
        case 162:
            resolvers = []
            while value:
                instance, value = _counted(value)
                name, rest = instance[3 : 3 + instance[2]], instance[3 + instance[2] :]
                member: Members = {"priority": struct.unpack_from("!H", instance)[0], "name": take_name(name)[0]}
                parameters = b""
                if rest:
                    packed = rest[1 : 1 + rest[0]]
                    addresses = [str(ipaddress.IPv4Address(packed[at : at + 4])) for at in range(0, len(packed), 4)]
                    if addresses:
                        member["addresses"] = addresses
                    parameters = rest[1 + rest[0] :]
                resolvers.append({**member, "parameters": parameters.hex()})
            return {"option": "encrypted-dns", "code": code, "resolvers": resolvers}
    raise KeyError(code)


def dhcpv6_option(code: int, value: bytes) -> Members:
    match code:
        case 103:
            return {"option": "captive-portal", "code": code, "uri": value.decode("ascii")}
        case 144:
            priority = struct.unpack_from("!H", value)[0]
            return {"option": "encrypted-dns", "code": code, **resolver6(priority, value[2:], None, is_counted=False)}
    return {"option": "unknown", "code": code, "bytes": value.hex()}
