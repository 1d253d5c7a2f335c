"""The conformance tables in docs name tests: each of them exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TABLES = ("conformance.md", "conformance-mif.md", "conformance-packets.md")
TEXT = {table: (ROOT / "docs" / table).read_text() for table in TABLES}
ALL = "".join(TEXT.values())
LAB = sorted(set(re.findall(r"(test_\w+\.py)::(test_\w+)", ALL)))
SUITES = sorted(set(re.findall(r"(\w+Tests)/(\w+)", ALL)))
CASES = sorted(set(re.findall(r'(\w+Tests)/(\w+) "([^"]+)"', ALL)))


@pytest.mark.parametrize("table", TABLES)
def test_there_are_some(table: str) -> None:
    assert len(re.findall(r"test_\w+\.py::test_\w+", TEXT[table])) > 20 and re.search(r"\w+Tests/\w+", TEXT[table])


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


def test_every_message_has_its_row() -> None:
    """3.2.7, and nothing left out of it: 32 messages, each with a test."""
    row = r"^\| 3\.2\.7\.[\d.]+ \| [^|]+ \| (\d+) [A-Z_]+ \| ([^|]+) \|$"
    rows = dict(re.findall(row, TEXT[TABLES[1]], re.MULTILINE))
    assert sorted(map(int, rows)) == list(range(1, 33))
    assert all(re.search(r"test_\w+\.py::test_\w+", tests) for tests in rows.values())
