import ctypes
import os
import subprocess
import sys

import pytest

FAULTS = """
import resource, sys, torch
from experiments.pipeline.process import one_thread
if sys.argv[1] == "kept":
    one_thread()
def work():
    return [torch.ones(5 << 20) for _ in range(3)]  # 60 MiB, all of it written to
for _ in range(8):
    work()
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(5):
    work()
print(resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before)
"""


@pytest.mark.skipif(not hasattr(ctypes.CDLL(None), "mallopt"), reason="no glibc")
def test_memory_that_is_freed_is_not_faulted_in_again():
    """kills: mallopt left out, or one of its numbers mistaken for another's."""
    handed_back = {**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "0"}
    faults = {}
    for how in ("kept", "as it comes"):
        run = [sys.executable, "-c", FAULTS, how]
        done = subprocess.run(run, capture_output=True, text=True, check=True, env=handed_back)
        faults[how] = int(done.stdout)
    assert faults["kept"] < 100 < faults["as it comes"]
