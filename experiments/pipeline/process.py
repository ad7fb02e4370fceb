"""What a process that makes stages is set to, wherever it runs: one thread, and memory kept."""

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

import torch

TRIM_THRESHOLD, TOP_PAD, MMAP_THRESHOLD = -1, -2, -3
"""glibc's numbers of mallopt's parameters (malloc.h)."""
MIB = 1 << 20


def one_thread() -> None:
    """Compute in one thread, so that sums have one order, and keep the memory that is freed.

    glibc hands freed memory back to the system above 128 KiB or what it has learnt since, and each
    call of a network then faults in its activations anew: at `small` 3,000 pages a call.
    """
    torch.set_num_threads(1)
    keep_freed_memory()


@contextmanager
def in_one_thread() -> Iterator[None]:
    """Compute in one thread for a while, in a process that is somebody else's: a notebook."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)


def keep_freed_memory() -> None:
    """Have malloc keep up to 1 GiB of what is freed, where the C library is glibc."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(MMAP_THRESHOLD, 32 * MIB)  # the most that glibc takes
        mallopt(TRIM_THRESHOLD, 1024 * MIB)
        mallopt(TOP_PAD, 64 * MIB)
