"""The command `tools/lab`."""

import argparse
import os
import signal
import subprocess
import sys
from pathlib import Path

from . import captures, daemons, demo, mobike, record
from .agent import Agent
from .install import install, missing
from .processes import LabError, run_as_command
from .topology import Lab, Uplink, end_by_signals

TESTS = Path(__file__).parents[2] / "Tests" / "Lab"


def populate(lab: Lab) -> None:
    """The usual network: two routers with different software, and a different client on each uplink."""
    up0, up1 = lab.uplinks[:2]
    daemons.radvd(lab, up0)
    daemons.dnsmasq(lab, up0)
    daemons.radvd(lab, up1, other=True)
    daemons.kea4(lab, up1)
    daemons.dhclient(lab, up0)
    daemons.dhcpcd(lab, up1)


def up(arguments: argparse.Namespace) -> int:
    with Lab(uplinks=arguments.uplinks) as lab:
        populate(lab)
        print(f"The lab {lab.record.tag} is up: host (up0, up1), r1, r2, core, peer.\n")
        for line in lab.host.show("-brief", "address").splitlines():
            print(f"  {line.rstrip()}")
        if arguments.agent:
            agent = Agent(lab, arguments.agent.resolve())
            print(f"\n  agent   {arguments.agent}, sockets in {agent.directory}")
            print(f"  watch   mifctl --runtime-dir {agent.directory} monitor")
        print(f"\n  enter   tools/lab shell host        (or {lab.host.name})")
        print("  cut     tools/lab shell r1 ip link set core0 down")
        print(f"  logs    {lab.record.directory}/*.log")
        print("\nCtrl-C ends it.", flush=True)
        try:
            signal.pause()
        except (KeyboardInterrupt, SystemExit):
            print()
    return 0


def record_captures(arguments: argparse.Namespace) -> int:
    """Plays each scene once and keeps what went over the uplink."""
    arguments.directory.mkdir(parents=True, exist_ok=True)
    unknown = set(arguments.scene) - set(captures.SCENES)
    if unknown:
        raise LabError(f"no scene {' '.join(sorted(unknown))}: there are {' '.join(captures.SCENES)}")
    for name in arguments.scene or captures.SCENES:
        data = captures.record(name)
        target = arguments.directory / f"{name}.pcap"
        target.write_bytes(data)
        print(f"{target}: {len(data)} bytes")
    return 0


def story(arguments: argparse.Namespace) -> int:
    """A story is an end-to-end test that is told while it runs."""
    return pytest(arguments, "-s", "-k", arguments.name)


def test(arguments: argparse.Namespace) -> int:
    return pytest(arguments, "--durations=5", "--tb=short")


def pytest(arguments: argparse.Namespace, *options: str) -> int:
    environment = {**os.environ}
    if arguments.agent:
        environment["MIFD_AGENTS"] = ":".join(str(path.resolve()) for path in arguments.agent)
    if arguments.mifctl:
        environment["MIFCTL"] = str(arguments.mifctl.resolve())
    if not environment.get("MIFD_AGENTS"):
        raise LabError("name an agent: --agent PATH, or MIFD_AGENTS")
    command = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", "-q", *options, str(TESTS)]
    return subprocess.run(command, env=environment, check=False).returncode


def find(role: str) -> str:
    """The namespace of that role in the youngest lab that lives; a whole name is taken as it is."""
    living = [each for each in record.Record.all() if each.owner.alive]
    for each in reversed(sorted(living, key=lambda lab: lab.owner.started)):
        for name in each.namespaces:
            if role in (name, name.removeprefix(f"{each.tag}-")):
                return name
    raise LabError(f"no lab is up with a namespace {role!r}: `tools/lab list`")


def shell(arguments: argparse.Namespace) -> int:
    command = arguments.command or [os.environ.get("SHELL", "/bin/sh")]
    os.execvp("ip", ["ip", "netns", "exec", find(arguments.namespace), *command])


def list_labs(_: argparse.Namespace) -> int:
    for each in record.Record.all():
        state = "lives" if each.owner.alive else "left behind"
        print(f"{each.tag}  {state}, {len(each.children)} processes: {' '.join(each.namespaces)}")
    print("stories:")
    for line in sorted({line for file in TESTS.glob("test_*.py") for line in stories(file)}):
        print(f"  {line}")
    return 0


def stories(file: Path) -> list[str]:
    names = [
        line.split("(")[0].removeprefix("def test_")
        for line in file.read_text().splitlines()
        if line.startswith("def test_")
    ]
    return [f"{file.stem.removeprefix('test_'):14} {name}" for name in names]


def clean(_: argparse.Namespace) -> int:
    removed, living = record.clean()
    print(f"{removed} labs removed" + (f", {living} still in use by their owner" if living else ""))
    return 0


def install_packages(_: argparse.Namespace) -> int:
    installed = install()
    print(f"installed {' '.join(installed)}" if installed else "nothing is missing")
    return 0


def tell_demo(arguments: argparse.Namespace) -> int:
    with Lab() as lab:
        demo.tell(lab, arguments.mifd.resolve(), arguments.mifctl.resolve())
    return 0


def hand_over(arguments: argparse.Namespace) -> int:
    unknown = set(arguments.row) - set(mobike.ROWS)
    if unknown:
        raise LabError(f"no row {' '.join(sorted(unknown))}: there are {' '.join(mobike.ROWS)}")
    rows = arguments.row or list(mobike.ROWS)
    return 0 if mobike.table(rows, arguments.runs, arguments.agent.resolve(), arguments.mobike.resolve()) else 1


def main() -> int:
    parser = argparse.ArgumentParser(prog="lab", description="A network of namespaces with real daemons in it.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(name: str, run: object, help: str) -> argparse.ArgumentParser:
        made = commands.add_parser(name, help=help, description=help)
        made.set_defaults(run=run)
        return made

    def against(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--agent", type=Path, action="append", metavar="PATH", help="may be repeated")
        parser.add_argument("--mifctl", type=Path, metavar="PATH", help="tests the command line as well")

    one = command("up", up, "keep a lab with its daemons running until Ctrl-C")
    one.add_argument("--uplinks", type=int, default=2, choices=range(2, 10))
    one.add_argument("--agent", type=Path, metavar="PATH", help="run this agent on the host")
    one = command("shell", shell, "a shell, or a command, in a namespace of the lab that is up")
    one.add_argument("namespace", help="host, r1, r2, core, peer, or a whole name")
    one.add_argument("command", nargs=argparse.REMAINDER)
    command("list", list_labs, "labs that are up or were left behind, and the stories there are")
    one = command("story", story, "run a story and tell it")
    one.add_argument("name", help="of a story, or a part of names")
    against(one)
    one = command("test", test, "run all end-to-end tests")
    against(one)
    command("clean", clean, "remove what labs left behind whose owner is gone")
    command("install", install_packages, "install what the lab needs from Debian")
    one = command("demo", tell_demo, "tell the story of tools/demo")
    one.add_argument("mifd", type=Path)
    one.add_argument("mifctl", type=Path)
    one = command("record", record_captures, "run each daemon and keep a capture of it")
    one.add_argument("directory", type=Path)
    one.add_argument("scene", nargs="*", help="all of them where none is named")

    one = command("mobike", hand_over, "measure how long strongSwan needs to another path, with and without mif-mobike")
    one.add_argument("row", nargs="*", help=f"of {', '.join(mobike.ROWS)}; all of them where none is named")
    one.add_argument("--agent", type=Path, required=True, metavar="PATH", help="mifd")
    one.add_argument("--mobike", type=Path, required=True, metavar="PATH", help="mif-mobike")
    one.add_argument("--runs", type=int, default=50, metavar="N", help="hand-overs of each row")

    arguments = parser.parse_args()
    end_by_signals()
    needs_root = arguments.run is not list_labs
    if needs_root and os.geteuid() != 0:
        raise LabError("run it as root")
    if arguments.run in (up, story, test, tell_demo, record_captures, hand_over) and missing():
        raise LabError(f"{' '.join(missing())} not installed: run `tools/lab install`")
    status: int = arguments.run(arguments)
    return status


if __name__ == "__main__":
    run_as_command("lab", main)
