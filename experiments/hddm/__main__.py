"""Every table of HDDM in one run: shared experts are trained once, all workers stay busy."""

import sys

from experiments.cli.main import main
from experiments.hddm import (
    ablation_adaln,
    ablation_alignment,
    ablation_init,
    ablation_join,
    ablation_objectives,
    ablation_ordering,
    ablation_ratio,
    ablation_readings,
    ablation_router,
    ablation_sampling,
    ablation_schedules,
    ablation_selection,
    ablation_sharpness,
    ablation_text,
    ablation_threshold,
    ablation_times,
    ablation_weights,
    figures,
    table1,
    table2,
    table3,
    table4,
    tuning,
)

TABLES = (
    table1.TABLE,
    table2.TABLE,
    table3.TABLE,
    table4.TABLE,
    ablation_threshold.TABLE,
    ablation_ordering.TABLE,
    ablation_schedules.TABLE,
    ablation_selection.TABLE,
    ablation_sampling.TABLE,
    ablation_init.TABLE,
    ablation_router.TABLE,
    ablation_text.TABLE,
    ablation_ratio.TABLE,
    ablation_objectives.TABLE,
    ablation_join.TABLE,
    ablation_alignment.TABLE,
    ablation_weights.TABLE,
    ablation_readings.TABLE,
    ablation_sharpness.TABLE,
    ablation_adaln.TABLE,
    ablation_times.TABLE,
    tuning.TABLE,
    figures.TABLE,
)

if __name__ == "__main__":
    sys.exit(main(*TABLES))
