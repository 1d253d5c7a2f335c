"""What was measured, as a table, as JSON and as charts."""

from collections.abc import Sequence
from typing import Any

from . import chart
from .fanout import Told
from .forward import Forwarded
from .flood import FLOODS, Outcome
from .latency import PERCENTS, Series, percentile

SHARES = {flood.name: flood.errors for flood in FLOODS}


def microseconds(nanoseconds: float) -> str:
    return f"{nanoseconds / 1000:.1f}"


def ratio(one: Series, other: Series | None, percent: float) -> float | None:
    if other is None or not one.samples or not other.samples:
        return None
    return one.percentiles()[percent] / other.percentiles()[percent]


def floor_of(series: Series, all_series: Sequence[Series]) -> Series | None:
    """What it is compared with: who spins, with the one that spins too."""
    name = "floor, spinning" if "spinning" in series.contestant else "floor"
    return next((each for each in all_series if each.key == series.key and each.contestant == name), None)


def latency_table(all_series: Sequence[Series]) -> str:
    lines = [f"{'microseconds':26} {'n':>7} {'missed':>7}" + "".join(f"{f'p{percent:g}':>10}" for percent in PERCENTS)]
    lines[0] += f"{'p50/floor':>11}{'p99/floor':>11}"
    for key in dict.fromkeys(each.key for each in all_series):
        lines.append(f"{key}:")
        for series in all_series:
            if series.key != key:
                continue
            found = series.percentiles()
            cells = "".join(f"{microseconds(found[percent]) if found else '-':>10}" for percent in PERCENTS)
            ratios = [ratio(series, floor_of(series, all_series), percent) for percent in (50.0, 99.0)]
            cells += "".join(f"{'-' if each is None else f'{each:.2f}':>11}" for each in ratios)
            missed = series.sent - len(series.samples)
            lines.append(f"  {series.contestant:24} {len(series.samples):7} {missed:7}{cells}")
    return "\n".join(lines)


def expected(outcome: Outcome) -> float | None:
    """Frames that pass the filter, where that is known."""
    return None if outcome.flood == "mutated" else outcome.sent * SHARES[outcome.flood]


def loss(outcome: Outcome) -> float | None:
    """Share of what should have been heard, in percent."""
    due = expected(outcome)
    return None if not due else 100 * outcome.lost(due) / due


def flood_table(outcomes: Sequence[Outcome]) -> str:
    head = f"{'flood':14} {'frames/s':>9} {'ns a frame':>11} {'sent':>9} {'heard':>9} {'dropped':>8} {'lost %':>8}"
    lines = [f"{'':2}{head}   advertisements: p50, p99 us"]
    for contestant in dict.fromkeys(each.contestant for each in outcomes):
        lines.append(f"{contestant}:")
        for one in outcomes:
            if one.contestant != contestant:
                continue
            lost = loss(one)
            control = sorted(one.control)
            beside = (
                f"{len(control)} of {one.advertised}: {microseconds(percentile(control, 50))}, "
                f"{microseconds(percentile(control, 99))}"
                if control
                else ""
            )
            name = one.flood + (f", {one.rate // 1000}k/s" if one.rate else "")
            lines.append(
                f"  {name:14} {one.frames_a_second:9.0f} {one.cpu_per_frame:11.0f} {one.sent:9} {one.heard:9} "
                f"{one.dropped:8} {'-' if lost is None else f'{lost:.3f}':>8}   {beside}".rstrip()
            )
    return "\n".join(lines)


def fanout_table(told: Sequence[Told]) -> str:
    lines = [f"{'':2}{'subscribers':>11} {'way':>10} {'changes':>9} {'delivered':>10} {'lost':>6} {'deliveries/s':>13} {'changes/s':>10}"]
    for contestant in dict.fromkeys(each.contestant for each in told):
        lines.append(f"{contestant}:")
        for one in sorted((each for each in told if each.contestant == contestant), key=lambda each: each.way, reverse=True):
            lines.append(
                f"  {one.subscribers:11} {one.way:>10} {one.changes:9} {one.delivered:10} {one.lost:6} "
                f"{one.rate:13.0f} {one.rate / one.subscribers:10.0f}"
            )
    return "\n".join(lines)


def forward_table(forwarded: Sequence[Forwarded]) -> str:
    lines = [f"{'forwarded':32} {'a second':>18} {'ratio':>8} {'least':>8} {'most':>8}"]
    for one in forwarded:
        heading = f"{one.traffic}{', with a DHCP client' if one.clients else ''}:"
        if heading not in lines:
            lines.append(heading)
        rate = f"{one.rate:.{0 if one.rate > 1000 else 1}f} {one.unit}"
        lines.append(f"  {one.contestant:30} {rate:>18} {one.ratio:8.3f} {min(one.ratios):8.3f} {max(one.ratios):8.3f}")
    return "\n".join(lines)


def as_json(
    settings: dict[str, Any], all_series: Sequence[Series], outcomes: Sequence[Outcome], told: Sequence[Told],
    forwarded: Sequence[Forwarded],
) -> dict[str, Any]:  # fmt: skip
    return {
        "settings": settings,
        "latency": [
            {
                "contestant": each.contestant,
                "kind": each.kind,
                "awake": each.awake,
                "sent": each.sent,
                "nanoseconds": {f"p{percent:g}": value for percent, value in each.percentiles().items()},
                "samples": each.samples,
            }
            for each in all_series
        ],
        "flood": [
            {
                "contestant": each.contestant,
                "flood": each.flood,
                "rate": each.rate,
                "sent": each.sent,
                "nanoseconds": each.nanoseconds,
                "heard": each.heard,
                "dropped": each.dropped,
                "lost": None if expected(each) is None else each.lost(expected(each) or 0),
                "cpu_nanoseconds": each.cpu,
                "advertised": each.advertised,
                "advertisement_latencies": each.control,
            }
            for each in outcomes
        ],
        "fanout": [vars(each) for each in told],
        "forward": [vars(each) for each in forwarded],
    }


def charts(all_series: Sequence[Series], outcomes: Sequence[Outcome]) -> str:
    panels = []
    steps = [step / 2 for step in range(0, 198)] + [99 + step / 20 for step in range(19)]
    for key in dict.fromkeys(each.key for each in all_series):
        chosen = [each for each in all_series if each.key == key and each.samples]
        lines = []
        for series in chosen:
            ordered = sorted(series.samples)
            points = [(percent, percentile(ordered, max(percent, 0.1)) / 1000) for percent in steps]
            lines.append(chart.Line(series.contestant, points))
        values = [value for line in lines for _, value in line.points]
        if values:
            y = chart.logarithmic("from the wire to the subscriber", min(values), max(values), span)
            panels.append(chart.chart(f"One event at a time: {key}", chart.percentiles("percentile"), y, lines))
    steady = [each for each in outcomes if each.flood == "repeated" and each.sent]
    if steady:
        lines = []
        for contestant in dict.fromkeys(each.contestant for each in steady):
            mine = sorted((each for each in steady if each.contestant == contestant), key=lambda one: one.frames_a_second)
            lines.append(chart.Line(contestant, [(one.frames_a_second, loss(one) or 0.0) for one in mine]))
        x = chart.linear("frames a second", max(one.frames_a_second for one in steady), thousands)
        y = chart.linear("lost", max(max(loss(one) or 0.0 for one in steady), 1.0), lambda value: f"{value:g} %")
        panels.append(chart.chart("Errors about one path: rate and loss", x, y, lines))
        lines = []
        for contestant in dict.fromkeys(each.contestant for each in steady):
            mine = sorted((each for each in steady if each.contestant == contestant), key=lambda one: one.frames_a_second)
            lines.append(chart.Line(contestant, [(one.frames_a_second, one.cpu_per_frame / 1000) for one in mine]))
        y = chart.linear(
            "processor time a frame", max(point for line in lines for _, point in line.points), lambda us: f"{us:g} us"
        )
        panels.append(chart.chart("Errors about one path: rate and cost", x, y, lines))
    return chart.page(panels)


def span(us: float) -> str:
    return f"{us:g} us" if us < 1000 else f"{us / 1000:g} ms"


def thousands(value: float) -> str:
    return f"{value / 1000:g}k"
