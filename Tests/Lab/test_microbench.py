"""What tools/bench says of rounds that are given to it: how fast anything is, it is not asked here."""

import subprocess
from pathlib import Path

import pytest
from microbench.comparison import Comparison, compare, comparison_table, noise, table
from microbench.programs import Failure, Program, chosen, is_wanted

TOOLS = Path(__file__).parents[2] / "tools"


def one(before: list[float], after: list[float]) -> Comparison:
    (comparison,) = compare({"decode.ack": before}, {"decode.ack": after})
    return comparison


def test_noise_is_how_far_every_other_round_is_from_the_rest() -> None:
    assert noise([100, 110, 105, 120]) == pytest.approx(0.1)
    # One round says nothing of noise, and what disturbs all but one round of a half is left out.
    assert noise([100]) == 0
    assert noise([100, 400, 300, 100]) == 0


def test_what_is_slower_by_more_than_the_noise_is_named() -> None:
    slower = one([100, 101, 102, 100], [112, 113, 112, 115])
    assert slower.is_slower and slower.is_slower_by(0.10) and not slower.is_slower_by(0.15)
    assert "slower by over 10%" in comparison_table([slower], 0.10)
    assert comparison_table([slower], 0.15).endswith("slower")


def test_a_difference_within_the_noise_is_none() -> None:
    # 20 % apart, of which either revision's own rounds are 25 %.
    same = one([100, 125, 100, 130], [120, 150, 125, 155])
    assert same.ratio == pytest.approx(1.2)
    assert not same.is_slower and not same.is_faster and not same.is_slower_by(0.10)
    assert comparison_table([same], 0.10).endswith("%")


def test_what_is_faster_is_named() -> None:
    assert comparison_table([one([100, 101], [70, 70])], 0.10).endswith("faster")


def test_a_revision_without_a_benchmark_has_a_dash() -> None:
    new, gone = compare({"timers.gone": [5.0]}, {"encode.notify": [7.0]})[::-1]
    assert (new.before, new.after, gone.after) == (None, 7.0, None)
    for each in (new, gone):
        assert each.ratio is None and not each.is_slower and not each.is_slower_by(0.10)
    lines = comparison_table([new, gone], 0.10).splitlines()
    assert lines[1].split() == ["encode.notify", "—", "7.0", "—", "0.0%"]
    assert lines[2].split() == ["timers.gone", "5.0", "—", "—", "0.0%"]


def test_one_revision_is_told_by_its_least_round() -> None:
    assert table({"ring.publish-1": [14.5, 14.2, 15.0]}).splitlines()[1].split() == ["ring.publish-1", "14.2", "2.1%"]


def test_lines_of_a_program_become_names_of_benchmarks() -> None:
    program = Program("ring", ("ring",), "-256")
    assert dict(program.read("publish 19.2\n")) == {"ring.publish-256": 19.2}
    assert dict(Program("decode", ()).read("ra 51.6 0\nack 69.5 0\n")) == {"decode.ra": 51.6, "decode.ack": 69.5}


def test_names_choose_groups_and_benchmarks() -> None:
    assert {program.group for program in chosen(["decode.ack", "timers"])} == {"decode", "timers"}
    assert is_wanted("decode.ack", []) and is_wanted("decode.ack", ["decode"]) and is_wanted("decode.ack", ["decode.ack"])
    assert not is_wanted("decode.ra", ["decode.ack"]) and not is_wanted("decode.ra", ["dec"])
    with pytest.raises(Failure, match="nothing is no group of benchmarks; there are decode, encode, ring"):
        chosen(["nothing"])


def test_a_revision_that_is_none_is_refused() -> None:
    done = subprocess.run(
        [TOOLS / "bench", "--compare", "no-such-revision"], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 2 and "no-such-revision is no revision" in done.stderr
