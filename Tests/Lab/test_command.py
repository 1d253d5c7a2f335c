"""The command line of the agent, its end, its memory, and a capture that it replays."""

import os
import stat
from pathlib import Path
from signal import SIGKILL

import pytest

from labkit import daemons
from labkit.agent import SOCKETS, Agent, is_static, run_briefly
from labkit.connection import Closed
from labkit.daemons import Capture
from labkit.mif_client import Mif
from labkit.processes import wait_until
from labkit.story import MifEar, Tdb, tell
from labkit.topology import Lab, Uplink
from labkit.trigger_client import Kind, TriggerClient, Verb


AS_NOBODY = ["setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups"]


def for_everybody(lab: Lab, binary: Path) -> Path:
    """A copy: the build may stand where nobody else may look."""
    copy = lab.directory("bin") / "mifd"
    copy.write_bytes(binary.read_bytes())
    copy.chmod(0o755)
    return copy


def one_line(text: str) -> str:
    lines = text.strip().splitlines()
    assert len(lines) == 1, f"not one line:\n{text}"
    return lines[0]


@pytest.mark.parametrize("arguments", [["--no-such-option"], ["--runtime-dir"], ["--config"], ["stray"]])
def test_usage(arguments: list[str], lab: Lab, binary: Path) -> None:
    """A bad option: exit 2, and what it was is said."""
    done = run_briefly(lab, binary, arguments)
    assert done.returncode == 2 and done.stderr
    assert arguments[0] in done.stderr


def test_help(lab: Lab, binary: Path) -> None:
    done = run_briefly(lab, binary, ["--help"])
    assert done.returncode == 0
    for option in ("--config", "--runtime-dir", "--replay", "--self-test"):
        assert option in done.stdout + done.stderr


def test_self_test(lab: Lab, binary: Path) -> None:
    """Decoders, state and messages, checked by anybody and without a file but the agent's own."""
    done = run_briefly(lab, for_everybody(lab, binary), ["--self-test"], prefix=AS_NOBODY)
    lines = done.stdout.splitlines()
    assert done.returncode == 0 and not done.stderr, done.stdout + done.stderr
    assert len(lines) == 9 and all(line.startswith("ok ") for line in lines), done.stdout


def test_unreadable_configuration(lab: Lab, binary: Path, tmp_path: Path) -> None:
    """One line that says which file and what is wrong with it, exit 1."""
    missing = tmp_path / "nowhere.conf"
    done = run_briefly(lab, binary, ["--runtime-dir", str(tmp_path / "run"), "--config", str(missing)])
    assert done.returncode == 1 and "nowhere.conf" in one_line(done.stderr)

    wrong = tmp_path / "wrong.conf"
    wrong.write_text("# fine\nthis is no setting = = 7\n")
    done = run_briefly(lab, binary, ["--runtime-dir", str(tmp_path / "run"), "--config", str(wrong)])
    line = one_line(done.stderr)
    assert done.returncode == 1 and "wrong.conf" in line and "2" in line

    done = run_briefly(lab, binary, ["--runtime-dir", str(tmp_path / "run"), "--config", str(tmp_path)])
    assert done.returncode == 1 and one_line(done.stderr)


def test_runtime_directory_that_cannot_be(lab: Lab, binary: Path, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    done = run_briefly(lab, binary, ["--runtime-dir", str(file / "below")])
    assert done.returncode == 1 and "file" in one_line(done.stderr)


def test_no_privilege(lab: Lab, binary: Path, tmp_path: Path) -> None:
    """Without the capabilities it says in one line which privilege it wants, and ends with 1."""
    tmp_path.chmod(0o777)
    runtime = lab.directory("nobody")
    runtime.chmod(0o777)
    done = run_briefly(lab, for_everybody(lab, binary), ["--runtime-dir", str(runtime / "run")], prefix=AS_NOBODY)
    assert done.returncode == 1
    line = one_line(done.stderr)
    assert "CAP_NET" in line or "privilege" in line or "ermi" in line, line


def test_second_instance(lab: Lab, agent: Agent, binary: Path) -> None:
    """A second one on the same directory refuses and says why; the first goes on."""
    done = run_briefly(lab, binary, ["--runtime-dir", str(agent.directory)])
    assert done.returncode == 1
    assert str(agent.directory) in one_line(done.stderr)
    one = TriggerClient(agent.directory)
    assert one.register()
    one.close()


def test_polite_end(lab: Lab, agent: Agent) -> None:
    """SIGTERM ends it cleanly, closes what clients have open, and removes the sockets."""
    for name in SOCKETS:
        assert stat.S_ISSOCK((agent.directory / name).stat().st_mode)
    one = TriggerClient(agent.directory)
    assert agent.stop() == 0
    assert [name for name in SOCKETS if (agent.directory / name).exists()] == []
    with pytest.raises(Closed):  # behind what was still to be told, if there was anything
        while one.pump(1):
            pass


def keeper(agent: Agent) -> int:
    """The pid of the process beside the engine that keeps its privileges."""
    (found,) = Path(f"/proc/{agent.child.pid}/task/{agent.child.pid}/children").read_text().split()
    return int(found)


def test_after_a_crash(lab: Lab, agent: Agent, binary: Path) -> None:
    """Sockets that an agent left behind, when it was killed with its keeper, don't keep the next one from starting."""
    os.kill(keeper(agent), SIGKILL)
    os.kill(agent.child.pid, SIGKILL)
    agent.child.wait()
    assert (agent.directory / TriggerClient.name).exists()
    Agent(lab, binary).stop()


def test_restart_after_a_crash(lab: Lab, agent: Agent, binary: Path) -> None:
    """An agent that is started the moment the one before was killed waits for that one's keeper to tidy up."""
    os.kill(agent.child.pid, SIGKILL)
    agent.child.wait()
    next_one = Agent(lab, binary, ready=False)
    next_one.wait_ready()
    next_one.stop()


def test_replay(lab: Lab, up0: Uplink, binary: Path, mif: MifEar, tdb: Tdb) -> None:
    """A capture of an uplink that comes up, played back: the same PvDs and elements as were told live.

    The gateway build has no libpcap: it says so, and ends with 1."""
    capture = Capture(lab, lab.host, "up0")
    daemons.radvd(lab, up0)
    daemons.dnsmasq(lab, up0)
    daemons.dhclient(lab, up0)
    mif.expect_all(
        {"kind": Mif.PVD, "name": lambda name: name == f"up0/ra/{up0.router_link_local}"},
        {"kind": Mif.PVD, "name": lambda name: name == f"up0/dhcpv4/{up0.router4}"},
    )
    tdb.expect(cause=Verb.ADD, type=Kind.CONN_ESTABLISHED)
    lab.configure_by_hand(up0, "")
    lab.cut(up0)
    # Two: ping is gone with the error about its last one, and then nothing says that it was there.
    lab.host.run("ping", "-c", "2", "-W", "1", "-I", "up0", "10.9.0.2", check=False)
    tdb.expect(cause=Verb.ADD, type=Kind.DEST_UNREACHABLE)
    file = capture.stop()
    assert file.stat().st_size > 500
    done = run_briefly(lab, binary, ["--replay", str(file)])
    if done.returncode == 1:
        assert is_static(binary), done.stderr
        assert "replay" in one_line(done.stderr) or "pcap" in done.stderr
        tell(f"     {done.stderr.strip()}")
        return
    assert done.returncode == 0, done.stderr
    for line in done.stdout.splitlines():
        tell(f"     {line}")
    # A capture of one link has no names: the interface is the first one there is, without its addresses.
    for word in ("PVD", up0.router_link_local, "DHCPv4", "DEST_UNREACHABLE", "10.9.0.2"):
        assert word in done.stdout


def test_replay_of_what_is_no_capture(lab: Lab, binary: Path, tmp_path: Path) -> None:
    file = tmp_path / "noise.pcap"
    file.write_bytes(b"this is no capture" * 10)
    done = run_briefly(lab, binary, ["--replay", str(file)])
    assert done.returncode == 1 and one_line(done.stderr)


def test_resident_memory(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, binary: Path, mif: MifEar, tdb: Tdb) -> None:
    """The gateway build: one static file under 2 MB, under 4 MB resident with the lab up, rings included."""
    for uplink in (up0, up1):
        daemons.radvd(lab, uplink)
        daemons.dnsmasq(lab, uplink)
        daemons.dhclient(lab, uplink)
    mif.expect_all(*({"kind": Mif.ADDRESS, "ip": uplink.slaac} for uplink in (up0, up1)))
    resident, size = agent.resident(), binary.stat().st_size
    linked = "static" if is_static(binary) else "dynamic"
    tell(f"     {linked}, {size / 1e6:.2f} MB on disk, {resident / 1e6:.2f} MB resident")
    if is_static(binary):
        assert size < 2_000_000
        assert resident < 4_000_000


def test_privileges(lab: Lab, agent: Agent) -> None:
    """The engine gives root's privileges up for good; a small keeper keeps them, and ends with it."""

    def status(pid: int) -> dict[str, str]:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}

    engine = status(agent.child.pid)
    assert engine["Uid"].split() == [engine["Uid"].split()[0]] * 4 and engine["Uid"].split()[0] != "0"
    assert engine["Gid"].split()[0] != "0" and not engine["Groups"]
    assert int(engine["CapEff"], 16) == 0 and int(engine["CapPrm"], 16) == 0 and engine["NoNewPrivs"] == "1"
    assert status(keeper(agent))["Uid"].split()[0] == "0"


def test_crash_leaves_no_sockets(lab: Lab, agent: Agent) -> None:
    """The keeper removes the sockets of an engine that was killed, and ends."""
    beside = keeper(agent)
    agent.child.signal(SIGKILL)
    wait_until(lambda: not any((agent.directory / name).exists() for name in SOCKETS), "the sockets are gone")
    wait_until(lambda: not Path(f"/proc/{beside}").exists(), "the keeper has ended")
