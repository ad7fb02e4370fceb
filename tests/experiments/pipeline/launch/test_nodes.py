"""What no node of a cluster can ever hold, in a line."""

import itertools
import math

import pytest

from experiments.pipeline.launch.nodes import places, shortage

GB = 2**30
SMALL = {"CPU": 2, "memory": 4 * GB}
LARGE = {"CPU": 8, "GPU": 2, "memory": 16 * GB}


@pytest.mark.parametrize(
    ("wanted", "count"),
    [
        ({}, 1000),
        ({"CPU": 0, "GPU": 0, "memory": 0}, 1000),
        ({"CPU": 2}, 5),
        ({"CPU": 1, "GPU": 0.5}, 4),
        ({"GPU": 0.6}, 2),  # a share is of one GPU
        ({"GPU": 0.1}, 20),
        ({"GPU": 2}, 1),
        ({"memory": 4 * GB}, 5),
        ({"CPU": 8, "GPU": 1, "memory": 16 * GB}, 1),
    ],
)
def test_as_many_have_room_as_can_be_laid_side_by_side(wanted, count):
    """kills: amounts added up over nodes, shares of two GPUs for one, one place too many or too
    few."""
    assert shortage([SMALL, LARGE], wanted, count) is None
    if any(wanted.values()):
        assert shortage([SMALL, LARGE], wanted, count + 1) is not None


@pytest.mark.parametrize(("cpus", "gpus"), itertools.product((1, 3, 4), (0, 1, 2)))
def test_places_are_those_of_the_scarcest(cpus, gpus):
    """By adding one after another until something runs out. kills: another resource's number."""
    node, wanted, found = dict(LARGE), {"CPU": cpus, "GPU": gpus, "memory": GB}, 0
    while all(node[name] >= x for name, x in wanted.items()):
        node = {name: amount - wanted[name] for name, amount in node.items()}
        found += 1
    assert places(LARGE, wanted) == found
    assert places(LARGE, {"GPU": 0}) == math.inf


@pytest.mark.parametrize(
    ("nodes", "wanted", "count", "said"),
    [
        ([SMALL], {"CPU": 1, "GPU": 1, "memory": 0}, 1, "1 CPU, 1 GPU is needed on one node, and "
         "the most that any has is 2 CPU, 0 GPU"),
        ([SMALL, LARGE], {"memory": 20 * GB}, 4, "20,480 MB of memory is needed on one node, and "
         "the most that any has is 16,384 MB of memory"),
        ([SMALL, LARGE], {"GPU": 1}, 4, "4 times 1 GPU is needed, and the cluster has room for 2 "
         "of them"),
        ([], {"CPU": 1}, 1, "1 CPU is needed on one node, and the most that any has is 0 CPU"),
    ],
)  # fmt: skip
def test_the_line_says_what_is_needed_and_what_there_is(nodes, wanted, count, said):
    """kills: a line without either number, or that names what nobody wants."""
    assert shortage(nodes, wanted, count).startswith(f"{said}: add ")
