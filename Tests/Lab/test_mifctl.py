"""The command line against a living agent: what a person sees is what subscribers are told.

MIFCTL names the program."""

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from signal import SIGINT
from typing import Any

import pytest

from labkit import daemons, dns
from labkit.agent import Agent
from labkit.mif_client import Mif
from labkit.processes import Child, wait_until
from labkit.site import advertised
from labkit.story import MifEar, Tdb, tell
from labkit.topology import DNS4, DNS6, PEER4, PEER6, Lab, Uplink
from labkit.trigger_client import Kind, Verb

MIFCTL = os.environ.get("MIFCTL", "")
pytestmark = pytest.mark.skipif(not MIFCTL, reason="MIFCTL is not set: the path of mifctl")


def attempt(agent: Agent, *arguments: str, user: int = 0) -> "subprocess.CompletedProcess[str]":
    command = [MIFCTL, "--runtime-dir", str(agent.directory), *arguments]
    if user:
        # Wherever the program and its libraries lie, this user may read them.
        capabilities = ["--inh-caps=+dac_read_search", "--ambient-caps=+dac_read_search"]
        command = ["setpriv", f"--reuid={user}", f"--regid={user}", "--clear-groups", *capabilities, *command]
    return subprocess.run(command, capture_output=True, text=True, timeout=10, check=False, stdin=subprocess.DEVNULL)


def mifctl(agent: Agent, *arguments: str, user: int = 0) -> str:
    done = attempt(agent, *arguments, user=user)
    assert done.returncode == 0, done.stderr
    return done.stdout


def refusal(agent: Agent, *arguments: str, user: int = 0) -> str:
    """The one line that a person reads when it did not work."""
    done = attempt(agent, *arguments, user=user)
    assert (done.returncode, done.stdout) == (1, ""), done
    [line] = done.stderr.splitlines()
    tell(f"     {line}")
    return line


def one(output: str) -> dict[str, Any]:
    [line] = output.splitlines()
    found: dict[str, Any] = json.loads(line)
    return found


def objects(output: Path) -> list[dict[str, Any]]:
    """One JSON object a line; a line that is being written is not one yet."""
    return [json.loads(line) for line in output.read_text().split("\n")[:-1]]


def test_monitor_and_lists(lab: Lab, up0: Uplink, agent: Agent, tdb: Tdb, mif: MifEar) -> None:
    """Uplinks come, an upstream dies, a link goes: the monitor has an object for each, the lists show what stands."""
    output = lab.record.directory / "monitor.json"
    monitor = lab.spawn(
        lab.host, "monitor", MIFCTL, "--runtime-dir", str(agent.directory), "monitor", "--json", stdout=output
    )

    def seen(what: str, test: Callable[[dict[str, Any]], bool]) -> None:
        wait_until(lambda: any(test(each) for each in objects(output)), f"the monitor says: {what}")

    seen("what exists is complete", lambda o: (o["event"], o["change"]) == ("agent", "complete"))
    daemons.radvd(lab, up0)
    daemons.dnsmasq(lab, up0)
    daemons.dhclient(lab, up0)
    [address] = lab.host.addresses("up0", 4)
    seen("a new PvD", lambda o: (o["event"], o["change"]) == ("pvd", "new") and "up0" in json.dumps(o))
    seen("the address of the lease", lambda o: o["event"] == "address" and address in json.dumps(o))
    mif.expect(kind=Mif.ADDRESS, ip=address)
    shown = mifctl(agent, "pvds")
    for word in (address, up0.slaac, DNS4, DNS6, daemons.DOMAIN):
        assert word in shown
    interfaces = mifctl(agent, "interfaces")
    assert all(name in interfaces for name in ("lo", "up0", "up1"))

    lab.cut(up0)
    # Two: ping is gone with the error about its last one, and then nothing says that it was there.
    lab.host.run("ping", "-c", "2", "-W", "1", "-I", address, PEER4, check=False)
    told = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD)
    seen(
        "the peer is unreachable", lambda o: o["event"] == "trigger" and o["change"] == "new" and PEER4 in json.dumps(o)
    )
    assert told.ips == (address, PEER4)
    triggers = mifctl(agent, "triggers")
    assert PEER4 in triggers and address in triggers
    lab.unplug(up0)
    seen("up0 is gone", lambda o: (o["event"], o["change"]) == ("interface", "gone") and "up0" in json.dumps(o))

    known = set(mif.client.statistics())
    counted = {line.split()[0] for line in mifctl(agent, "stats").splitlines() if line.split()}
    assert known <= counted, f"stats lacks {sorted(known - counted)}"
    monitor.signal(SIGINT)
    monitor.wait()
    for each in objects(output):
        assert each["time_ns"] > 0 and each["change"] in {"exists", "new", "changed", "gone", "connected", "complete"}
        tell(f"     {each['time']} {each['event']} {each['change']}")


def test_trigger_commands(lab: Lab, agent: Agent, tdb: Tdb) -> None:
    """A person adds, looks at, changes and deletes triggers; a subscriber written without our headers is told each."""
    added = one(mifctl(agent, "trigger", "add", "--json", "dest-unreachable", "192.0.2.1", PEER4))
    told = tdb.expect(type=Kind.DEST_UNREACHABLE, cause=Verb.ADD)
    assert (added["id"], tuple(added["addresses"])) == (told.id, ("192.0.2.1/32", f"{PEER4}/32"))
    identifier = str(added["id"])
    shown = mifctl(agent, "trigger", "get", identifier)
    assert "DEST_UNREACHABLE (6)" in shown and PEER4 in shown and "client" in shown
    assert one(mifctl(agent, "trigger", "get", "--json", identifier))["origin"]["source"] == "client"

    # Its addresses stay where none are given.
    changed = mifctl(agent, "trigger", "modify", identifier, "TDB_TTYPE_CONN_LOST")
    assert changed == f"changed #{identifier} CONN_LOST 192.0.2.1, {PEER4}\n"
    tdb.expect(type=Kind.CONN_LOST, cause=Verb.MODIFY, id=told.id)
    mifctl(agent, "trigger", "modify", identifier, "200", "fe80::1/64%up0")
    told = tdb.expect(type=200, cause=Verb.MODIFY, id=told.id)
    [address] = told.addresses
    interfaces = [json.loads(line) for line in mifctl(agent, "interfaces", "--json").splitlines()]
    indexes = {each["name"]: each["index"] for each in interfaces}
    assert (address.ip, address.prefix, address.scope) == ("fe80::1", 64, indexes["up0"])

    other = one(mifctl(agent, "trigger", "add", "--json", "201"))["id"]
    done = attempt(agent, "trigger", "delete", identifier, "4000000000", str(other))
    assert done.returncode == 1 and done.stdout.count("deleted #") == 2
    assert done.stderr.startswith("mifctl: there is no trigger 4000000000 (ENOENT): ")
    tdb.expect(type=200, cause=Verb.DELETE)
    tdb.expect(type=201, cause=Verb.DELETE)


def test_trigger_selection(lab: Lab, agent: Agent) -> None:
    """list shows what its options select, triggers is the same word."""

    def ids(*arguments: str) -> list[int]:
        return [json.loads(line)["id"] for line in mifctl(agent, "trigger", "list", "--json", *arguments).splitlines()]

    added = [
        one(mifctl(agent, "trigger", "add", "--json", *words))["id"]
        for words in (["200"], ["200", "192.0.2.7/24"], ["201", "2001:db8:5::1"], ["202", "fe80::9/64%up1"])
    ]
    assert ids("--type", "200") == added[:2]
    assert ids("--type", "200", "--type", "TYPE_201") == added[:3]
    assert ids("--type", "200", "--address", "192.0.0.0/16") == added[1:2]
    assert ids("--address", "2001:db8:5::/48") == added[2:3]
    assert ids("--type", "202", "--address", "fe80::/10") == added[3:]
    assert ids("--type", "202", "--address", "fe80::/10%up0") == []
    assert ids("--type", "202", "--address", "fe80::/10%up1") == added[3:]
    shown = mifctl(agent, "trigger", "list", "--interface", "up1")
    assert "up1" in shown and "up0" not in shown and "TYPE_" not in shown
    everything = mifctl(agent, "trigger")
    assert mifctl(agent, "triggers") == mifctl(agent, "trigger", "list") == everything
    tell(everything)


@pytest.mark.configuration("trigger-write = user 1000: 200-299\ntriggers = 3\n")
def test_trigger_refusals(lab: Lab, agent: Agent) -> None:
    """Who may not is told what, and who may; a full database says what to do."""
    own = str(one(mifctl(agent, "trigger", "list", "--json", "--interface", "up0", "--type", "if-added"))["id"])
    roots = str(one(mifctl(agent, "trigger", "add", "--json", "7"))["id"])
    users = str(one(mifctl(agent, "trigger", "add", "--json", "200", user=1000))["id"])

    line = refusal(agent, "trigger", "add", "conn-lost", user=1000)
    assert "user 1000 may not add triggers of type CONN_LOST (EPERM)" in line and "trigger-write" in line
    line = refusal(agent, "trigger", "add", "200", user=1001)
    assert "user 1001 may not add triggers of type TYPE_200 (EPERM)" in line
    for verb, words in (("delete", ["delete", roots]), ("change", ["modify", roots, "200"])):
        assert f"user 1000 may not {verb} trigger {roots} (EPERM)" in refusal(agent, "trigger", *words, user=1000)
        # Nor root.
        words = [own if word == roots else word for word in words]
        assert refusal(agent, "trigger", *words) == (
            f"mifctl: trigger {own} is the agent's own, from kernel (EPERM): nobody else may {verb} it"
        )
    mifctl(agent, "trigger", "modify", users, "201", user=1000)
    mifctl(agent, "trigger", "add", "7")
    line = refusal(agent, "trigger", "add", "7")
    assert "ENOSPC" in line and "raise triggers in its configuration" in line
    line = refusal(agent, "trigger", "add", "202", user=1000)
    assert "user 1000" in line and "triggers-per-user" in line
    mifctl(agent, "trigger", "delete", users, user=1000)


@pytest.mark.configuration("trigger-read = user 1000: 1-6\n")
def test_trigger_readers(lab: Lab, agent: Agent) -> None:
    """Who may read some types sees these, who may read none is told so."""
    mine = str(one(mifctl(agent, "trigger", "add", "--json", "200"))["id"])
    assert "TYPE_200" in mifctl(agent, "trigger")
    seen = mifctl(agent, "trigger", user=1000)
    assert "IF_ADDED" in seen and "TYPE_200" not in seen
    assert f"user 1000 may not read trigger {mine} (EPERM)" in refusal(agent, "trigger", "get", mine, user=1000)
    assert "user 1001 may read no trigger (EPERM)" in refusal(agent, "trigger", user=1001)
    assert "user 1001 may read no trigger (EPERM)" in refusal(agent, "trigger", "watch", user=1001)


def test_watch_over_a_restart(lab: Lab, up0: Uplink, agent: Agent, binary: Path) -> None:
    """watch outlives the agent: what is different after a restart is told, what is not is not."""
    kept = mifctl(agent, "trigger", "add", "200", "192.0.2.1")
    assert kept.startswith("added #")
    output = lab.record.directory / "watch.json"
    watch = lab.spawn(
        lab.host,
        "watch",
        MIFCTL,
        *("trigger", "watch", "--json", "--type", "200", "--type", "if-added", "--type", "if-addrchanged"),
        environment={"MIFD_RUNTIME_DIR": str(agent.directory)},
        stdout=output,
    )

    def changes(event: str) -> list[str]:
        return [each["change"] for each in objects(output) if each["event"] == event]

    def seen(what: str, test: Callable[[dict[str, Any]], bool]) -> None:
        wait_until(lambda: any(test(each) for each in objects(output)), f"watch says: {what}")

    def is_about(word: str, change: str) -> Callable[[dict[str, Any]], bool]:
        return lambda o: o["change"] == change and word in json.dumps(o.get("trigger", {}))

    wait_until(lambda: changes("agent") == ["connected", "complete"], "watch has said what exists")
    assert any(is_about("192.0.2.1", "exists")(each) for each in objects(output))
    lab.host.run("ip", "address", "add", "192.0.2.77/24", "dev", "up0")
    seen("the new address", is_about("192.0.2.77", "new"))

    agent.stop()
    wait_until(lambda: changes("agent")[-1] == "gone", "watch misses the agent")
    lab.host.run("ip", "address", "del", "192.0.2.77/24", "dev", "up0")
    lab.host.run("ip", "address", "add", "192.0.2.78/24", "dev", "up0")
    before = len(objects(output))
    again = lab.spawn(lab.host, "agent-again", str(binary), "--runtime-dir", str(agent.directory))
    wait_until(lambda: changes("agent")[-2:] == ["connected", "complete"], "watch is in step again", seconds=10)
    seen("the address that came meanwhile", is_about("192.0.2.78", "new"))
    seen("the address that went meanwhile", is_about("192.0.2.77", "gone"))
    # Triggers of clients end with the agent.
    seen("the client's trigger", is_about("192.0.2.1/", "gone"))
    since = objects(output)[before:]
    assert not [each for each in since if is_about("IF_ADDED", "new")(each) or is_about("IF_ADDED", "gone")(each)]
    mifctl(agent, "trigger", "add", "200")
    seen("what comes after", is_about("TYPE_200", "new"))
    watch.signal(SIGINT)
    assert watch.wait() == 0
    again.stop()
    for each in objects(output):
        trigger = each.get("trigger", {})
        tell(f"     {each['time']} {each['change']} {trigger.get('name', '')} {' '.join(trigger.get('addresses', []))}")


def test_no_agent(tmp_path: Path) -> None:
    """One line that says where it looked, exit 1."""
    command = [MIFCTL, "--runtime-dir", str(tmp_path), "interfaces"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 1 and str(tmp_path) in done.stderr
    assert len(done.stderr.strip().splitlines()) == 1


def test_usage() -> None:
    done = subprocess.run([MIFCTL, "no-such-command"], capture_output=True, text=True, timeout=10, check=False)
    assert done.returncode == 2


# interface


@pytest.mark.configuration("connectivity = user 23001\n")
def test_interface_down(lab: Lab, up0: Uplink, agent: Agent, mif: MifEar) -> None:
    """mifctl interface down NAME --grace 2s: everybody is told, then it is down; who may not reads who may."""
    line = refusal(agent, "interface", "down", "up0", user=23_002)
    assert "user 23002 may not take interfaces down (EPERM)" in line and "connectivity" in line
    assert "there is no interface up9" in refusal(agent, "interface", "down", "up9")
    for wrong in ("2", "s", "-1s", "2h", "1.5s", "3601s", ""):
        assert attempt(agent, "interface", "down", "up0", f"--grace={wrong}").returncode == 2, wrong
    mif.none(kind=Mif.INTERFACE_GOING_AWAY)
    assert mifctl(agent, "interface", "down", "up0", "--grace", "400ms", user=23_001) == ""
    gone = mif.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up0")
    down = mif.expect(kind=Mif.INTERFACE, name="up0", flags=0)
    assert 0.38 < (down.received - gone.received) / 1e9 < 1
    assert mifctl(agent, "interface", "down", "up1") == ""
    gone = mif.expect(kind=Mif.INTERFACE_GOING_AWAY, name="up1")
    down = mif.expect(kind=Mif.INTERFACE, name="up1", flags=0)
    assert 0.98 < (down.received - gone.received) / 1e9 < 1.6, "the configured time"


# resolve, connect

NAME = "host.example"
SERVER = f"""
import socket, threading
server = socket.create_server(("{PEER6}", 8080), family=socket.AF_INET6)
datagrams = socket.socket(socket.AF_INET6, socket.SOCK_DGRAM)
datagrams.bind(("{PEER6}", 8080))
def answer():
    while True:
        data, address = datagrams.recvfrom(65536)
        datagrams.sendto(data.upper(), address)
def serve(peer, address):
    peer.sendall(address[0].encode() + b"\\n")
    while data := peer.recv(65536):
        peer.sendall(data.upper())
    peer.sendall(b"bye\\n")
    peer.close()
threading.Thread(target=answer, daemon=True).start()
print("listening", flush=True)
while True:
    threading.Thread(target=serve, args=server.accept(), daemon=True).start()
"""


@pytest.fixture
def server(lab: Lab) -> Child:
    """Behind both uplinks; it says whom it sees, then everything louder, and after that "bye"."""
    child = lab.spawn(lab.peer, "server", "python3", "-c", SERVER)
    child.says("listening")
    return child


def inside(lab: Lab, agent: Agent, *arguments: str, text: str = "") -> "subprocess.CompletedProcess[str]":
    command = [MIFCTL, "--runtime-dir", str(agent.directory), *arguments]
    done = lab.host.inside(
        lambda: subprocess.run(command, capture_output=True, text=True, timeout=20, check=False, input=text)
    )
    for line in [*done.stdout.splitlines(), *done.stderr.splitlines()]:
        tell(f"     {line}")
    return done


def test_resolve_and_connect(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, mif: MifEar, server: Child) -> None:
    """Two networks, of which one knows the name: what each says of it, and a connection through the one that does; the
    other one where it is asked for; around the first when that dies."""
    done = inside(lab, agent, "resolve", NAME)
    assert done.returncode == 1 and "there is no provisioning domain" in done.stderr
    with (
        dns.Server(lab.router(up0), up0.router6, dns.zone({NAME: [PEER6]}, ttl=77)),
        dns.Server(lab.router(up1), up1.router6, dns.failing(dns.SERVFAIL)) as second,
    ):
        pvds = [advertised(lab, mif, uplink, [uplink.router6]) for uplink in (up0, up1)]
        for uplink in (up0, up1):
            lab.reaches(uplink, PEER6)

        done = inside(lab, agent, "resolve", NAME)
        assert done.returncode == 0 and done.stderr == ""
        words = [line.split(maxsplit=1) for line in done.stdout.splitlines()]
        of = {f"up{n}": [rest for name, rest in words if name.startswith(f"up{n}/")] for n in (0, 1)}
        assert of["up0"][0] == f"{PEER6}  1m17s" and of["up0"][1].startswith("-- 1 address, after ")
        [failed] = of["up1"]
        assert failed.startswith("-- the DNS server answers SERVFAIL")

        found = [json.loads(line) for line in inside(lab, agent, "resolve", NAME, "--json").stdout.splitlines()]
        assert [(each["pvd"]["id"], each["address"], each["ttl"]) for each in found if "address" in each] == [
            (pvds[0], PEER6, 77)
        ]
        assert {(each["pvd"]["id"], each["end"]) for each in found if "end" in each} == {
            (pvds[0], "complete"),
            (pvds[1], "failed"),
        }
        done = inside(lab, agent, "resolve", NAME, "--interface", "up1")
        assert done.returncode == 1 and f"(id {pvds[1]}) has no address for host.example" in done.stderr

        done = inside(lab, agent, "connect", NAME, "8080", "-v", text="some words\n")
        assert (done.returncode, done.stdout) == (0, f"{up0.slaac}\nSOME WORDS\nbye\n")
        assert f"mifctl: connected to [{PEER6}]:8080 from [{up0.slaac}]:" in done.stderr
        assert f"(id {pvds[0]}) on up0\n" in done.stderr
        done = inside(lab, agent, "connect", NAME, "8081")
        assert done.returncode == 1
        assert done.stderr.startswith(f"mifctl: cannot connect to {NAME} port 8081: Connection refused\n")
        assert f": [{PEER6}]:8081: Connection refused\n" in done.stderr and "SERVFAIL" in done.stderr

        # The one that is chosen, by interface and by number.
        for choice in (("--interface", "up1"), ("--pvd", str(pvds[1]))):
            done = inside(lab, agent, "connect", PEER6, "8080", *choice, text="x")
            assert (done.returncode, done.stdout.splitlines()[0]) == (0, up1.slaac)
        done = inside(lab, agent, "connect", PEER6, "8080", "--udp", text="a datagram")
        assert (done.returncode, done.stdout) == (0, "A DATAGRAM")

        second.answer = dns.zone({NAME: [PEER6]})
        lab.cut(up0)
        done = inside(lab, agent, "connect", NAME, "8080", "-v", text="x")
        assert (done.returncode, done.stdout.splitlines()[0]) == (0, up1.slaac)
