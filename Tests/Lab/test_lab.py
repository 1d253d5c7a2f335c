"""The lab itself: whatever becomes of who started it, nothing of it stays."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from labkit import record
from labkit.processes import wait_until
from labkit.topology import Lab

TOOLS = Path(__file__).parents[2] / "tools"
# Whoever runs the tests in the background has SIGINT ignored: by these too, if they leave it at that.
PLAY = """
import signal, sys, time
from labkit import daemons
from labkit.topology import Lab, end_by_signals
end_by_signals()
signal.signal(signal.SIGINT, signal.default_int_handler)
with Lab() as lab:
    daemons.radvd(lab, lab.uplinks[0])
    daemons.dnsmasq(lab, lab.uplinks[0])
    daemons.dhclient(lab, lab.uplinks[0])
    print(lab.record.tag, *(child.pid for child in lab.children), flush=True)
    time.sleep(60)
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes network namespaces: run as root")


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGKILL])
def test_nothing_stays(number: signal.Signals) -> None:
    owner = subprocess.Popen(
        [sys.executable, "-c", PLAY], env={**os.environ, "PYTHONPATH": str(TOOLS)}, stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert owner.stdout is not None
    tag, *pids = owner.stdout.readline().split()
    assert len(pids) == 3 and (record.ROOT / tag).is_dir()
    owner.send_signal(number)
    owner.wait(10)
    owner.stdout.close()

    def gone() -> bool:
        processes = [pid for pid in pids if record.start_time(int(pid)) is not None]
        namespaces = [path for path in Path("/run/netns").glob(f"{tag}-*")]
        return not processes and not namespaces and not (record.ROOT / tag).exists()

    wait_until(gone, f"everything of {tag} is gone after {number.name}")


def test_clean_spares_the_living() -> None:
    with Lab() as lab:
        removed, living = record.clean()
        assert living >= 1 and removed == 0
        assert "up0" in lab.host.show("link")


def test_a_reused_process_id_is_spared() -> None:
    """What a record names is a process by its id and its start: an id alone ends nobody."""
    somebody = subprocess.Popen(["sleep", "30"], start_new_session=True)
    try:
        record.end_group(record.Process(somebody.pid, 1))
        assert somebody.poll() is None
        record.end_group(record.Process.named(somebody.pid))
        assert somebody.wait(2) == -signal.SIGKILL
    finally:
        somebody.kill()
        somebody.wait()
