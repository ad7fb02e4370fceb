"""A training reads no rank that a launcher left in the environment: Slurm's, torch's, LSF's, MPI's.

Lightning takes such variables for its own. Under Slurm's it begins a run with whatever checkpoint a
signal has left in the working directory, another expert's too; under a rank it writes no log. Its
own PL_TRAINER_... are arguments of every training that are in no key.
"""

import os
from collections.abc import Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any

FAMILIES = (
    *("SLURM_", "SLURMD_", "SRUN_", "SBATCH_"),  # Slurm
    *("TORCHELASTIC_", "PET_", "ROLE_"),  # torchrun
    *("JSM_", "LSB_", "LSF_"),  # LSF, jsrun
    *("OMPI_", "PMI_", "PMIX_", "MPI_LOCAL", "MV2_COMM_", "HYDRA_", "I_MPI_"),  # MPI
    "PL_",  # Lightning
)
"""How the variables of launchers, and Lightning's own, begin."""
NAMES = (
    *("RANK", "LOCAL_RANK", "GROUP_RANK", "NODE_RANK"),
    *("WORLD_SIZE", "LOCAL_WORLD_SIZE", "GROUP_WORLD_SIZE"),
    *("MASTER_ADDR", "MASTER_PORT", "STANDALONE_PORT"),
)
"""Those that torchrun, Kubeflow and others share."""


def clear(environment: MutableMapping[str, str]) -> dict[str, str]:
    """Take out whatever a launcher or Lightning goes by; returned is what was there."""
    left = [name for name in environment if name in NAMES or name.startswith(FAMILIES)]
    return {name: environment.pop(name) for name in left}


@contextmanager
def alone() -> Iterator[None]:
    """One process that is its own first and only one, whatever the environment says."""
    from lightning.fabric.utilities import rank_zero

    first: Any = rank_zero.rank_zero_only  # it has a rank of its own, read when it was imported
    rank, left = first.rank, clear(os.environ)
    first.rank = 0
    try:
        yield
    finally:
        first.rank = rank
        os.environ.update(left)
