"""What the lab needs from Debian, and installing only what is missing of it."""

import os
import subprocess
import tempfile
from pathlib import Path

# A program that is there satisfies its need, whatever package it came from.
NEEDS = {
    "/sbin/ip": "iproute2",
    "/usr/sbin/nft": "nftables",
    "/usr/bin/ping": "iputils-ping",
    "/usr/bin/setpriv": "util-linux",
    "/usr/sbin/radvd": "radvd",
    "/usr/sbin/dnsmasq": "dnsmasq-base",
    "/usr/sbin/kea-dhcp4": "kea-dhcp4-server",
    "/usr/sbin/kea-dhcp6": "kea-dhcp6-server",
    "/usr/sbin/unbound": "unbound",
    "/usr/sbin/dhcpd": "isc-dhcp-server",
    "/lib/systemd/systemd-networkd": "systemd",
    "/usr/sbin/dhcpcd": "dhcpcd-base",
    "/usr/sbin/dhclient": "isc-dhcp-client",
    "/usr/sbin/charon-systemd": "charon-systemd",
    "/usr/sbin/swanctl": "strongswan-swanctl",
    "/usr/lib/ipsec/plugins/libstrongswan-kernel-libipsec.so": "libcharon-extra-plugins",
    "/usr/lib/ipsec/plugins/libstrongswan-openssl.so": "libstrongswan-standard-plugins",
    "/usr/bin/tcpdump": "tcpdump",
    "/usr/bin/tshark": "tshark",
    "/usr/lib/python3/dist-packages/scapy": "python3-scapy",
    "/usr/bin/strace": "strace",
    "/usr/lib/python3/dist-packages/pytest": "python3-pytest",
    "/usr/lib/python3/dist-packages/xdist": "python3-pytest-xdist",
    "/usr/bin/openssl": "openssl",
    "/usr/bin/gcc": "gcc",
    "/usr/bin/g++": "g++",
    "/usr/bin/clang": "clang",
    "/usr/bin/valgrind": "valgrind",
}
# What these would start with the machine.
_UNITS = {
    "radvd": "radvd",
    "kea-dhcp4-server": "kea-dhcp4-server",
    "kea-dhcp6-server": "kea-dhcp6-server",
    "isc-dhcp-server": "isc-dhcp-server",
    "unbound": "unbound",
    "charon-systemd": "strongswan",
}
_POLICY = Path("/usr/sbin/policy-rc.d")


def missing() -> list[str]:
    return sorted({package for path, package in NEEDS.items() if not _there(path)})


def _there(path: str) -> bool:
    # dhclient stands in /sbin, which is /usr/sbin where /usr is merged.
    return Path(path).exists() or (path.startswith("/usr/sbin/") and Path(path[4:]).exists())


def install() -> list[str]:
    """Installs what is missing and returns its names. Services of those packages are neither started nor, on a machine
    that runs systemd, enabled: the lab starts daemons itself."""
    packages = missing()
    if not packages:
        return []
    environment = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    command = ["apt-get", "install", "--yes", "--no-install-recommends", *packages]
    with _services_stay_off():
        if subprocess.run(command, env=environment, check=False).returncode != 0:
            subprocess.run(["apt-get", "update"], env=environment, check=True)
            subprocess.run(command, env=environment, check=True)
    if Path("/run/systemd/system").is_dir():
        for package in packages:
            if package in _UNITS:
                subprocess.run(["systemctl", "disable", "--quiet", _UNITS[package]], check=False)
    return packages


class _services_stay_off:
    """policy-rc.d that denies, as invoke-rc.d(8) asks it before it starts a service; the machine's own one is kept."""

    def __enter__(self) -> None:
        self._ours = not _POLICY.exists()
        if self._ours:
            with tempfile.NamedTemporaryFile("w", dir=_POLICY.parent, delete=False) as scratch:
                scratch.write("#!/bin/sh\nexit 101\n")
            os.chmod(scratch.name, 0o755)
            os.rename(scratch.name, _POLICY)

    def __exit__(self, *_: object) -> None:
        if self._ours:
            _POLICY.unlink(missing_ok=True)
