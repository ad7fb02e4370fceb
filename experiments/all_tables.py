"""Every table of HDDM in one run: shared experts are trained once, all workers stay busy."""

import sys

from experiments.cli import main
from experiments.hddm import (
    ablation_objectives,
    ablation_ordering,
    ablation_ratio,
    ablation_schedules,
    ablation_selection,
    ablation_threshold,
    table1,
    table3,
    table4,
)

TABLES = (
    table1.TABLE,
    table3.TABLE,
    table4.TABLE,
    ablation_threshold.TABLE,
    ablation_ordering.TABLE,
    ablation_schedules.TABLE,
    ablation_selection.TABLE,
    ablation_ratio.TABLE,
    ablation_objectives.TABLE,
)

if __name__ == "__main__":
    sys.exit(main(*TABLES))
