"""What an embedded gateway pays for the agent: memory, and nothing at all while nothing happens."""

import time
from pathlib import Path

import pytest

from labkit.agent import Agent, is_static
from labkit.processes import wait_until
from labkit.story import tell
from labkit.topology import Lab
from labkit.trigger_client import TriggerClient

INTERFACES = 16
TRIGGERS = 100
QUIET = 5.0


@pytest.fixture
def gateway(lab: Lab, binary: Path) -> Agent:
    """An agent on a host with 16 interfaces, a subscriber, and 100 triggers."""
    for number in range((INTERFACES - len(lab.uplinks)) // 2):
        lab.host.ip(f"link add left{number} type veth peer name right{number}")
        lab.host.ip(f"link set left{number} up", f"link set right{number} up")
    for uplink in lab.uplinks:
        lab.configure_by_hand(uplink)
    assert len(lab.host.show("-o", "link").splitlines()) == INTERFACES + 1
    agent = Agent(lab, binary)
    client = TriggerClient(agent.directory)
    there = len(client.register())
    for _ in range(TRIGGERS - there):
        client.add(100)
    return agent


def test_no_wake_ups(gateway: Agent) -> None:
    """Nothing happens for five seconds, and nobody wakes up: neither the engine nor the keeper. What the kernel does with
    links that have just come up is over sooner or later."""

    def rests() -> bool:
        before = gateway.wakeups()
        time.sleep(QUIET)
        return gateway.wakeups() == before

    wait_until(rests, f"nobody wakes up for {QUIET} s", 90)
    tell(f"cpu  no wake-up in {QUIET} s")


def test_three_megabytes(gateway: Agent) -> None:
    """Engine and keeper together, rings included."""
    if not is_static(gateway.binary):
        pytest.skip("it holds for the gateway build; the ordinary one has shared libraries")
    footprint = gateway.footprint()
    tell(f"mem  {footprint >> 10} KiB")
    assert footprint <= 3 << 20
