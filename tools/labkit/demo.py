"""The story that `tools/demo` tells: what a host with two uplinks lives through, and what the agent says of it."""

import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from . import daemons
from .agent import Agent
from .processes import wait_until
from .story import distribution, percentile
from .topology import PEER4, Lab, Uplink
from .trigger_client import Kind, TriggerClient, Verb

SAMPLES = 200


def tell(lab: Lab, mifd: Path, mifctl: Path) -> None:
    up0, up1 = lab.uplinks
    agent = Agent(lab, mifd)
    say("A host with two uplinks, up0 and up1, a router behind each, and a peer far away. mifd runs, nothing else yet.")
    with monitor(lab, agent, mifctl):
        say("Router r1 starts to advertise (radvd): a provisioning domain with its prefix, DNS server and search list.")
        daemons.radvd(lab, up0)
        wait_until(lambda: up0.slaac in lab.host.addresses("up0"), "up0 has an address of the prefix")
        pause()
        say("Both routers serve DHCPv4 (dnsmasq, Kea); dhclient runs on up0, dhcpcd on up1: a lease on each.")
        daemons.dnsmasq(lab, up0)
        daemons.kea4(lab, up1)
        daemons.dhclient(lab, up0)
        daemons.dhcpcd(lab, up1)
        pause()

    say("What the host knows now, asked for (mifctl pvds):")
    show(lab, mifctl, agent, "pvds")

    with monitor(lab, agent, mifctl):
        say("r1 loses its upstream. The host's next packet to the peer comes back as ICMP network unreachable: a trigger")
        say("with both ends of the dead path. An IKE daemon left alone finds out after minutes.")
        lab.cut(up0)
        lease = next(address for address in lab.host.addresses("up0", 4))
        with talk(lab, lease, PEER4):
            pause()
        say("up1's cable is pulled: first the connection is lost, then its address and provisioning domain go.")
        lab.unplug(up1)
        pause()

    say(f"How fast: {SAMPLES} destinations behind the dead upstream, one ICMP error each. From the kernel's receive")
    say("timestamp of the error to the subscriber that has read the trigger:")
    took = measure(lab, agent, up0)
    print(f"\n    {distribution(took)}")
    print(f"    half of them within {percentile(took, 0.5):.0f} µs\n", flush=True)
    status = agent.stop()
    say(f"The agent was asked to end and did, with status {status}; the lab is removed.")


def say(text: str) -> None:
    print(f"\033[1m# {text}\033[0m" if sys.stdout.isatty() else f"# {text}", flush=True)


def pause(seconds: float = 1.5) -> None:
    """Lets the lines scroll by."""
    time.sleep(seconds)


def show(lab: Lab, mifctl: Path, agent: Agent, *words: str) -> None:
    text = lab.host.run(str(mifctl), "--runtime-dir", str(agent.directory), *words)
    print("\n" + "".join(f"    {line}\n" for line in text.splitlines()), flush=True)


@contextmanager
def monitor(lab: Lab, agent: Agent, mifctl: Path) -> Iterator[None]:
    """Shows the news of `mifctl monitor` while the block runs; what existed before is left out."""
    watching = subprocess.Popen(
        [str(mifctl), "--runtime-dir", str(agent.directory), "monitor"],
        stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, text=True,
    )
    complete = threading.Event()

    def scroll() -> None:
        assert watching.stdout is not None
        for line in watching.stdout:
            if complete.is_set():
                print(f"    {line}", end="", flush=True)
            elif " complete " in line:
                complete.set()

    reader = threading.Thread(target=scroll)
    reader.start()
    try:
        complete.wait(5)
        print(flush=True)
        yield
    finally:
        watching.terminate()
        watching.wait(5)
        reader.join(5)
        print(flush=True)


@contextmanager
def talk(lab: Lab, local: str, destination: str) -> Iterator[None]:
    """The host sends one packet, and keeps the socket as an IKE daemon would."""
    with lab.host.socket(socket.AF_INET, socket.SOCK_DGRAM) as opened:
        opened.bind((local, 0))
        opened.connect((destination, 4500))
        opened.send(b"hello")
        yield


def measure(lab: Lab, agent: Agent, uplink: Uplink) -> list[float]:
    """Microseconds from the error's arrival to the subscriber, one destination after the other. A router answers a
    source with five errors, then with one a second (net.ipv4.route.error_burst): so the host has many addresses, and
    asks again where the router kept silent."""
    network = uplink.router4.rpartition(".")[0]
    sources = [f"{network}.{200 + number}" for number in range(SAMPLES // 5)]
    lab.host.ip(*(f"addr add {source}/24 dev {uplink.interface} noprefixroute" for source in sources))
    client = TriggerClient(agent.directory)
    client.register()
    client.drain()
    took: list[float] = []
    for number in range(SAMPLES):
        destination = f"198.51.100.{1 + number}"
        told = None
        for _ in range(4):
            with talk(lab, sources[number // 5], destination):
                deadline = time.monotonic() + 1.2
                while told is None and client.pump(deadline - time.monotonic()):
                    told = next(
                        (t for t in client.log if t.cause == Verb.ADD and t.type == Kind.DEST_UNREACHABLE
                         and destination in t.ips), None)
            if told is not None:
                break
        client.log.clear()
        if told is None or told.origin is None:
            raise AssertionError(f"no trigger for {destination}")
        took.append((told.received - told.origin.timestamp) / 1000)
    client.close()
    return took
