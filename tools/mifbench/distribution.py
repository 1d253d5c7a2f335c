"""Percentiles of one series in the text format of HdrHistogram, for what plots such files (`--histograms`)."""

import math
import statistics
from collections.abc import Iterator, Sequence

from .latency import percentile

STEPS = 5
"""So many lines until the distance to 100 % has halved."""


def percents() -> Iterator[float]:
    """0 to all but 100, ever closer."""
    percent = 0.0
    while True:
        yield percent
        halvings = math.floor(math.log2(100 / (100 - percent))) + 1
        percent += 100 / (STEPS * 2**halvings)


def text(nanoseconds: Sequence[int]) -> str:
    """Values are microseconds, and exact: they are those of samples, not of buckets."""
    ordered = sorted(nanoseconds)
    count = len(ordered)
    if not ordered:
        return ""
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for percent in percents():
        place = math.ceil(count * percent / 100)
        if place >= count:
            break
        value = percentile(ordered, percent)
        lines.append(f"{value / 1000:12.3f} {percent / 100:2.12f} {max(place, 1):10} {100 / (100 - percent):14.2f}")
    lines.append(f"{ordered[-1] / 1000:12.3f} {1:2.12f} {count:10}")
    microseconds = [value / 1000 for value in ordered]
    mean, deviation = statistics.fmean(microseconds), statistics.pstdev(microseconds)
    lines.append(f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]")
    lines.append(f"#[Max     = {microseconds[-1]:12.3f}, Total count    = {count:12}]")
    lines.append(f"#[Buckets = {0:12}, SubBuckets     = {0:12}]")
    return "\n".join(lines) + "\n"
