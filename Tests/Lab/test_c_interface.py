"""The C interface: headers, libmif, and the example for IKE daemons, as a C programmer meets them.

MIFD_CLIENTS names the directory that tools/build-clients fills."""

import os
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence, Set
from fnmatch import fnmatchcase
from pathlib import Path
from signal import SIGTERM

import pytest

from labkit.agent import Agent
from labkit.clients import mif_client
from labkit.processes import Child, Timeout, wait_until
from labkit.topology import PEER4, PEER6, Lab, Uplink
from labkit.trigger_client import Kind, TriggerClient, address

ROOT = Path(__file__).parents[2]
CLIENTS = Path(os.environ.get("MIFD_CLIENTS", "")).absolute()
HEADERS = CLIENTS / "include"
LIBRARIES = CLIENTS / "lib"
SIZE_LIMIT = 200_000
pytestmark = pytest.mark.skipif(
    "MIFD_CLIENTS" not in os.environ, reason="MIFD_CLIENTS is not set: what tools/build-clients prints"
)

# Debian's, by path: a Swift toolchain brings a clang of its own, which may come first in PATH.
GCC, GXX, CLANG, CLANGXX = (f"/usr/bin/{name}" for name in ("gcc", "g++", "clang", "clang++"))
WARNINGS = ("-Wall", "-Wextra", "-Wpedantic", "-Werror")
C = [(compiler, standard) for compiler in (GCC, CLANG) for standard in ("c99", "c11", "gnu17", "c2x")]
CXX = [(compiler, standard) for compiler in (GXX, CLANGXX) for standard in ("c++11", "c++17", "c++20", "c++2b")]
VALGRIND = ("valgrind", "--quiet", "--leak-check=full", "--show-leak-kinds=all", "--error-exitcode=9")
SANITIZE = ("-fsanitize=address,undefined", "-fno-sanitize-recover=all")
SHARED_PATH = {"LD_LIBRARY_PATH": str(LIBRARIES)}


def run(*command: str | Path, seconds: float = 60) -> str:
    done = subprocess.run(
        [str(word) for word in command],
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
        stdin=subprocess.DEVNULL,
        env={**os.environ, **SHARED_PATH},
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def build(
    output: Path, source: Path, link: str, compiler: str = GCC, standard: str = "gnu17", flags: Sequence[str] = ()
) -> Path:
    """Compiles and links a program with the static or the shared library. DWARF 4 is what valgrind reads."""
    library = {"static": [str(LIBRARIES / "libmif.a"), "-lm"], "shared": [f"-L{LIBRARIES}", "-lmif"]}[link]
    run(
        *(compiler, f"-std={standard}", *WARNINGS, "-gdwarf-4", *flags, f"-I{HEADERS}"),
        *("-o", output, source, *library),
    )
    return output


@pytest.mark.parametrize(("compiler", "standard"), C + CXX)
def test_headers(compiler: str, standard: str, tmp_path: Path) -> None:
    """In every standard, without a warning; net/trigger.h first and alone, with the layout that the draft prints."""
    language = "c++" if "++" in compiler else "c"
    for source in (ROOT / "Tests/C/layout.c", ROOT / "Tests/C/abi.c"):
        run(
            *(compiler, f"-std={standard}", *WARNINGS, f"-I{HEADERS}", "-x", language),
            *("-c", source, "-o", tmp_path / "object.o"),
        )


def declared() -> list[str]:
    """The functions of mif.h, as a compiler reads it."""
    text = run(GCC, "-E", "-P", f"-I{HEADERS}", HEADERS / "mif.h")
    return sorted(set(re.findall(r"\b((?:trigger|mif)_\w+) ?\(", text)))


def test_library() -> None:
    """Small, exporting the header's functions alone, needing the C library alone."""
    shared, static = LIBRARIES / "libmif.so", LIBRARIES / "libmif.a"
    exported = run("nm", "--dynamic", "--defined-only", "--format=posix", shared)
    assert sorted(line.split()[0] for line in exported.splitlines()) == declared()
    assert len(declared()) > 20
    globals_ = run("nm", "--extern-only", "--defined-only", "--format=posix", static)
    assert sorted(line.split()[0] for line in globals_.splitlines() if not line.endswith(":")) == declared()

    needed = re.findall(r"\(NEEDED\).*\[(.*)\]", run("readelf", "--dynamic", "--wide", shared))
    assert set(needed) <= {"libc.so.6", "libm.so.6"}
    undefined = run("nm", "--undefined-only", static)
    assert not re.search(r"swift|\$[es]", undefined), "a Swift runtime is needed"
    # Of the archive what ends up in a program: its relocations and names are for the linker.
    linked = int(run("size", static).splitlines()[1].split()[3])
    for library, size in ((shared, shared.stat().st_size), (static, linked)):
        print(f"{library.name}: {size} bytes")
        assert size < SIZE_LIMIT


def test_pkg_config(tmp_path: Path) -> None:
    """The directory works wherever it is copied to."""
    moved = shutil.copytree(CLIENTS, tmp_path / "usr", symlinks=True)
    description = moved / "lib/pkgconfig/mif.pc"
    words = run("pkg-config", "--cflags", "--libs", description).split()
    run(CLANG, ROOT / "examples/mobike-watch.c", *words, "-o", tmp_path / "watch")
    static = run("pkg-config", "--cflags", "--libs", "--static", description).split()
    run(GCC, "-static", ROOT / "examples/mobike-watch.c", *static, "-o", tmp_path / "watch-static", "-w")


@pytest.mark.parametrize(
    ("compiler", "standard", "link", "flags", "under"),
    [
        pytest.param(CLANG, "c2x", "static", (), (), id="clang"),
        pytest.param(GCC, "c99", "static", SANITIZE, (), id="asan"),
        pytest.param(GCC, "gnu17", "shared", (), VALGRIND, id="valgrind"),
    ],
)
def test_messages(
    compiler: str, standard: str, link: str, flags: Sequence[str], under: Sequence[str], tmp_path: Path
) -> None:
    """Builders and readers against the golden vectors, and against those cut short and spoilt."""
    flags = ("-D_POSIX_C_SOURCE=200809L", *flags)
    program = build(tmp_path / "messages", ROOT / "Tests/C/messages.c", link, compiler, standard, flags)
    print(run(*under, program, ROOT / "Tests/Vectors/trigger.txt", seconds=300))


@pytest.mark.parametrize(
    ("compiler", "link", "flags", "under"),
    [
        pytest.param(CLANG, "static", (), (), id="clang"),
        pytest.param(GCC, "static", SANITIZE, (), id="asan"),
        pytest.param(GCC, "shared", (), VALGRIND, id="valgrind"),
    ],
)
def test_session(
    compiler: str, link: str, flags: Sequence[str], under: Sequence[str], quiet: Agent, tmp_path: Path
) -> None:
    """Every function of a session against a living agent; news came on the ring, and nobody fell back on the socket."""
    program = build(tmp_path / "session", ROOT / "Tests/C/session.c", link, compiler, "gnu17", flags)
    empty = tmp_path / "empty"
    empty.mkdir()
    with mif_client(quiet) as watcher:
        before = watcher.statistics()
        assert run(*under, program, quiet.directory, empty) == "well\n"
        after = watcher.statistics()
    assert after["ring.records"] > before["ring.records"] and after["ring.wakes"] > before["ring.wakes"]


def test_documented_example(quiet: Agent, tmp_path: Path) -> None:
    """What docs/c-interface.md shows compiles and does what it says."""
    [example] = re.findall(r"```c\n(.*?)```", (ROOT / "docs/c-interface.md").read_text(), re.DOTALL)
    for name, compiler, standard, link in (
        ("example.c", CLANG, "c99", "shared"),
        ("example.cc", GXX, "c++11", "static"),
    ):
        source = tmp_path / name
        source.write_text(example)
        program = build(tmp_path / "example", source, link, compiler, standard)
        told = run("env", f"MIFD_RUNTIME_DIR={quiet.directory}", program)
        assert "event 1: trigger" in told


@pytest.mark.configuration("trigger-read = user 5\n")
def test_refused(lab: Lab, agent: Agent, tmp_path: Path) -> None:
    """A program that may not read hears why, and says so."""
    program = build(tmp_path / "watch", ROOT / "examples/mobike-watch.c", "static")
    for directory in (*tmp_path.parents, tmp_path, *agent.directory.parents, agent.directory):
        mode = directory.stat().st_mode
        if mode & 0o001 == 0:  # of pytest's and the lab's own making
            directory.chmod(mode | 0o001)
    nobody = ("setpriv", "--reuid", "65534", "--regid", "65534", "--clear-groups")
    watch = lab.spawn(lab.host, "watch", *nobody, str(program), str(agent.directory))
    assert watch.wait() == 1
    assert watch.output() == "mobike-watch: the agent refuses: Operation not permitted\n"


@pytest.mark.parametrize(("compiler", "standard"), C)
@pytest.mark.parametrize("link", ["static", "shared"])
def test_example(compiler: str, standard: str, link: str, tmp_path: Path) -> None:
    """The example in every standard, with either library; without an agent it says what is wrong."""
    watch = build(tmp_path / "watch", ROOT / "examples/mobike-watch.c", link, compiler, standard)
    done = subprocess.run(
        [watch, tmp_path], capture_output=True, text=True, timeout=10, check=False, env={**os.environ, **SHARED_PATH}
    )
    assert done.returncode == 1
    assert done.stderr == "mobike-watch: cannot reach the agent: No such file or directory\n"


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("--peer", "host.example.com"), "mobike-watch: --peer host.example.com: not an address, or one too many\n"),
        (("--peer", PEER4) * 9, f"mobike-watch: --peer {PEER4}: not an address, or one too many\n"),
        (("--peer",), "usage: mobike-watch [RUNTIME-DIR] [--peer ADDRESS]...\n"),
        (("one", "two"), "usage: mobike-watch [RUNTIME-DIR] [--peer ADDRESS]...\n"),
    ],
)
def test_example_arguments(words: Sequence[str], said: str, tmp_path: Path) -> None:
    watch = build(tmp_path / "watch", ROOT / "examples/mobike-watch.c", "static")
    done = subprocess.run([watch, *words], capture_output=True, text=True, timeout=10, check=False)
    assert (done.returncode, done.stderr) == (2, said)


class Watch:
    """mobike-watch on the lab's host: the set that it printed last, and with a peer what it would do."""

    def __init__(self, lab: Lab, program: Path, agent: Agent, *peers: str) -> None:
        self._output = lab.record.directory / "watch.txt"
        named = [word for peer in peers for word in ("--peer", peer)]
        self.child: Child = lab.spawn(
            *(lab.host, "watch", str(program), str(agent.directory), *named),
            stdout=self._output,
            environment=SHARED_PATH,
        )
        self._done: list[str] = []

    def lines(self) -> list[str]:
        return self._output.read_text().split("\n")[:-1] if self._output.exists() else []

    def sets(self) -> list[str]:
        return [line for line in self.lines() if line.startswith("addresses")]

    def deeds(self) -> list[str]:
        return [line for line in self.lines() if not line.startswith("addresses")]

    def says(
        self,
        addresses: Set[str],
        preferred: Set[str] = frozenset(),
        unreachable: Set[tuple[str, str]] = frozenset(),
    ) -> None:
        """Waits until the set printed last is this. `unreachable`: pairs of local address and destination."""
        paths = {f"{local}>{destination}" for local, destination in unreachable}
        wanted = [set(addresses), set(preferred), paths]

        def said() -> bool:
            return bool(self.sets()) and [set(part.split()[1:]) for part in self.sets()[-1].split(";")] == wanted

        self._await(said, f"the set becomes {wanted}")

    def does(self, *deeds: str, seconds: float = 10.0) -> None:
        """Waits until it has done this, `*` standing for any words, and nothing else since it was asked last."""
        self._done += deeds

        def done() -> bool:
            found = self.deeds()
            assert len(found) <= len(self._done) and all(map(fnmatchcase, found, self._done)), "\n".join(self.lines())
            return len(found) == len(self._done)

        self._await(done, "\n".join(deeds), seconds)

    def _await(self, condition: Callable[[], bool], what: str, seconds: float = 5.0) -> None:
        def met() -> bool:
            assert self.child.running, self.child.output()
            return condition()

        try:
            wait_until(met, what, seconds)
        except Timeout as error:
            raise AssertionError(f"{error}\nit was\n" + "\n".join(self.lines())) from None


@pytest.mark.parametrize(
    ("compiler", "standard", "link"),
    [pytest.param(GCC, "c99", "static", id="gcc"), pytest.param(CLANG, "gnu2x", "shared", id="clang")],
)
def test_mobike_watch(
    compiler: str, standard: str, link: str, lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, tmp_path: Path
) -> None:
    """The address set of RFC 4555, through everything that happens to it."""
    source = ROOT / "examples/mobike-watch.c"
    assert len(source.read_text().splitlines()) <= 350
    watch = Watch(lab, build(tmp_path / "watch", source, link, compiler, standard), agent)
    watch.says(set())

    # Addresses come, with a router behind them.
    lab.configure_by_hand(up0)
    first = {up0.host4, up0.host6}
    watch.says(first, first)
    lab.configure_by_hand(up1, "4")
    both = {*first, up1.host4}
    watch.says(both, both)

    # The upstream is lost: the path is told, the addresses stay.
    lab.reaches(up0, PEER4)
    lab.cut(up0)
    # Some each: ping is gone with the error about its last one, and whose flow is gone is not believed.
    lab.host.run("ping", "-c", "5", "-i", "0.3", "-W", "1", "-I", up0.host4, PEER4, check=False)
    lab.host.run("ping", "-c", "5", "-i", "0.3", "-W", "1", "-I", up0.host6, PEER6, check=False)
    lost = {(up0.host4, PEER4), (up0.host6, PEER6)}
    watch.says(both, both, lost)

    # An address goes, and what was known of its paths.
    lab.host.ip(f"addr del {up0.host6}/64 dev up0")
    watch.says({up0.host4, up1.host4}, {up0.host4, up1.host4}, {(up0.host4, PEER4)})

    # The agent ends; what changes meanwhile is told when another one is there, and nothing else.
    before = len(watch.sets())
    agent.stop()
    lab.host.ip(f"addr del {up1.host4}/24 dev up1", "addr add 10.2.0.77/24 dev up1")
    Agent(lab, agent.binary, name="agent")
    watch.says({up0.host4, "10.2.0.77"}, {up0.host4})
    for line in watch.sets()[before:]:
        assert up0.host4 in line.split(";")[0], "an address that stayed was taken out"

    # A link goes with its addresses.
    lab.unplug(up0)
    watch.says({"10.2.0.77"})
    watch.child.signal(SIGTERM)
    assert watch.child.wait() == 0


@pytest.mark.configuration("hold-time = 5\n")
@pytest.mark.parametrize(
    ("compiler", "link", "flags"),
    [pytest.param(GCC, "static", SANITIZE, id="asan"), pytest.param(CLANG, "shared", (), id="clang")],
)
def test_mobike_decisions(
    compiler: str,
    link: str,
    flags: Sequence[str],
    lab: Lab,
    up0: Uplink,
    up1: Uplink,
    agent: Agent,
    tmp_path: Path,
) -> None:
    """What the initiator of an IKE_SA with a peer of IPv4 does: only what is certain moves it (RFC 4555 section 3.5),
    the peer is told the whole list of the other addresses when it has changed (section 3.6), nothing is said twice."""
    program = build(tmp_path / "watch", ROOT / "examples/mobike-watch.c", link, compiler, "gnu17", flags)
    watch = Watch(lab, program, agent, PEER4)
    one, two, third = up0.host4, up1.host4, "10.2.0.77"
    also = "tell the peer: ADDITIONAL_IP4_ADDRESS"

    # Addresses come; those of IPv6 are of no use to this peer.
    lab.configure_by_hand(up0)
    watch.does(f"begin on {one} > {PEER4}")
    lab.configure_by_hand(up1)
    watch.does(f"{also} {two}")
    watch.says({one, two}, {one, two})

    # One more comes and goes.
    lab.host.ip(f"addr add {third}/32 dev up1")
    watch.does(f"{also} {two} ADDITIONAL_IP4_ADDRESS {third}")
    lab.host.ip(f"addr del {third}/32 dev up1")
    watch.does(f"{also} {two}")

    # ICMP errors about the peer are a hint, however many there are; then they are withdrawn.
    lab.reaches(up0, PEER4)
    lab.cut(up0)
    ping = lab.spawn(lab.host, "ping", "ping", "-n", "-i", "0.2", "-I", one, PEER4)
    watch.does(f"test {one} > {PEER4}: unreachable (only a hint)")
    watch.says({one, two}, {one, two}, {(one, PEER4)})
    ping.stop()
    watch.does(f"keep {one} > {PEER4}: the hint was withdrawn", seconds=30)
    lab.mend(up0)

    # The agent ends: what did not change meanwhile is not said again.
    agent.stop()
    lab.host.ip(f"addr add {third}/32 dev up1")
    Agent(lab, agent.binary, name="agent")
    watch.does(f"{also} {two} ADDITIONAL_IP4_ADDRESS {third}")

    # The uplink in use loses its carrier, which is certain. When it is back, the path that works is kept.
    lab.carrier(up0, False)
    watch.does(
        f"update to {two} > {PEER4}: {one} has lost its connection",
        f"{also} {third}",
    )  # fmt: skip
    lab.carrier(up0, True)
    watch.does(f"{also} {one} ADDITIONAL_IP4_ADDRESS {third}")
    lab.host.ip(f"addr del {third}/32 dev up1")
    watch.does(f"{also} {one}")

    # The address in use goes, or first its route.
    lab.host.ip(f"addr del {two}/24 dev up1")
    watch.does(f"update to {one} > {PEER4}: {two} *", "tell the peer: NO_ADDITIONAL_ADDRESSES")

    # It is to be used no more (RFC 4862 section 5.5.4), and at first there is no other.
    lab.host.ip(f"addr change {one}/24 dev up0 preferred_lft 0")
    watch.does(f"no other path: {one} is deprecated")
    lab.host.ip(f"addr add {two}/24 dev up1", f"route replace default via {up1.router4} dev up1 metric 200")
    watch.does(f"update to {two} > {PEER4}: {one} is deprecated")

    # Everything goes; what comes back is tested first.
    lab.carrier(up1, False)
    watch.does(f"no other path: {two} has lost its connection")
    lab.carrier(up1, True)
    watch.does(f"test {two} > {PEER4}: it is back")
    watch.child.signal(SIGTERM)
    assert watch.child.wait() == 0


def test_mobike_hints(lab: Lab, up0: Uplink, up1: Uplink, agent: Agent, tmp_path: Path) -> None:
    """What another program says is a hint as well, and no address; a peer of two families may be reached by either."""
    watch = Watch(lab, build(tmp_path / "watch", ROOT / "examples/mobike-watch.c", "static"), agent, PEER4, PEER6)
    lab.configure_by_hand(up0, "4")
    watch.does(f"begin on {up0.host4} > {PEER4}")
    lab.configure_by_hand(up0, "6")
    watch.does(f"tell the peer: ADDITIONAL_IP6_ADDRESS {up0.host6}")

    teller = TriggerClient(agent.directory)
    for kind, ip in (
        (Kind.IF_ADDRCHANGED, "10.2.0.66"),
        (Kind.CONN_ESTABLISHED, "10.2.0.66"),
        (Kind.CONN_LOST, up0.host4),
    ):
        assert teller.add(kind, address(ip, 24)).errno == 0
    watch.does(f"test {up0.host4} > {PEER4}: lost (only a hint)")

    # Where a move has to be, a path in doubt comes last.
    lab.configure_by_hand(up1, "4")
    watch.does(f"tell the peer: ADDITIONAL_IP6_ADDRESS {up0.host6} ADDITIONAL_IP4_ADDRESS {up1.host4}")
    assert teller.add(Kind.DEST_UNREACHABLE, address(up1.host4), address(PEER4)).errno == 0
    watch.says({up0.host4, up0.host6, up1.host4}, {up0.host4, up0.host6, up1.host4}, {(up1.host4, PEER4)})
    lab.host.ip(f"addr del {up0.host4}/24 dev up0")
    watch.does(
        f"update to {up0.host6} > {PEER6}: {up0.host4} *",
        f"tell the peer: ADDITIONAL_IP4_ADDRESS {up1.host4}",
    )
    lab.host.ip(f"addr del {up0.host6}/64 dev up0")
    watch.does(
        f"update to {up1.host4} > {PEER4}: {up0.host6} *",
        f"test {up1.host4} > {PEER4}: unreachable (only a hint)",
        "tell the peer: NO_ADDITIONAL_ADDRESSES",
    )
    teller.close()
    watch.child.signal(SIGTERM)
    assert watch.child.wait() == 0
