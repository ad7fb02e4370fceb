"""Partitions that are stated, against counts and the labels themselves."""

import numpy as np
import pytest

from datamodules.partitions import AtRandom, ByFactors, Grouped
from datamodules.sources.scenes import Factor, Scenes, values_of
from datamodules.sources.source import Split

RECORDS = Scenes().drawn(Split.TRAIN, 0, 16_000)


def clusters(partition, k=8, seed=0, records=RECORDS):
    return partition.numbers(records.keys, records.labels, k, seed)


def test_a_random_cluster_is_the_keys_own():
    """kills: a cluster that hangs on the records beside it, clusters of unequal size, one
    partition for all seeds, a cluster that a factor tells."""
    found = clusters(AtRandom())
    assert found.dtype == np.int64
    assert np.array_equal(found[500:700], clusters(AtRandom(), records=RECORDS[500:700]))
    assert np.bincount(found, minlength=8) == pytest.approx(2000, abs=4 * 42)  # sigma 42
    agreed = (found == clusters(AtRandom(), seed=1)).mean()
    assert agreed == pytest.approx(1 / 8, abs=0.011)
    texture = values_of(RECORDS.labels)[Factor.TEXTURE]
    assert (found == texture).mean() == pytest.approx(1 / 8, abs=0.011)


def test_a_cluster_by_a_factor_is_the_factor():
    """kills: another factor, clusters numbered anew."""
    found = clusters(ByFactors((Grouped(Factor.COLOUR, 8),)))
    assert np.array_equal(found, values_of(RECORDS.labels)[Factor.COLOUR])


def test_groups_are_neighbours_of_equal_number_and_cross():
    """kills: values taken in turns, one group's values more than another's, a product that loses
    a factor."""
    found = clusters(ByFactors((Grouped(Factor.COLOUR, 2), Grouped(Factor.TEXTURE, 4))))
    values = values_of(RECORDS.labels)
    expected = 4 * (values[Factor.COLOUR] // 4) + values[Factor.TEXTURE] // 2
    assert np.array_equal(found, expected)


def test_what_cannot_be_made_is_refused():
    """kills: clusters that stay empty, groups without a value, a partition of no labels."""
    by_colour = ByFactors((Grouped(Factor.COLOUR, 8),))
    with pytest.raises(ValueError, match="make 8 clusters, not 4"):
        clusters(by_colour, k=4)
    with pytest.raises(ValueError, match="3 groups of the 2 values of size"):
        Grouped(Factor.SIZE, 3)
    with pytest.raises(ValueError, match="labels of scenes"):
        by_colour.numbers(["a"], np.array([-1]), 8, 0)
