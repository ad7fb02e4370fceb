"""Which number format a recipe of this suite is counted in."""

from dataclasses import replace

import pytest

from experiments.hddm import table2
from experiments.measures.resources import Recipe, Spent
from experiments.recipes.images import SCALES
from modules.training import Precision, ScaledPrecision


@pytest.mark.parametrize("precision", [*Precision, *ScaledPrecision])
def test_half_precision_of_either_kind_is_counted_as_sixteen_bits(precision):
    """kills: float16 autocast, the paper's own, counted as float32."""
    rows = [row.measured for row in table2.rows(SCALES["smoke"], 0)]
    spent = next(one for one in rows if isinstance(one, Spent))
    experts = tuple(replace(e, optim=replace(e.optim, precision=precision)) for e in spent.experts)
    recipe = Recipe.of(experts, spent.router, 1)
    assert recipe.precision.value == ("float32" if "32" in precision.value else "float16")
