"""docs/conformance.md and docs/conformance-packets.md name tests: each of them exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = "".join((ROOT / "docs" / name).read_text() for name in ("conformance.md", "conformance-packets.md"))
LAB = sorted(set(re.findall(r"(test_\w+\.py)::(test_\w+)", DOCUMENT)))
SUITES = sorted(set(re.findall(r"(\w+Tests)/(\w+)", DOCUMENT)))
CASES = sorted(set(re.findall(r'(\w+Tests)/(\w+) "([^"]+)"', DOCUMENT)))


def test_there_are_some() -> None:
    assert len(LAB) > 50 and SUITES


@pytest.mark.parametrize("file,name", LAB)
def test_story_exists(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / "Tests/Lab" / file).read_text(), re.MULTILINE)


def source(folder: str, suite: str) -> str:
    """The file with that suite; empty if there is none."""
    texts = (path.read_text() for path in (ROOT / "Tests" / folder).glob("*.swift"))
    return next((text for text in texts if re.search(rf"struct {suite}\b", text)), "")


@pytest.mark.parametrize("folder,suite", SUITES)
def test_suite_exists(folder: str, suite: str) -> None:
    assert source(folder, suite)


@pytest.mark.parametrize("folder,suite,case", CASES)
def test_case_exists(folder: str, suite: str, case: str) -> None:
    """A case of a table, or a test by its function's name or the beginning of its sentence."""
    text = source(folder, suite)
    assert f'"{case}' in text or f"func `{case}" in text or re.search(rf"func {re.escape(case)}\(", text)
