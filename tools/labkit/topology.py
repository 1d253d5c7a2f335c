"""The lab's network: a host with uplinks, a router behind each, a core that joins them, and a peer.

        up0 ── r1 ──┐
   host             core ── peer
        up1 ── r2 ──┘            (and up2 ── r3 where a story asks for three uplinks)

Every box is a network namespace, every line a veth pair made inside the two namespaces it joins; nothing of the lab
ever stands in the machine's own namespace. With `shared_link` all routers are on one link, a bridge in a namespace
of its own, and the host has up0 alone.
"""

import atexit
import ctypes
import os
import shlex
import shutil
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from .processes import Child, LabError, wait_until
from .record import Record

CLONE_NEWNET = 0x40000000
_libc = ctypes.CDLL(None, use_errno=True)
Result = TypeVar("Result")

PEER4 = "10.9.0.2"
PEER6 = "2001:db8:9::2"
DNS4 = "10.9.0.53"
DNS6 = "2001:db8:9::53"


@dataclass(frozen=True)
class Uplink:
    """The numbers of uplink `number` (1 for up0 behind r1, and so on). One scheme, so that logs read easily."""

    number: int

    @property
    def interface(self) -> str:
        return f"up{self.number - 1}"

    @property
    def router(self) -> str:
        return f"r{self.number}"

    @property
    def router4(self) -> str:
        return f"10.{self.number}.0.1"

    @property
    def host4(self) -> str:
        """What the host is given where a story has no DHCP; below the servers' pools (.50 to .99)."""
        return f"10.{self.number}.0.10"

    @property
    def prefix6(self) -> str:
        return f"2001:db8:{self.number}::"

    @property
    def router6(self) -> str:
        return f"{self.prefix6}1"

    @property
    def host6(self) -> str:
        return f"{self.prefix6}10"

    @property
    def router_link_local(self) -> str:
        return f"fe80::ff:fe00:{self.number << 8 | 0x01:x}"

    @property
    def host_mac(self) -> str:
        return f"02:00:00:00:{self.number:02x}:64"

    @property
    def router_mac(self) -> str:
        return f"02:00:00:00:{self.number:02x}:01"

    @property
    def slaac(self) -> str:
        """The address that the host makes of the prefix and its hardware address (RFC 4291, appendix A)."""
        return f"{self.prefix6}ff:fe00:{self.number << 8 | 0x64:x}"

    @property
    def link_local(self) -> str:
        return f"fe80::ff:fe00:{self.number << 8 | 0x64:x}"


def enter(namespace: str) -> None:
    """Moves the thread that calls it into that network namespace."""
    descriptor = os.open(f"/run/netns/{namespace}", os.O_RDONLY | os.O_CLOEXEC)
    try:
        if _libc.setns(descriptor, CLONE_NEWNET) != 0:
            number = ctypes.get_errno()
            raise OSError(number, f"setns {namespace}: {os.strerror(number)}")
    finally:
        os.close(descriptor)


class Namespace:
    """One box of the lab."""

    def __init__(self, record: Record, role: str) -> None:
        self.role = role
        self.name = f"{record.tag}-{role}"
        self._record = record
        record.add_namespace(self.name)
        _run(["ip", "netns", "add", self.name])

    def inside(self, work: Callable[[], Result]) -> Result:
        """Does the work in a thread that stands in this namespace. Sockets made there stay there."""
        outcome: list[Result] = []
        failure: list[BaseException] = []

        def work_inside() -> None:
            try:
                enter(self.name)
                outcome.append(work())
            except BaseException as error:  # handed to the caller's thread
                failure.append(error)

        thread = threading.Thread(target=work_inside)
        thread.start()
        thread.join()
        if failure:
            raise failure[0]
        return outcome[0]

    def socket(self, family: int, kind: int, protocol: int = 0) -> socket.socket:
        return self.inside(lambda: socket.socket(family, kind, protocol))

    def index(self, interface: str) -> int:
        return self.inside(lambda: socket.if_nametoindex(interface))

    def run(self, *command: str, check: bool = True, seconds: float = 10.0) -> str:
        return self.inside(lambda: _run(list(command), check=check, seconds=seconds))

    def ip(self, *lines: str) -> None:
        """Commands of ip(8), one a line, in one batch: `namespace.ip("link set up0 up", ...)`."""
        _run(["ip", "-n", self.name, "-batch", "-"], text="\n".join(lines) + "\n")

    def show(self, *arguments: str) -> str:
        return _run(["ip", "-n", self.name, *arguments])

    def addresses(self, interface: str, family: int = 0) -> list[str]:
        """The interface's addresses without prefix lengths, link-local ones left out."""
        flags = {4: ["-4"], 6: ["-6"], 0: []}[family]
        listing = self.show(*flags, "-o", "addr", "show", "dev", interface)
        found = [line.split()[3].split("/")[0] for line in listing.splitlines()]
        return [address for address in found if not address.startswith("fe80:")]

    def sysctl(self, settings: Mapping[str, object], optional: bool = False) -> None:
        """Keys with slashes, below /proc/sys/net. `optional`: this kernel may lack a key in a namespace."""

        def write() -> None:
            for key, value in settings.items():
                try:
                    Path("/proc/sys/net", key).write_text(f"{value}\n")
                except FileNotFoundError:
                    if not optional:
                        raise LabError(f"this kernel has no net/{key}") from None

        self.inside(write)

    def spawn(self, name: str, *command: str, **options: Any) -> Child:
        return Child(self._record, name, command, namespace=self.name, **options)


class Lab:
    """All of it. `with Lab() as lab:`; the namespaces and all processes in them end with the block or the process."""

    def __init__(
        self, uplinks: int = 2, shared_link: bool = False, dad: bool = False, keep_files: bool = False
    ) -> None:
        if os.geteuid() != 0:
            raise LabError("the lab makes network namespaces: run it as root")
        self.uplinks = [Uplink(number) for number in range(1, uplinks + 1)]
        self.shared_link = shared_link
        self.keep_files = keep_files
        self.children: list[Child] = []
        self.record = Record.create()
        self._guard = subprocess.Popen(
            [sys.executable, "-m", "labkit.record", str(self.record.directory)],
            stdin=subprocess.PIPE,
            start_new_session=True,
            cwd="/",
            env={
                "PYTHONPATH": str(Path(__file__).parent.parent),
                "PATH": os.environ.get("PATH", os.defpath),
                "PYTHONDONTWRITEBYTECODE": "1",
            },
        )
        atexit.register(self.close)
        try:
            self._lay_out(dad)
        except BaseException:
            self.close()
            raise

    # The boxes

    def _lay_out(self, dad: bool) -> None:
        self.host = Namespace(self.record, "host")
        self.core = Namespace(self.record, "core")
        self.peer = Namespace(self.record, "peer")
        self.routers = [Namespace(self.record, uplink.router) for uplink in self.uplinks]
        self.switch = Namespace(self.record, "switch") if self.shared_link else None
        self._settings(dad)
        self._links()
        self._await_links()
        self._numbers()

    def _settings(self, dad: bool) -> None:
        """Set before there are interfaces: what they start with is `default`. A machine's own settings leak into
        new namespaces (net.core.devconf_inherit_init_net), so nothing that matters is left unsaid."""
        common = {
            "ipv6/conf/all/disable_ipv6": 0,
            "ipv6/conf/default/disable_ipv6": 0,
            "ipv6/conf/default/use_tempaddr": 0,
            "ipv4/conf/all/rp_filter": 0,
            "ipv4/conf/default/rp_filter": 0,
        }
        host = {
            "ipv4/ip_forward": 0,
            "ipv6/conf/all/forwarding": 0,
            "ipv6/conf/default/accept_ra": 1,
            "ipv6/conf/default/accept_dad": int(dad),
            "ipv6/conf/default/router_solicitation_delay": 0,
        }
        router = {
            "ipv4/ip_forward": 1,
            "ipv6/conf/all/forwarding": 1,
            "ipv6/conf/default/accept_ra": 0,
            "ipv6/conf/default/accept_dad": 0,
            "ipv6/conf/default/keep_addr_on_down": 1,
            "ipv4/conf/all/send_redirects": 0,
            "ipv4/conf/default/send_redirects": 0,
            # Errors go out when they are due, not when a bucket has filled again.
            "ipv4/icmp_ratelimit": 0,
            "ipv6/icmp/ratelimit": 0,
        }
        quick = {"ipv4/icmp_msgs_per_sec": 1_000_000, "ipv4/icmp_msgs_burst": 100_000}
        self.host.sysctl({**common, **host})
        for namespace in [*self.routers, self.core]:
            namespace.sysctl({**common, **router})
            namespace.sysctl(quick, optional=True)
        self.peer.sysctl({**common, **host})
        self.peer.sysctl(quick, optional=True)
        self.peer.sysctl({"ipv4/icmp_ratelimit": 0, "ipv6/icmp/ratelimit": 0})
        for namespace in [self.host, self.peer, *self.routers, self.core]:
            namespace.ip("link set lo up")
        if self.switch is not None:
            self.switch.sysctl({"ipv6/conf/default/disable_ipv6": 1})
            self.switch.ip("link add wire type bridge forward_delay 0 mcast_snooping 0", "link set wire up")

    def _links(self) -> None:
        if self.switch is not None:
            self._pair(self.host, "up0", self.uplinks[0].host_mac, self.switch, "host", None)
            self.switch.ip("link set host master wire")
        for uplink, router in zip(self.uplinks, self.routers, strict=True):
            if self.switch is not None:
                self._pair(router, "host0", uplink.router_mac, self.switch, uplink.router, None)
                self.switch.ip(f"link set {uplink.router} master wire")
            else:
                self.plug(uplink)
            self._pair(router, "core0", None, self.core, uplink.router, None)
        self._pair(self.core, "peer0", None, self.peer, "core0", None)

    def _pair(
        self, one: Namespace, name: str, mac: str | None, other: Namespace, other_name: str, other_mac: str | None
    ) -> None:
        first = f"address {mac} " if mac else ""
        second = f" address {other_mac}" if other_mac else ""
        one.ip(f"link add {name} {first}type veth peer name {other_name}{second} netns {other.name}")
        one.ip(f"link set {name} up")
        other.ip(f"link set {other_name} up")

    def plug(self, uplink: Uplink) -> None:
        """Makes the link between the host and a router; again after `unplug`."""
        router = self.router(uplink)
        self._pair(self.host, uplink.interface, uplink.host_mac, router, "host0", uplink.router_mac)

    def unplug(self, uplink: Uplink) -> None:
        """Deletes the link, as a pulled USB device would."""
        self.host.ip(f"link del {uplink.interface}")

    def _await_links(self) -> None:
        """Until the kernel has come round to a link, IPv6 can't send there (EINVAL), and a daemon waits for its next
        turn: what a story is told first would depend on that."""

        def ready(namespace: Namespace) -> bool:
            names = set(namespace.inside(lambda: Path("/proc/thread-self/net/dev").read_text()).split())
            links = {name.removesuffix(":") for name in names if name.endswith(":")} - {"lo"}
            lines = namespace.inside(lambda: Path("/proc/thread-self/net/if_inet6").read_text()).splitlines()
            return links <= {line.split()[5] for line in lines if line.startswith("fe80")}

        for namespace in [self.host, self.peer, *self.routers, self.core]:
            wait_until(lambda namespace=namespace: ready(namespace), f"{namespace.role}'s links are up for IPv6", 10)

    def _numbers(self) -> None:
        for uplink in self.uplinks:
            self.number_router(uplink)
            self.number_line(uplink)
        self.core.ip("addr add 10.9.0.1/24 dev peer0", "addr add 2001:db8:9::1/64 dev peer0")
        self.peer.ip(
            f"addr add {PEER4}/24 dev core0",
            f"addr add {DNS4}/24 dev core0",
            f"addr add {PEER6}/64 dev core0",
            f"addr add {DNS6}/64 dev core0",
            "route add default via 10.9.0.1",
            "route add default via 2001:db8:9::1",
        )

    def number_router(self, uplink: Uplink) -> None:
        self.router(uplink).ip(
            f"addr add {uplink.router4}/24 dev host0",
            f"addr add {uplink.router6}/64 dev host0",
        )

    def number_line(self, uplink: Uplink) -> None:
        """Both ends of the line between the router and the core."""
        n = uplink.number
        self.router(uplink).ip(
            f"addr add 10.255.{n}.1/30 dev core0",
            f"addr add 2001:db8:ff:{n}::1/64 dev core0",
            f"route add default via 10.255.{n}.2 dev core0",
            f"route add default via 2001:db8:ff:{n}::2 dev core0",
        )
        self.core.ip(
            f"addr add 10.255.{n}.2/30 dev r{n}",
            f"addr add 2001:db8:ff:{n}::2/64 dev r{n}",
            f"route add 10.{n}.0.0/24 via 10.255.{n}.1",
            f"route add {uplink.prefix6}/64 via 2001:db8:ff:{n}::1",
        )

    def router(self, uplink: Uplink) -> Namespace:
        return self.routers[uplink.number - 1]

    @property
    def r1(self) -> Namespace:
        return self.routers[0]

    @property
    def r2(self) -> Namespace:
        return self.routers[1]

    # What happens to it

    def configure_by_hand(self, uplink: Uplink, families: str = "46", metric: int | None = None) -> None:
        """The host's addresses and default routes without any daemon."""
        metric = metric if metric is not None else 100 * uplink.number
        dev = uplink.interface
        if "4" in families:
            self.host.ip(
                f"addr add {uplink.host4}/24 dev {dev}",
                f"route add default via {uplink.router4} dev {dev} metric {metric}",
            )
        if "6" in families:
            self.host.ip(
                f"addr add {uplink.host6}/64 dev {dev}",
                f"route add default via {uplink.router_link_local} dev {dev} metric {metric}",
            )

    def cut(self, uplink: Uplink) -> None:
        """The router loses its upstream: it answers what it can't forward with ICMP network unreachable."""
        self.router(uplink).ip("link set core0 down")

    def mend(self, uplink: Uplink) -> None:
        n = uplink.number
        router = self.router(uplink)
        router.ip(
            "link set core0 up",
            f"route replace default via 10.255.{n}.2 dev core0",
            f"route replace default via 2001:db8:ff:{n}::2 dev core0",
        )

    def hide_advertisements(self) -> None:
        """From now on the host's kernel gets no Router Advertisement; packet sockets still do. It makes a neighbour of
        each router, whether it accepts advertisements or not, and all namespaces of a machine share one table of 1,024:
        a story with thousands of routers would take IPv6 away from those beside it."""
        chain = "chain early { type filter hook prerouting priority raw; icmpv6 type nd-router-advert drop; }"
        self.host.run("nft", f"table ip6 lab {{ {chain}; }}")

    def carrier(self, uplink: Uplink, on: bool) -> None:
        """The other end of the host's cable goes down, or up again."""
        self.router(uplink).ip(f"link set host0 {'up' if on else 'down'}")

    def reaches(self, uplink: Uplink, destination: str, seconds: float = 3.0) -> None:
        """Waits until the peer answers a ping through this uplink: the lab's own proof that the path is there."""

        def answered() -> bool:
            command = ["ping", "-n", "-c", "1", "-W", "0.3", "-I", uplink.interface, destination]
            return " 1 received" in self.host.run(*command, check=False)

        wait_until(answered, f"{destination} answers through {uplink.interface}", seconds)

    # Its processes

    def spawn(self, namespace: Namespace, name: str, *command: str, **options: Any) -> Child:
        child = namespace.spawn(name, *command, **options)
        self.children.append(child)
        return child

    def directory(self, name: str) -> Path:
        path = self.record.directory / name
        path.mkdir(exist_ok=True)
        return path

    def logs(self) -> dict[str, str]:
        return {path.stem: path.read_text(errors="replace") for path in sorted(self.record.directory.glob("*.log"))}

    def close(self) -> None:
        """Ends everything. What a signal interrupts here, the guard finishes."""
        atexit.unregister(self.close)
        self.record.erase(keep_files=True)
        for child in self.children:
            child.process.wait()
        if not self.keep_files:
            shutil.rmtree(self.record.directory, ignore_errors=True)
        if self._guard.stdin is not None and not self._guard.stdin.closed:
            self._guard.stdin.close()
            self._guard.wait()

    def __enter__(self) -> "Lab":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def end_by_signals() -> None:
    """Lets SIGTERM and SIGHUP unwind the stack as SIGINT does, so that labs are removed on the way."""

    def leave(number: int, _: object) -> None:
        raise SystemExit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    signal.signal(signal.SIGHUP, leave)


def _run(command: list[str], text: str = "", check: bool = True, seconds: float = 10.0) -> str:
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=seconds, check=False)
    if check and done.returncode != 0:
        lines = f"\n{text.rstrip()}" if text else ""
        raise LabError(f"{shlex.join(command)}: {done.stderr.strip()}{lines}")
    return done.stdout
