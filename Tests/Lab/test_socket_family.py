"""PF_TRIGGER of programs that know nothing of us: libpftrigger.so preloaded, Tests/C/pf_trigger*.c and Python's socket
module against a living agent, and Tests/C/other_sockets.c, which is not to notice it.

MIFD_CLIENTS names the directory that tools/build-clients fills."""

import errno
import os
import re
import subprocess
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from signal import SIGCONT, SIGSTOP

import pytest

from labkit.agent import Agent
from labkit.topology import Lab
from labkit.trigger_client import TriggerClient

ROOT = Path(__file__).parents[2]
LIBRARY = Path(os.environ.get("MIFD_CLIENTS", ""), "lib", "libpftrigger.so").absolute()
pytestmark = pytest.mark.skipif(
    "MIFD_CLIENTS" not in os.environ, reason="MIFD_CLIENTS is not set: what tools/build-clients prints"
)

# Debian's, by path: a Swift toolchain brings a clang of its own, which may come first in PATH.
COMPILERS = ("/usr/bin/gcc", "/usr/bin/clang")
FLAGS = ("-std=gnu17", "-O2", "-D_FORTIFY_SOURCE=2", "-fexceptions", "-Wall", "-Wextra", "-Werror")
SOURCES = ("pf_trigger", "pf_trigger_shared", "other_sockets")
INTERPOSED = {
    *("socket", "socketpair", "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername"),
    *("shutdown", "getsockopt", "recvfrom", "__recvfrom_chk", "recvmsg"),
}
# Sockets of a namespace of their own, with loopback.
ALONE = ("unshare", "-n", "sh", "-c", 'ip link set lo up && exec "$@"', "sh")


@pytest.fixture(scope="session")
def workshops(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A directory with the compiled programs for each compiler."""
    made = {}
    for compiler in COMPILERS:
        made[compiler] = tmp_path_factory.mktemp("programs")
        for name in SOURCES:
            run(compiler, *FLAGS, "-o", made[compiler] / name, ROOT / f"Tests/C/{name}.c", "-lpthread")
        early = ROOT / "Tests/C/pf_trigger_early.c"
        run(compiler, *FLAGS, "-shared", "-fPIC", "-o", made[compiler] / "early.so", early)
    return made


@pytest.fixture(params=COMPILERS, ids=lambda path: Path(path).name)
def programs(request: pytest.FixtureRequest, workshops: dict[str, Path]) -> Path:
    return workshops[request.param]


def preloaded(directory: Path | str, *libraries: Path) -> dict[str, str]:
    return {"LD_PRELOAD": ":".join(map(str, libraries or (LIBRARY,))), "MIFD_RUNTIME_DIR": str(directory)}


def run(
    *command: str | Path, environment: dict[str, str] | None = None, cwd: Path | None = None, seconds: float = 60
) -> str:
    """What it prints. Nothing of ours is in its environment but what is given here."""
    clean = {key: value for key, value in os.environ.items() if key != "MIFD_RUNTIME_DIR"}
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        cwd=cwd,
        env={**clean, **(environment or {})},
    )
    assert done.returncode == 0, f"{done.returncode}: {done.stdout[-2000:]}{done.stderr[-2000:]}"
    return done.stdout


def test_library() -> None:
    """Small, exporting what it interposes alone, needing the C library alone."""
    exported = run("nm", "--dynamic", "--defined-only", "--format=posix", LIBRARY)
    assert {line.split()[0] for line in exported.splitlines()} == INTERPOSED
    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", "--wide", LIBRARY))
    assert needed == ["libc.so.6"]
    assert LIBRARY.stat().st_size < 50_000


# A program for the draft, alone


@pytest.mark.parametrize("part", ["messages", "unsupported", "arguments", "options"])
def test_program(quiet: Agent, programs: Path, part: str, tmp_path: Path) -> None:
    run(programs / "pf_trigger", part, environment=preloaded(quiet.directory), cwd=tmp_path)


@pytest.mark.parametrize("part", ["fork", "dup", "exec", "processes", "threads", "signals", "descriptors"])
def test_shared(quiet: Agent, programs: Path, part: str) -> None:
    run(programs / "pf_trigger_shared", part, environment=preloaded(quiet.directory))


def test_before_its_constructor(quiet: Agent, programs: Path) -> None:
    """Other preloaded libraries use sockets as they are loaded, before and after this one."""
    for libraries in ((LIBRARY, programs / "early.so"), (programs / "early.so", LIBRARY)):
        run(programs / "pf_trigger", "options", environment=preloaded(quiet.directory, *libraries))


def test_news_of_others_come(quiet: Agent, programs: Path) -> None:
    """What the program adds is told to subscribers that know the agent, with its pid."""
    listener = TriggerClient(quiet.directory)
    listener.register(0)
    run(programs / "pf_trigger", "messages", environment=preloaded(quiet.directory))
    listener.barrier()
    listener.close()
    told = [each for each in listener.log if each.ips == ("192.0.2.1",)]
    assert len(told) >= 3 and len({each.pid for each in told}) == 1 and told[0].pid != os.getpid()


PYTHON = """
import errno, os, select, socket, struct

def ask(s, msgtype, seq, payload=b""):
    s.send(struct.pack("=BBBBHHII", 1, msgtype, 0, 0, 2 + len(payload) // 8, 0, seq, os.getpid()) + payload)
    assert select.select([s], [], [], 5)[0] == [s]
    answer = s.recv(65536)
    assert answer[:3] == bytes([1, msgtype, 0]) and answer[8:12] == struct.pack("=I", seq), answer
    return answer

def refused(number, call, *arguments):
    try:
        call(*arguments)
    except OSError as error:
        assert error.errno == number, error
    else:
        raise AssertionError(call)

def works(s):
    added = ask(s, 1, 1, struct.pack("=HHHHII", 2, 2, 4660, 0, 0, 0))
    ask(s, 3, 2, struct.pack("=HH4xI4x", 2, 2, *struct.unpack_from("=I", added, 24)))

s = socket.socket(200, socket.SOCK_RAW, 0)
assert (s.family, s.type, s.proto) == (200, socket.SOCK_RAW, 0)
works(s)
refused(errno.EOPNOTSUPP, s.listen)
for how in (socket.SHUT_RD, socket.SHUT_WR, socket.SHUT_RDWR):
    refused(errno.EOPNOTSUPP, s.shutdown, how)
refused(errno.EOPNOTSUPP, socket.socketpair, 200, socket.SOCK_RAW, 0)
refused(errno.ESOCKTNOSUPPORT, socket.socket, 200, socket.SOCK_STREAM, 0)
refused(errno.EPROTONOSUPPORT, socket.socket, 200, socket.SOCK_RAW, 2)
# Here Python itself refuses a family that it doesn't know.
for call in (s.getsockname, s.getpeername, s.accept, lambda: s.bind("here"), lambda: s.connect("here"),
             lambda: s.recvfrom(9)):
    refused(None, call)
# It asks for the socket's name to find its family, if it isn't told.
refused(errno.EOPNOTSUPP, lambda: socket.socket(fileno=s.fileno()))
s.settimeout(0.05)
try:
    s.recv(10)
    raise AssertionError("something came")
except TimeoutError:
    pass
s.settimeout(5)
copies = [s.dup(), socket.fromfd(s.fileno(), 200, socket.SOCK_RAW),
          socket.socket(200, socket.SOCK_RAW, 0, fileno=os.dup(s.fileno()))]
s.close()
for copy in copies:
    works(copy)
    refused(errno.EOPNOTSUPP, copy.listen)
# Told that it is another family, it calls on.
wrong = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET, 0, fileno=copies[0].detach())
wrong.settimeout(None)
for call in (wrong.getsockname, wrong.getpeername, wrong.accept, wrong.listen, lambda: wrong.bind("here"),
             lambda: wrong.connect(os.environ["MIFD_RUNTIME_DIR"] + "/trigger.sock"), lambda: wrong.shutdown(2)):
    refused(errno.EOPNOTSUPP, call)
assert wrong.getsockopt(socket.SOL_SOCKET, socket.SO_DOMAIN) == 200
assert wrong.getsockopt(socket.SOL_SOCKET, socket.SO_TYPE) == socket.SOCK_RAW
wrong.send(struct.pack("=BBBBHHII", 1, 2, 0, 0, 2, 0, 3, 4))
data, address = wrong.recvfrom(100)
assert len(data) == 16 and not address, address
wrong.send(struct.pack("=BBBBHHII", 1, 2, 0, 0, 2, 0, 3, 4))
assert not wrong.recvmsg(100)[3]
assert not os.path.exists("here")
works(wrong)
"""


def test_python(quiet: Agent, tmp_path: Path) -> None:
    run("/usr/bin/python3", "-c", PYTHON, environment=preloaded(quiet.directory), cwd=tmp_path)


# The agent: not there, not for everybody, ended, busy


def opens(program: Path, environment: dict[str, str], *prefix: str | Path, cwd: Path | None = None) -> int:
    """errno of socket(2)."""
    return int(run(*prefix, program / "pf_trigger", "opens", environment=environment, cwd=cwd))


def test_without_agent(programs: Path, tmp_path: Path) -> None:
    """As in a kernel without the family; and without the library there is none."""
    assert opens(programs, {}) == errno.EAFNOSUPPORT
    places = [tmp_path / "missing", tmp_path / ("long" * 30), tmp_path / "file"]
    places[2].mkdir()
    (places[2] / "trigger.sock").write_text("no socket")
    for place in places:
        assert opens(programs, preloaded(place)) == errno.EAFNOSUPPORT


def test_runtime_directory(quiet: Agent, programs: Path) -> None:
    """Relative, with a slash too many, and so long that it just fits."""
    parent, name = quiet.directory.parent, quiet.directory.name
    assert opens(programs, preloaded(name), cwd=parent) == 0
    assert opens(programs, preloaded(f"{quiet.directory}//")) == 0
    room = 107 - len("/trigger.sock") - len(f"{quiet.directory}")
    assert opens(programs, preloaded(f"{quiet.directory}{'/' * room}")) == 0
    assert opens(programs, preloaded(f"{quiet.directory}{'/' * (room + 1)}")) == errno.EAFNOSUPPORT


@pytest.mark.configuration("socket-mode = 0600\n")
def test_not_allowed(lab: Lab, agent: Agent, programs: Path) -> None:
    place = lab.directory("programs")
    for file in (programs / "pf_trigger", LIBRARY):
        (place / file.name).write_bytes(file.read_bytes())
        (place / file.name).chmod(0o755)
    environment = preloaded(agent.directory, place / LIBRARY.name)
    stranger = ("setpriv", "--reuid", "12345", "--regid", "12345", "--clear-groups")
    assert opens(place, environment) == 0
    assert opens(place, environment, *stranger) == errno.EACCES


@contextmanager
def conversation(program: Path, part: str, environment: dict[str, str]) -> Iterator["subprocess.Popen[str]"]:
    """A program that says what it waits for; it has to end well."""
    command = [str(program / "pf_trigger_shared"), part]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env={**os.environ, **environment}
    ) as child:
        try:
            yield child
            assert child.wait(20) == 0
        finally:
            child.kill()


def hears(child: "subprocess.Popen[str]", word: str) -> None:
    assert child.stdout is not None
    assert child.stdout.readline().strip() == word


def goes_on(child: "subprocess.Popen[str]") -> None:
    assert child.stdin is not None
    child.stdin.write("\n")
    child.stdin.flush()


def test_agent_restarts(lab: Lab, binary: Path, programs: Path) -> None:
    """The end of the file, then EPIPE and no signal; a new socket works."""
    first = Agent(lab, binary)
    with conversation(programs, "end", preloaded(first.directory)) as child:
        hears(child, "open")
        first.stop()
        goes_on(child)
        hears(child, "ended")
        Agent(lab, binary)
        goes_on(child)


def test_agent_is_busy(agent: Agent, programs: Path) -> None:
    """It accepts nobody: socket(2) waits a second for it, through signals, and no longer."""
    children = Path(f"/proc/{agent.child.pid}/task/{agent.child.pid}/children").read_text().split()
    family = [agent.child.pid, *map(int, children)]
    for pid in family:
        os.kill(pid, SIGSTOP)
    try:
        with conversation(programs, "busy", preloaded(agent.directory)) as child:
            hears(child, "resume")
            for pid in family:
                os.kill(pid, SIGCONT)
    finally:
        for pid in family:
            os.kill(pid, SIGCONT)


# Other sockets


def test_other_sockets(quiet: Agent, programs: Path, tmp_path: Path) -> None:
    """Byte for byte and errno for errno the same, trigger.sock connected by hand included."""
    outputs = []
    for number, environment in enumerate(({}, preloaded(quiet.directory))):
        place = tmp_path / str(number)
        place.mkdir()
        command = (programs / "other_sockets", quiet.directory / "trigger.sock")
        outputs.append(run(*ALONE, *command, environment=environment, cwd=place).splitlines())
    assert outputs[0] == outputs[1]
    assert len(outputs[0]) > 2000 and any("unwound 4" in line for line in outputs[0])


def traced(place: Path, environment: dict[str, str], *command: str | Path) -> tuple[list[str], "Counter[str]"]:
    """The system calls between two getppid(2), with what came of them, and how many there were of each in all."""
    place.mkdir()
    settings = [f"--env={key}={value}" for key, value in environment.items()]
    run(*ALONE, "strace", "-qq", "-o", place / "trace", *settings, *command, cwd=place)
    lines = (place / "trace").read_text().splitlines()
    calls = [(line.split("(")[0], line.rsplit(" = ", 1)[-1]) for line in lines]
    first, last = (index for index, (name, _) in enumerate(calls) if name == "getppid")
    return [f"{name} = {result}" for name, result in calls[first + 1 : last]], Counter(name for name, _ in calls)


def test_other_sockets_cost_nothing(quiet: Agent, programs: Path, tmp_path: Path) -> None:
    """Not a system call more to accept, send and receive; one getsockname(2) to bind, connect and listen."""
    command = (programs / "other_sockets", "hot")
    plain, plain_counts = traced(tmp_path / "0", {}, *command)
    loaded, loaded_counts = traced(tmp_path / "1", preloaded(quiet.directory), *command)
    assert len(plain) > 200 and loaded == plain
    assert plain_counts["getsockname"] == 0
    rare = sum(plain_counts[name] for name in ("bind", "connect", "listen"))
    assert loaded_counts["getsockname"] == rare
    loading = {"openat", "read", "pread64", "newfstatat", "mmap", "mprotect", "munmap", "close", "brk"}
    for name in plain_counts | loaded_counts:
        if name not in loading and name != "getsockname":
            assert loaded_counts[name] == plain_counts[name], name


def test_messages_cost_nothing(quiet: Agent, programs: Path, tmp_path: Path) -> None:
    """On the family's own sockets: one system call for each call."""
    calls, counts = traced(tmp_path / "0", preloaded(quiet.directory), programs / "pf_trigger", "hot")
    names = [line.split(" ")[0] for line in calls]
    assert names == ["sendto", "poll", "recvfrom", "write", "read", "sendto", "recvmsg"] * 10
    assert counts["getsockname"] == 0
