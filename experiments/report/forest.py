"""Intervals as drawings: a claim's contrast in units of its margin, to be read down a column.

Drawn here as SVG rather than by a library in the page: two hundred of them stand in a table, take
the page's colours, print, and are there without a script.
"""

from dataclasses import dataclass

from markupsafe import Markup

from experiments.report.contents import JudgedReading

REACH = 3.0
"""Margins to either side. What lies beyond ends in an arrow."""
WIDTH, HEIGHT = 168, 20


@dataclass(frozen=True)
class InMargins:
    """mean ± half-width, in margins."""

    mean: float
    half_width: float

    @property
    def ends(self) -> tuple[float, float]:
        return self.mean - self.half_width, self.mean + self.half_width


def interval(reading: JudgedReading) -> InMargins | None:
    """None where nothing was measured, or nothing says what would matter."""
    if reading.mean is None or reading.half_width is None or not reading.margin:
        return None
    return InMargins(reading.mean / reading.margin, reading.half_width / reading.margin)


def x(value: float) -> float:
    """Where a value lies in the drawing, kept inside it."""
    inside = max(-REACH, min(REACH, value))
    return round(WIDTH / 2 + inside / REACH * (WIDTH / 2 - 7), 2)


def said(reading: JudgedReading) -> str:
    """What the drawing shows, in words."""
    return (
        f"{reading.mean:.3g} ± {reading.half_width:.2g}, n = {reading.n}; "
        f"the margin is ±{reading.margin:.2g}"
    )


def drawn(reading: JudgedReading) -> Markup | str:
    """The SVG of one reading: the margin as a band, 0 as a line, the interval with its mean."""
    found = interval(reading)
    if found is None:
        return ""
    low, high = found.ends
    middle = HEIGHT / 2
    parts = [
        f'<rect class="band" x="{x(-1)}" y="0" width="{x(1) - x(-1)}" height="{HEIGHT}"/>',
        f'<line class="zero" x1="{x(0)}" x2="{x(0)}" y1="0" y2="{HEIGHT}"/>',
        f'<line class="ends" x1="{x(low)}" x2="{x(high)}" y1="{middle}" y2="{middle}"/>',
    ]
    if low < -REACH:
        parts.append(_arrow(x(low), -1))
    if high > REACH:
        parts.append(_arrow(x(high), 1))
    if abs(found.mean) <= REACH:
        parts.append(f'<circle class="mean" cx="{x(found.mean)}" cy="{middle}" r="3.5"/>')
    return Markup(
        f'<svg class="forest" role="img" aria-label="{said(reading)}" width="{WIDTH}" '
        f'height="{HEIGHT}" viewBox="0 0 {WIDTH} {HEIGHT}">{"".join(parts)}</svg>'
    )


def _arrow(tip: float, to: int) -> str:
    """The head of an interval that goes on."""
    middle, back = HEIGHT / 2, tip - 6 * to
    points = f"{tip + 4 * to},{middle} {back},{middle - 4} {back},{middle + 4}"
    return f'<polygon class="mean" points="{points}"/>'
