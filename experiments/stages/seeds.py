"""The seeds of a run: one for each role that a seed of a table has."""

import numpy as np

EXPERT, ROUTER, SAMPLING, MEASURING = range(4)
"""Roles of a seed: what has another role draws other numbers."""
CONTINUED = 1 << 16
"""Roles from here on are those of experts trained further, stage by stage."""


def run_seed(seed: int, role: int, *who: int) -> int:
    """An independent seed for each run that one seed of a table stands for."""
    return int(np.random.SeedSequence([seed, role, *who]).generate_state(1)[0])
