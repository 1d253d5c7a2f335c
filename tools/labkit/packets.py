"""Packets put together by hand, for what no honest router or server sends.

They leave through a packet socket in a router's namespace, so that they arrive at the host over the wire like any
other. Each builder makes right packets; a story spoils them with `spoil`.
"""

import ipaddress
import socket
import struct

ETH_P_IP = 0x0800
ETH_P_IPV6 = 0x86DD


def checksum(data: bytes) -> int:
    """RFC 1071."""
    if len(data) % 2:
        data += b"\0"
    total: int = sum(struct.unpack(f"!{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def spoil(packet: bytes, offset: int, value: int | None = None) -> bytes:
    """One byte of the packet changed: to `value`, or to its complement."""
    spoilt = bytearray(packet)
    spoilt[offset] = spoilt[offset] ^ 0xFF if value is None else value
    return bytes(spoilt)


def ipv4(source: str, destination: str, protocol: int, payload: bytes, ttl: int = 64) -> bytes:
    """RFC 791, 3.1, without options."""
    addresses = ipaddress.IPv4Address(source).packed + ipaddress.IPv4Address(destination).packed
    head = struct.pack("!BBHHHBBH", 0x45, 0, 20 + len(payload), 0x4242, 0x4000, ttl, protocol, 0) + addresses
    return head[:10] + struct.pack("!H", checksum(head)) + head[12:] + payload


def ipv6(source: str, destination: str, next_header: int, payload: bytes, hop_limit: int = 64) -> bytes:
    """RFC 8200, 3."""
    head = struct.pack("!IHBB", 6 << 28, len(payload), next_header, hop_limit)
    return head + ipaddress.IPv6Address(source).packed + ipaddress.IPv6Address(destination).packed + payload


def pseudo_header(source: str, destination: str, protocol: int, length: int) -> bytes:
    one, other = ipaddress.ip_address(source), ipaddress.ip_address(destination)
    if one.version == 4:
        return one.packed + other.packed + struct.pack("!BBH", 0, protocol, length)
    return one.packed + other.packed + struct.pack("!II", length, protocol)


def udp(source: str, destination: str, source_port: int, destination_port: int, data: bytes) -> bytes:
    """RFC 768, with its checksum."""
    head = struct.pack("!HHHH", source_port, destination_port, 8 + len(data), 0)
    total = checksum(pseudo_header(source, destination, 17, 8 + len(data)) + head + data) or 0xFFFF
    return head[:6] + struct.pack("!H", total) + data


def icmp_error(kind: int, code: int, quoted: bytes, extra: int = 0) -> bytes:
    """ICMP of IPv4 that quotes a packet (RFC 792)."""
    message = struct.pack("!BBHI", kind, code, 0, extra) + quoted
    return message[:2] + struct.pack("!H", checksum(message)) + message[4:]


def icmpv6(source: str, destination: str, message: bytes) -> bytes:
    """Fills in the checksum of an ICMPv6 message (RFC 4443, 2.3)."""
    message = message[:2] + b"\0\0" + message[4:]
    total = checksum(pseudo_header(source, destination, 58, len(message)) + message)
    return message[:2] + struct.pack("!H", total) + message[4:]


def icmpv6_error(source: str, destination: str, kind: int, code: int, quoted: bytes, extra: int = 0) -> bytes:
    return icmpv6(source, destination, struct.pack("!BBHI", kind, code, 0, extra) + quoted)


def advertisement(source: str, message: bytes, destination: str = "ff02::1", hop_limit: int = 255) -> bytes:
    """A whole IPv6 packet around a Router Advertisement."""
    return ipv6(source, destination, 58, icmpv6(source, destination, message), hop_limit)


def dhcp4_reply(
    mac: str, xid: int, address: str, server: str, kind: int = 5, lease: int = 600, options: bytes = b""
) -> bytes:
    """A BOOTREPLY to this hardware address (RFC 2131, 2; RFC 2132), from the server to everybody."""
    hardware = bytes.fromhex(mac.replace(":", ""))
    fixed = struct.pack("!BBBBIHH", 2, 1, 6, 0, xid, 0, 0x8000) + b"\0" * 4 + ipaddress.IPv4Address(address).packed
    fixed += b"\0" * 8 + hardware.ljust(16, b"\0") + b"\0" * 192
    own = ipaddress.IPv4Address(server).packed
    body = b"\x63\x82\x53\x63" + bytes([53, 1, kind, 54, 4]) + own + bytes([51, 4]) + struct.pack("!I", lease)
    body += bytes([1, 4, 255, 255, 255, 0, 3, 4]) + own + options + b"\xff"
    return ipv4(server, "255.255.255.255", 17, udp(server, "255.255.255.255", 67, 68, fixed + body))


class Wire:
    """A packet socket on one interface, for whole IPv4 and IPv6 packets to one neighbour."""

    def __init__(self, opened: socket.socket, interface: str, neighbour: str) -> None:
        self._socket = opened
        self._interface = interface
        self._neighbour = bytes.fromhex(neighbour.replace(":", ""))

    def send(self, packet: bytes, protocol: int | None = None) -> None:
        if protocol is None:
            protocol = ETH_P_IPV6 if packet and packet[0] >> 4 == 6 else ETH_P_IP
        self._socket.sendto(packet, (self._interface, protocol, 0, 0, self._neighbour))

    def close(self) -> None:
        self._socket.close()
