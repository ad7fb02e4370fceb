"""Which rows of a column are the best, in bold wherever a table is shown.

They are the best mean, and whatever lies in its interval and differs from it by a paired interval
that holds 0: no difference found, which is no proof of equality. The first of these keeps rows from
being bold for their noise. Where that is every one of several models, none stands out and none is
bold. Real pictures are not among the models that are compared, nor is an oracle, which knows what
no model can.
"""

from collections.abc import Iterable, Sequence

from experiments.tables.statistics import estimate
from experiments.tables.written.directions import Better, better

Values = Sequence[float | None]
"""A row's numbers by seed, None where one is missing."""


def of_data(evaluations: Values) -> bool:
    """Whether a row is of real pictures or clips: no expert was evaluated for a sample."""
    asked = [n for n in evaluations if n is not None]
    return bool(asked) and not any(asked)


def beyond_models(names: Iterable[str], evaluations: Values) -> bool:
    """Whether a row of these names is none of the models that are compared."""
    return of_data(evaluations) or any(name.split()[:1] == ["oracle"] for name in names)


def best(key: str, rows: Sequence[Values], beyond: Sequence[bool]) -> set[int]:
    """The rows that are best in the column `key`; none where it has no good direction, or where no
    row is told from the best.

    beyond: which rows are no models.
    """
    direction = better(key)
    known = {
        i: [value for value in values if value is not None]
        for i, (values, apart) in enumerate(zip(rows, beyond, strict=True))
        if not apart
    }
    found = {i: estimate(values) for i, values in known.items() if values}
    means = {i: each.mean or 0.0 for i, each in found.items()}
    if direction is None or not means:
        return set()
    sign = 1 if direction is Better.LOWER else -1
    first = min(means, key=lambda i: sign * means[i])
    reach = found[first].half_width or 0.0
    near = [i for i in means if abs(means[i] - means[first]) <= reach]
    level = {i for i in near if not _apart(rows[i], rows[first], means[i] == means[first])}
    return set() if len(level) == len(means) > 1 else level


def _apart(values: Values, others: Values, equal: bool) -> bool:
    """Whether two rows differ, paired by seed; with fewer than two seeds of both, whether their
    means do."""
    pairs = zip(values, others, strict=True)
    gap = estimate([a - b for a, b in pairs if a is not None and b is not None])
    if gap.mean is None or gap.half_width is None:
        return not equal
    return abs(gap.mean) > gap.half_width
