"""Whether the nodes of a Ray cluster can ever hold what is asked of them.

Ray itself waits for ever for a node that may join. What others occupy at present is no matter here.
"""

import math
from collections.abc import Mapping, Sequence

Resources = Mapping[str, float]
"""An amount by resource: CPU, GPU, and memory in bytes."""
ROUNDING = 1e-6


def places(node: Resources, wanted: Resources) -> float:
    """How many that want so much have room on one node; infinitely many that want nothing."""
    return min(
        (_times(name, node.get(name, 0), x) for name, x in wanted.items() if x), default=math.inf
    )


def _times(name: str, total: float, each: float) -> int:
    if name == "GPU" and each < 1:  # a share is of one GPU
        return int(total) * int(1 / each + ROUNDING)
    return int(total / each + ROUNDING)


def shortage(nodes: Sequence[Resources], wanted: Resources, count: int = 1) -> str | None:
    """A line for what has no room for `count` that want so much, whoever else leaves; None if it
    has."""
    room = sum(places(node, wanted) for node in nodes)
    if room >= count:
        return None
    most = {name: max((node.get(name, 0) for node in nodes), default=0) for name in wanted}
    needed = ", ".join(_said(name, x) for name, x in wanted.items() if x)
    largest = ", ".join(_said(name, most[name]) for name, x in wanted.items() if x)
    if count > 1 and room:
        return (
            f"{count} times {needed} is needed, and the cluster has room for {room:.0f} of them: "
            "add nodes, or ask for less"
        )
    return (
        f"{needed} is needed on one node, and the most that any has is {largest}: "
        "add a node, or ask for less"
    )


def _said(name: str, amount: float) -> str:
    if name == "memory":
        return f"{amount / 2**20:,.0f} MB of memory"
    return f"{amount:g} {name}"
