"""Charts as SVG, drawn by hand: lines over axes, nothing else."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

COLOURS = ("#1b6ca8", "#c8553d", "#3a7d44", "#8d6a9f", "#b8860b", "#4a4a4a", "#2a9d8f", "#d1495b", "#7a5c3e")
WIDTH, HEIGHT = 760, 420
LEFT, RIGHT, TOP, BOTTOM = 72, 212, 44, 56


@dataclass(frozen=True)
class Line:
    name: str
    points: Sequence[tuple[float, float]]


@dataclass(frozen=True)
class Axis:
    """`scale` turns a value into where it stands, 0 to 1."""

    title: str
    ticks: Sequence[tuple[float, str]]
    scale: Callable[[float], float]


def linear(title: str, high: float, form: Callable[[float], str], steps: int = 5) -> Axis:
    high = high or 1.0
    unit = 10 ** math.floor(math.log10(high / steps))
    step = next(unit * factor for factor in (1, 2, 5, 10) if unit * factor * steps >= high)
    top = step * math.ceil(high / step)
    ticks = [(step * n, form(step * n)) for n in range(round(top / step) + 1)]
    return Axis(title, ticks, lambda value: value / top)


def logarithmic(title: str, low: float, high: float, form: Callable[[float], str]) -> Axis:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    last = max(last, first + 1)
    ticks = [(10.0**n, form(10.0**n)) for n in range(first, last + 1)]
    return Axis(title, ticks, lambda value: (math.log10(max(value, 10.0**first)) - first) / (last - first))


def percentiles(title: str) -> Axis:
    """Nines apart: 50, 90, 99 and 99.9 % are as far from one another as what they leave out says."""

    def nines(percent: float) -> float:
        return -math.log10(1 - min(percent, 99.9) / 100)

    ticks = [(percent, f"{percent:g} %") for percent in (0, 50, 90, 99, 99.9)]
    return Axis(title, ticks, lambda percent: nines(percent) / nines(99.9))


def chart(title: str, x: Axis, y: Axis, lines: Sequence[Line]) -> str:
    """One panel, as an SVG group of WIDTH by HEIGHT."""
    right, bottom = WIDTH - RIGHT, HEIGHT - BOTTOM

    def across(value: float) -> float:
        return LEFT + (right - LEFT) * x.scale(value)

    def up(value: float) -> float:
        return bottom - (bottom - TOP) * y.scale(value)

    parts = [f'<text x="{LEFT}" y="24" font-size="15" font-weight="bold">{escape(title)}</text>']
    for value, label in x.ticks:
        at = across(value)
        parts.append(f'<path d="M{at:.1f} {TOP}V{bottom}" stroke="#ddd"/>')
        parts.append(f'<text x="{at:.1f}" y="{bottom + 18}" text-anchor="middle">{escape(label)}</text>')
    for value, label in y.ticks:
        at = up(value)
        parts.append(f'<path d="M{LEFT} {at:.1f}H{right}" stroke="#ddd"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{at + 4:.1f}" text-anchor="end">{escape(label)}</text>')
    middle = (LEFT + right) / 2
    parts.append(f'<text x="{middle:.0f}" y="{bottom + 40}" text-anchor="middle">{escape(x.title)}</text>')
    centre = (TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(16 {centre:.0f}) rotate(-90)" text-anchor="middle">{escape(y.title)}</text>'
    )
    for number, line in enumerate(lines):
        colour = COLOURS[number % len(COLOURS)]
        dashes = ' stroke-dasharray="6 3"' if number >= len(COLOURS) else ""
        path = " ".join(f"{across(a):.1f},{up(b):.1f}" for a, b in line.points)
        parts.append(f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="2"{dashes}/>')
        at = TOP + 10 + 18 * number
        parts.append(f'<path d="M{right + 14} {at}h20" stroke="{colour}" stroke-width="2"{dashes}/>')
        parts.append(f'<text x="{right + 40}" y="{at + 4}">{escape(line.name)}</text>')
    return "\n".join(parts)


def page(panels: Sequence[str]) -> str:
    """The panels, one below the other."""
    height = HEIGHT * len(panels)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}"'
    body = [f'<g transform="translate(0 {HEIGHT * number})">\n{panel}\n</g>' for number, panel in enumerate(panels)]
    style = 'font-family="sans-serif" font-size="12" fill="#222"'
    return "\n".join([f"{head} {style}>", '<rect width="100%" height="100%" fill="white"/>', *body, "</svg>\n"])
