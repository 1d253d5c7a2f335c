"""What was measured, as a table, against the goals, as JSON and as charts."""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from .. import chart
from .measure import EVENTS, Cost, Outcome

MEGABYTE = 1_000_000
START, RESIDENT, TRIGGER = 1.0, 16 * MEGABYTE, 128
"""The goals: seconds, bytes, bytes."""
GROWTH = 1.5
"""Independent of the size is what costs no more than so many times what it costs on the smallest host: caches are smaller
than a large host's state, and the machine drifts."""


def table(outcomes: Sequence[Outcome]) -> str:
    rows: list[tuple[str, list[str]]] = [
        ("interfaces", [f"{each.size.interfaces}" for each in outcomes]),
        ("addresses", [f"{each.size.addresses}" for each in outcomes]),
        ("triggers", [f"{each.size.triggers}" for each in outcomes]),
        ("  of which clients'", [f"{each.clients_triggers}" for each in outcomes]),
        ("routes", [f"{each.size.routes}" for each in outcomes]),
        ("start, s", [f"{each.start:.3f}" for each in outcomes]),
        ("  of which processor time", [f"{each.start_cpu:.3f}" for each in outcomes]),
        ("resident before triggers, MB", [f"{each.resident_before / MEGABYTE:.2f}" for each in outcomes]),
        ("resident with them, MB", [f"{each.resident / MEGABYTE:.2f}" for each in outcomes]),
        ("  shared pages once (PSS), MB", [f"{each.proportional / MEGABYTE:.2f}" for each in outcomes]),
        ("bytes a trigger", [f"{each.per_trigger:.0f}" for each in outcomes]),
    ]
    for name in EVENTS:
        costs = [each.costs.get(name, Cost()) for each in outcomes]
        rows.append((f"{name}: processor, us", [f"{each.cpu_each:.2f}" for each in costs]))
        if any(each.latencies for each in costs):
            rows.append(("  until it is known (p50), us", [f"{each.median:.0f}" for each in costs]))
    rows += [
        ("a route comes or goes: processor, us", [f"{each.route_cpu:.3f}" for each in outcomes]),
        ("  notifications lost", [f"{each.route_overruns}" for each in outcomes]),
        ("everything asked anew: processor, s", [f"{each.resync_cpu:.3f}" for each in outcomes]),
    ]
    return "\n".join(f"{name:46}" + "".join(f"{cell:>11}" for cell in cells) for name, cells in rows)


def goals(outcomes: Sequence[Outcome]) -> str:
    first, last = outcomes[0], outcomes[-1]
    lines = [
        _goal("start-up under a second", f"{last.start:.2f} s", last.start < START),
        _goal("resident memory under 16 MB", f"{last.resident / MEGABYTE:.1f} MB", last.resident < RESIDENT),
        _goal("at most 128 bytes a trigger", f"{last.per_trigger:.0f}", last.per_trigger <= TRIGGER),
    ]
    for name in EVENTS:
        small, large = first.costs[name].cpu_each, last.costs[name].cpu_each
        if small:
            came = f"{large / small:.2f} times the smallest host's"
            lines.append(_goal(f"{name}: independent of the size", came, large <= GROWTH * small))
    return "\n".join(lines)


def _goal(what: str, came: str, is_met: bool) -> str:
    return f"{what}: {came}, {'met' if is_met else 'MISSED'}"


def as_json(settings: dict[str, Any], outcomes: Sequence[Outcome]) -> dict[str, Any]:
    return {"settings": settings, "sizes": [asdict(each) for each in outcomes]}


def charts(outcomes: Sequence[Outcome]) -> str:
    """Over the routes, which the other numbers grow with."""
    sizes = [each.size.routes for each in outcomes]
    last = outcomes[-1].size

    def panel(title: str, unit: str, lines: dict[str, list[float]]) -> str:
        x = chart.logarithmic(
            f"routes (and interfaces, addresses, triggers: {last.interfaces}, {last.addresses}, {last.triggers} on the right)",
            min(sizes), max(sizes), _short,
        )  # fmt: skip
        y = chart.linear(unit, max(max(values) for values in lines.values()), lambda value: f"{value:g}")
        drawn = [chart.Line(name, list(zip(sizes, values, strict=True))) for name, values in lines.items()]
        return chart.chart(title, x, y, drawn)

    return chart.page([
        panel("Start", "seconds", {
            "until it answers": [each.start for each in outcomes],
            "of which processor time": [each.start_cpu for each in outcomes],
        }),
        panel("Memory of engine and keeper", "MB resident", {
            "with all triggers": [each.resident / MEGABYTE for each in outcomes],
            "without clients' triggers": [each.resident_before / MEGABYTE for each in outcomes],
        }),
        panel("Processor time of an event", "us", {
            name: [each.costs[name].cpu_each for each in outcomes] for name in EVENTS
        }),
        panel("Until it is known", "us, median", {
            name: [each.costs[name].median for each in outcomes] for name in EVENTS if outcomes[0].costs[name].latencies
        }),
    ])  # fmt: skip


def _short(value: float) -> str:
    return f"{value / 1_000_000:g}M" if value >= 1_000_000 else f"{value / 1000:g}k" if value >= 1000 else f"{value:g}"
