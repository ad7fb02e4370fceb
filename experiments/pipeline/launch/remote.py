"""A piece of work as another process does it, on this machine or another: as it would be done here.

That process runs the same checkout, at the same path, in the same directory: a relative path means
the same there, and an artifact is made by the commit that its provenance names.
"""

import os
import pickle
import platform
import traceback
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from experiments.pipeline import provenance

PASSED_ON = ("AWS_", "FSSPEC_", "HF_", "TORCH_HOME", "WANDB_", "XDG_CACHE_HOME")
"""How the variables begin that other machines are told: where weights lie, who may read a store,
where a log goes."""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}
"""What has to be set before torch is imported."""


class OtherCodeError(Exception):
    """A machine has no checkout at the path of this one, or one of another commit."""


@dataclass(frozen=True)
class Errand:
    """Calls `work` in `folder`, on behalf of `command`, if the code there is that of `commit`."""

    work: Callable[[Any], object]
    folder: Path
    command: str
    commit: str

    @classmethod
    def here(cls, work: Callable[[Any], object]) -> "Errand":
        """As this process would."""
        return cls(work, Path.cwd(), provenance.command(), provenance.commit())

    def __call__(self, item: Any) -> Exception | None:
        """Do it. Returned is what it failed of, so that it arrives as what it is."""
        try:
            self._settle()
            self.work(item)
        except Exception as error:
            return portable(error)
        return None

    def _settle(self) -> None:
        """Be the process that would do it here: this thread, directory and code."""
        from experiments.pipeline.process import one_thread

        one_thread()
        node = platform.node()
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise OtherCodeError(f"{node} has no folder {self.folder}: {error}") from error
        if (found := provenance.commit()) != self.commit:
            raise OtherCodeError(
                f"{node} has commit {found} at {provenance.ROOT}, and this run is of {self.commit}"
            )
        provenance.on_behalf_of(self.command)


def environment() -> dict[str, str]:
    """The variables of such a process that it has to be begun with."""
    passed = {name: value for name, value in os.environ.items() if name.startswith(PASSED_ON)}
    path = [str(provenance.ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**passed, **ONE_THREAD, "PYTHONPATH": os.pathsep.join(path)}


def portable(error: Exception) -> Exception:
    """The error with its traceback noted, or one of the same words if it cannot be pickled."""
    error.add_note(traceback.format_exc())
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")
