"""tools/mif-bench runs and tells: how fast, it is not asked here."""

import json
import os
import subprocess
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[2] / "tools"

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="the lab makes network namespaces: run as root")


def test_a_quick_benchmark_has_its_table_and_charts(binary: Path, tmp_path: Path) -> None:
    values, charts = tmp_path / "values.json", tmp_path / "charts.svg"
    few = ["--quick", "--polite", "--samples", "40", "--burst", "2000", "--placement", "free"]
    done = subprocess.run(
        [TOOLS / "mif-bench", *few, "--agent", f"mifd={binary}", "--json", values, "--chart", charts],
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "icmp6 idle:" in done.stdout and "ra awake:" in done.stdout and "repeated" in done.stdout
    found = json.loads(values.read_text())
    for series in found["latency"]:
        assert series["sent"] == 40 and series["samples"], series["contestant"]
        # Nobody has an event before it is sent.
        assert min(series["samples"]) > 0, series["contestant"]
    for flood in found["flood"]:
        assert flood["sent"] == 1024 and flood["heard"] + flood["dropped"] <= flood["sent"], flood
    ways = {(told["contestant"], told["way"]) for told in found["fanout"]}
    assert ways == {("floor", "socket"), ("floor", "16 at once"), ("mifd", "socket"), ("mifd", "ring")}
    for told in found["fanout"]:
        assert told["delivered"] == told["changes"] * told["subscribers"], told
    assert {(each["contestant"], each["clients"]) for each in found["forward"]} == {
        (name, clients) for name in ("without", "mifd") for clients in (False, True)
    }
    for each in found["forward"]:
        assert all(rate > 0 for rate in each["rates"]), each
    assert charts.read_text().startswith("<svg ")


def test_a_wrong_agent_is_named(tmp_path: Path) -> None:
    done = subprocess.run(
        [TOOLS / "mif-bench", "--agent", tmp_path / "nothing"], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1 and "nothing, which is no executable file" in done.stderr
