"""docs/conformance.md names tests: each of them exists."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENT = (ROOT / "docs/conformance.md").read_text()
LAB = sorted(set(re.findall(r"(test_\w+\.py)::(test_\w+)", DOCUMENT)))
SUITES = sorted(set(re.findall(r"(\w+Tests)/(\w+)", DOCUMENT)))


def test_there_are_some() -> None:
    assert len(LAB) > 50 and SUITES


@pytest.mark.parametrize("file,name", LAB)
def test_story_exists(file: str, name: str) -> None:
    assert re.search(rf"^def {name}\(", (ROOT / "Tests/Lab" / file).read_text(), re.MULTILINE)


@pytest.mark.parametrize("folder,suite", SUITES)
def test_suite_exists(folder: str, suite: str) -> None:
    assert any(
        re.search(rf"struct {suite}\b", path.read_text()) for path in (ROOT / "Tests" / folder).glob("*.swift")
    )
