"""The real daemons, each with a configuration written for one place in the lab.

Routers speak through radvd, dnsmasq or Kea on `host0`; the host listens through dhclient or dhcpcd. All of them run
in the foreground, keep their state in the lab's directory and touch nothing of the machine's.
"""

import json
import shutil
from collections.abc import Sequence
from ipaddress import ip_address
from pathlib import Path
from signal import SIGINT

from .processes import Child, LabError, Mounts, wait_until
from .topology import DNS4, DNS6, Lab, Namespace, Uplink

DOMAIN = "lab.example"


def program(name: str) -> str:
    """Daemons stand in directories that an unprivileged user's PATH, and often sudo's, leaves out."""
    found = shutil.which(name, path="/usr/sbin:/usr/bin:/sbin:/bin")
    if found is None:
        raise LabError(f"{name} is not installed: run `tools/lab install`")
    return found


# Routers


def radvd(
    lab: Lab,
    uplink: Uplink,
    *,
    lifetime: int = 1800,
    valid: int = 3600,
    preferred: int = 1800,
    managed: bool = False,
    other: bool = False,
    autonomous: bool = True,
    prefix: str | None = None,
    dns: str = DNS6,
    interval: int = 4,
    extra: str = "",
) -> Child:
    """Router advertisements every three to four seconds, or by another interval; the first ones at once."""
    flag = {True: "on", False: "off"}
    name = f"radvd-{uplink.router}"
    configuration = lab.directory(name) / "radvd.conf"
    configuration.write_text(
        f"""interface host0 {{
  AdvSendAdvert on;
  MinRtrAdvInterval {interval * 3 // 4};
  MaxRtrAdvInterval {interval};
  AdvDefaultLifetime {lifetime};
  AdvManagedFlag {flag[managed]};
  AdvOtherConfigFlag {flag[other]};
  AdvLinkMTU 1480;
  prefix {prefix or uplink.prefix6}/64 {{
    AdvOnLink on;
    AdvAutonomous {flag[autonomous]};
    AdvValidLifetime {valid};
    AdvPreferredLifetime {preferred};
  }};
  route 2001:db8:9::/48 {{ AdvRouteLifetime 1800; }};
  RDNSS {dns} {{ AdvRDNSSLifetime 1200; }};
  DNSSL {DOMAIN} {{ AdvDNSSLLifetime 1200; }};
  {extra}
}};
"""
    )
    child = lab.spawn(
        lab.router(uplink),
        name,
        program("radvd"),
        "--nodaemon",
        "--debug=4",
        "--logmethod=stderr",
        f"--config={configuration}",
        f"--pidfile={configuration.parent / 'pid'}",
    )
    child.says("(myself)")
    return child


def dnsmasq(
    lab: Lab,
    uplink: Uplink,
    *,
    dhcp4: bool = True,
    dhcp6: bool = False,
    advertise: bool = False,
    lease: str = "2m",
    renewal: int | None = None,
    rebinding: int | None = None,
    dns: str = DNS4,
    options: Sequence[str] = (),
) -> Child:
    """DHCPv4, DHCPv6 and router advertisements, as asked for; 120 s is the shortest lease that it gives."""
    name = f"dnsmasq-{uplink.router}"
    directory = lab.directory(name)
    lines = [
        "port=0",
        "interface=host0",
        "except-interface=lo",
        "bind-dynamic",
        "no-ping",
        "dhcp-authoritative",
        "log-dhcp",
        "user=root",
        "group=root",
        "no-hosts",
        "no-resolv",
        f"dhcp-leasefile={directory / 'leases'}",
        f"pid-file={directory / 'pid'}",
        f"domain={DOMAIN}",
    ]
    if dhcp4:
        network = uplink.router4.rpartition(".")[0]
        lines += [
            f"dhcp-range={network}.50,{network}.99,255.255.255.0,{lease}",
            f"dhcp-option=option:dns-server,{dns}",
        ]
    if dhcp6:
        lines += [
            f"dhcp-range={uplink.prefix6}50,{uplink.prefix6}99,64,{lease}",
            f"dhcp-option=option6:dns-server,[{DNS6}]",
            f"dhcp-option=option6:domain-search,{DOMAIN}",
        ]
    if advertise:
        lines += ["enable-ra", "ra-param=host0,mtu:1480,4,1800"]
        if not dhcp6:
            lines.append(f"dhcp-range={uplink.prefix6},ra-only,64,{lease}")
    if renewal is not None:
        lines.append(f"dhcp-option-force=58,{renewal}i")
    if rebinding is not None:
        lines.append(f"dhcp-option-force=59,{rebinding}i")
    configuration = directory / "dnsmasq.conf"
    configuration.write_text("\n".join([*lines, *options]) + "\n")
    child = lab.spawn(
        lab.router(uplink),
        name,
        program("dnsmasq"),
        "--keep-in-foreground",
        "--log-facility=-",
        f"--conf-file={configuration}",
    )
    child.says("DHCP" if dhcp4 or dhcp6 else "router advertisement")
    return child


def kea4(lab: Lab, uplink: Uplink, *, lease: int = 120, renewal: int = 60, rebinding: int = 105) -> Child:
    network = uplink.router4.rpartition(".")[0]
    subnet = {
        "subnet": f"{network}.0/24",
        "pools": [{"pool": f"{network}.50 - {network}.99"}],
        "option-data": [
            {"name": "routers", "data": uplink.router4},
            {"name": "domain-name-servers", "data": DNS4},
            {"name": "domain-name", "data": DOMAIN},
        ],
    }
    return _kea(
        lab, uplink, 4, "Dhcp4", {"subnet4": [subnet], **_times(lease, renewal, rebinding), "authoritative": True}
    )


def kea6(lab: Lab, uplink: Uplink, *, lease: int = 120, renewal: int = 60, rebinding: int = 105) -> Child:
    subnet = {
        "subnet": f"{uplink.prefix6}/64",
        "interface": "host0",
        "pools": [{"pool": f"{uplink.prefix6}50 - {uplink.prefix6}99"}],
        "option-data": [{"name": "dns-servers", "data": DNS6}, {"name": "domain-search", "data": DOMAIN}],
        "preferred-lifetime": max(1, lease * 3 // 4),
    }
    return _kea(
        lab,
        uplink,
        6,
        "Dhcp6",
        {"subnet6": [subnet], **_times(lease, renewal, rebinding), "server-id": {"type": "LL", "persist": False}},
    )


def dhcpd(lab: Lab, uplink: Uplink, family: int = 4, *, lease: int = 120) -> Child:
    """ISC's server."""
    name = f"dhcpd{family}-{uplink.router}"
    etc, state = lab.directory(f"{name}-etc"), lab.directory(f"{name}-state")
    network = uplink.router4.rpartition(".")[0]
    own = {
        4: f"authoritative;\nsubnet {network}.0 netmask 255.255.255.0 {{\n  range {network}.50 {network}.99;\n"
        f'  option routers {uplink.router4};\n  option domain-name-servers {DNS4};\n'
        f'  option domain-name "{DOMAIN}";\n}}\n',
        6: f"subnet6 {uplink.prefix6}/64 {{\n  range6 {uplink.prefix6}50 {uplink.prefix6}99;\n"
        f'  option dhcp6.name-servers {DNS6};\n  option dhcp6.domain-search "{DOMAIN}";\n}}\n',
    }[family]
    (etc / "dhcpd.conf").write_text(f"default-lease-time {lease};\nmax-lease-time {lease};\n{own}")
    (state / "dhcpd.leases").touch()
    child = lab.spawn(
        lab.router(uplink), name, program("dhcpd"), f"-{family}", "-d", "-f", "--no-pid", "-cf", "/etc/dhcp/dhcpd.conf",
        "-lf", "/var/lib/dhcp/dhcpd.leases", "host0", mounts=Mounts({"/etc/dhcp": etc, "/var/lib/dhcp": state}),
    )  # fmt: skip
    child.says("Server starting service")
    return child


def _times(lease: int, renewal: int, rebinding: int) -> dict[str, int]:
    return {"valid-lifetime": lease, "renew-timer": renewal, "rebind-timer": rebinding}


def _kea(lab: Lab, uplink: Uplink, family: int, key: str, settings: dict[str, object]) -> Child:
    name = f"kea{family}-{uplink.router}"
    directory = lab.directory(name)
    document = {
        key: {
            "interfaces-config": {"interfaces": ["host0"]},
            "lease-database": {"type": "memfile", "persist": False},
            "loggers": [
                {
                    "name": f"kea-dhcp{family}",
                    "severity": "INFO",
                    "output_options": [{"output": "stdout", "flush": True}],
                }
            ],
            **settings,
        }
    }
    (directory / f"kea-dhcp{family}.conf").write_text(json.dumps(document, indent=2))
    mounts = Mounts({"/etc/kea": directory}, ("/run/kea", "/run/lock/kea"))
    child = lab.spawn(
        lab.router(uplink), name, program(f"kea-dhcp{family}"), "-c", f"/etc/kea/kea-dhcp{family}.conf", mounts=mounts
    )
    child.says(f"DHCP{family}_STARTED")
    return child


# DNS servers


def dnsmasq_dns(lab: Lab, namespace: Namespace, name: str, listen: Sequence[str], lines: Sequence[str]) -> Child:
    """A DNS server of `address=`, `cname=` and such lines, and of nothing else. Its log has each query:
    `query[A] host.example from 10.1.0.10`."""
    directory = lab.directory(name)
    configuration = directory / "dnsmasq.conf"
    own = [f"listen-address={address}" for address in listen]
    own += ["bind-interfaces", "no-hosts", "no-resolv", "user=root", "group=root", "log-queries"]
    own.append(f"pid-file={directory / 'pid'}")
    configuration.write_text("\n".join([*own, *lines]) + "\n")
    child = lab.spawn(
        namespace,
        name,
        program("dnsmasq"),
        "--keep-in-foreground",
        "--log-facility=-",
        f"--conf-file={configuration}",
    )
    child.says("started, version")
    return child


def unbound(
    lab: Lab, namespace: Namespace, name: str, listen: Sequence[str], zone: str, records: Sequence[str]
) -> Child:
    """Unbound with one zone of its own. Its log has each query:
    `10.1.0.10 host.example. A IN`."""
    directory = lab.directory(name)
    head = f"$ORIGIN {zone}.\n$TTL 60\n@ SOA ns.{zone}. hostmaster.{zone}. 1 3600 600 86400 60\n@ NS ns.{zone}.\n"
    (directory / "zone").write_text(head + "\n".join(records) + "\n")
    configuration = directory / "unbound.conf"
    interfaces = "".join(f"  interface: {address}\n" for address in listen)
    configuration.write_text(
        f"""server:
{interfaces}  access-control: 0.0.0.0/0 allow
  access-control: ::/0 allow
  do-daemonize: no
  username: ""
  chroot: ""
  directory: "{directory}"
  pidfile: "{directory / "pid"}"
  use-syslog: no
  log-queries: yes
  num-threads: 1
  module-config: "iterator"
auth-zone:
  name: "{zone}"
  zonefile: "{directory / "zone"}"
  for-downstream: yes
  for-upstream: no
remote-control:
  control-enable: no
"""
    )
    child = lab.spawn(namespace, name, program("unbound"), "-d", "-c", str(configuration))
    child.says("start of service")
    return child


# The host's clients

# What Debian's own script does to the interface, and nothing of what it does to the machine.
_DHCLIENT_SCRIPT = """#!/bin/sh
width() {
  bits=0
  IFS=.
  for octet in $1; do
    while [ "$octet" -gt 0 ]; do
      bits=$((bits + (octet & 1)))
      octet=$((octet >> 1))
    done
  done
  unset IFS
  echo "$bits"
}
case $reason in
  PREINIT | PREINIT6)
    ip link set "$interface" up
    ;;
  BOUND | RENEW | REBIND | REBOOT)
    if [ -n "$old_ip_address" ] && [ "$old_ip_address" != "$new_ip_address" ]; then
      ip -4 addr flush dev "$interface"
    fi
    ip -4 addr replace "$new_ip_address/$(width "$new_subnet_mask")" dev "$interface" \\
      valid_lft "$new_dhcp_lease_time" preferred_lft "$new_dhcp_lease_time"
    for router in $new_routers; do
      ip -4 route replace default via "$router" dev "$interface" metric METRIC proto dhcp
    done
    ;;
  EXPIRE | FAIL | RELEASE | STOP)
    ip -4 addr flush dev "$interface"
    ;;
  BOUND6 | RENEW6 | REBIND6)
    [ -z "$new_ip6_address" ] || ip -6 addr replace "$new_ip6_address/${new_ip6_prefixlen:-128}" dev "$interface" \\
      valid_lft "$new_max_life" preferred_lft "$new_preferred_life"
    ;;
  DEPREF6)
    ip -6 addr change "$cur_ip6_address/${cur_ip6_prefixlen:-128}" dev "$interface" preferred_lft 0
    ;;
  EXPIRE6 | RELEASE6 | STOP6)
    ip -6 addr del "$old_ip6_address/${old_ip6_prefixlen:-128}" dev "$interface"
    ;;
esac
echo "script: $reason $interface $new_ip_address$new_ip6_address" >&2
exit 0
"""


def dhclient(lab: Lab, uplink: Uplink, family: int = 4, *, stateless: bool = False, wait: bool = True) -> Child:
    """ISC's client, bound to one uplink; returns when it has configured what it was given. `stateless`: DHCPv6
    without addresses (RFC 8415, 18.2.6)."""
    interface = uplink.interface
    name = f"dhclient{family}-{interface}"
    etc, state = lab.directory(f"{name}-etc"), lab.directory(f"{name}-state")
    (etc / "dhclient.conf").write_text(
        "initial-delay 0;\ninitial-interval 1;\nbackoff-cutoff 2;\nretry 5;\ntimeout 20;\n"
        "request subnet-mask, broadcast-address, routers, domain-name, domain-name-servers, interface-mtu,\n"
        "  dhcp6.name-servers, dhcp6.domain-search;\n"
    )
    script = etc / "dhclient-script"
    script.write_text(_DHCLIENT_SCRIPT.replace("METRIC", str(100 * uplink.number)))
    script.chmod(0o755)
    child = lab.spawn(
        lab.host, name, program("dhclient"), f"-{family}", *(["-S"] if stateless else []), "-d", "-v", "--no-pid",
        "-cf", "/etc/dhcp/dhclient.conf", "-lf", f"/var/lib/dhcp/dhclient.{interface}.leases",
        "-sf", "/etc/dhcp/dhclient-script", interface,
        mounts=Mounts({"/etc/dhcp": etc, "/var/lib/dhcp": state}),
    )  # fmt: skip
    if wait:
        child.says("script: RENEW6" if stateless else "script: BOUND", 15)
    return child


def dhcpcd(lab: Lab, uplink: Uplink, family: int = 4, *, wait: bool = True) -> Child:
    """Roy Marples' client. It leaves router advertisements to the kernel here."""
    interface = uplink.interface
    name = f"dhcpcd{family}-{interface}"
    state = lab.directory(f"{name}-state")
    shutil.chown(state, "dhcpcd")
    configuration = lab.directory(name) / "dhcpcd.conf"
    own = {
        4: "ipv4only",
        6: f"ipv6only\nnoipv6rs\ninterface {interface}\n  ia_na 1",
    }[family]
    configuration.write_text(
        "nohook resolv.conf, hostname, timezone, ntp\nnoarp\nvendorclassid lab\nnoipv4ll\nduid\npersistent\nreboot 0\n"
        "option domain_name_servers, domain_name, interface_mtu\n"
        f"option dhcp6_name_servers, dhcp6_domain_search\nmetric {100 * uplink.number}\n{own}\n"
    )
    child = lab.spawn(
        lab.host,
        name,
        program("dhcpcd"),
        "-B",
        "-d",
        "-c",
        "/bin/true",
        f"-{family}",
        interface,
        mounts=Mounts({"/var/lib/dhcpcd": state, "/etc/dhcpcd.conf": configuration}, ("/run/dhcpcd",)),
    )
    if wait:
        wait_until(
            lambda: has_lease(lab, uplink, family), f"an address from dhcpcd on {interface}:\n{child.output()}", 15
        )
    return child


# Without udev it waits for nobody to announce interfaces: a /sys that is only to be read says so.
_NETWORKD = """mount -o remount,bind,ro /sys
mkdir -p /run/systemd/netif/links /run/systemd/netif/leases
chown -R systemd-network: /run/systemd/netif
exec /lib/systemd/systemd-networkd
"""


def networkd(lab: Lab, uplink: Uplink) -> Child:
    """systemd's own client of DHCP and Router Advertisements; returns when it has an IPv4 lease."""
    name = f"networkd-{uplink.interface}"
    etc = lab.directory(name)
    (etc / "uplink.network").write_text(
        f"[Match]\nName={uplink.interface}\n[Network]\nDHCP=yes\nIPv6AcceptRA=yes\n"
        # Nothing of the machine: neither its name nor what is made of its identifier.
        "[DHCPv4]\nSendHostname=no\nClientIdentifier=mac\n[DHCPv6]\nSendHostname=no\nDUIDType=link-layer\n"
    )
    mounts = Mounts({"/etc/systemd/network": etc}, ("/run/systemd",))
    child = lab.spawn(lab.host, name, "sh", "-c", _NETWORKD, mounts=mounts)
    wait_until(lambda: has_lease(lab, uplink, 4), f"an address from networkd:\n{child.output()}", 15)
    return child


def has_lease(lab: Lab, uplink: Uplink, family: int) -> bool:
    """True once an address of the servers' pools, host parts 50 to 99 (of IPv6 in hex), stands on the uplink."""
    network, first, last = {4: (uplink.router4, 50, 99), 6: (uplink.prefix6, 0x50, 0x99)}[family]
    base = int(ip_address(network)) & ~0xFF
    pool = range(base + first, base + last + 1)
    return any(int(ip_address(address)) in pool for address in lab.host.addresses(uplink.interface, family))


# Watching


class Capture:
    """tcpdump on one interface: the lab's own proof of what was on the wire."""

    def __init__(self, lab: Lab, namespace: Namespace, interface: str, expression: str = "", name: str = "") -> None:
        name = name or f"tcpdump-{namespace.role}-{interface}"
        # A name that the profile of a confined tcpdump lets it write.
        self.file: Path = lab.record.directory / f"{name}.pcap"
        self.child = lab.spawn(
            namespace, name, program("tcpdump"), "-Z", "root", "-i", interface, "-U", "--immediate-mode", "-n",
            "--nano", "-w", str(self.file), *expression.split(),
        )  # fmt: skip
        self.child.says("listening on")

    def stop(self) -> Path:
        self.child.stop(SIGINT)
        return self.file
