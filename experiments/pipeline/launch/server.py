"""The process that workers are forked from: it has imported what they need, once for all of them.

It starts no GPU and no thread, and ends with the process that started it.
"""

import contextlib
import multiprocessing
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import forkserver, resource_tracker

FORKED = multiprocessing.get_context("forkserver")
"""How a worker starts: as a copy of the server."""


def start(libraries: Sequence[str]) -> None:
    """Start the server unless there is one; it imports while this process goes on.

    What it imports: all of the suite that this process has, and `libraries`; a module that is not
    there is passed over: whoever needs it says so.
    """
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[name] = "1"  # before the server imports torch
    suite = __name__.partition(".")[0]
    here = [name for name in sys.modules if name.startswith(f"{suite}.")]
    FORKED.set_forkserver_preload([*here, *libraries])
    resource_tracker.ensure_running()  # the server would start it, and so lift the block
    with block_sigint():
        forkserver.ensure_running()


def wait_until_ready() -> None:
    """Until the server has imported; unlike the start of a worker, Ctrl-C interrupts this."""
    process = FORKED.Process(target=_nothing)
    process.start()
    process.join()


def _nothing() -> None:
    """What a process runs whose start is what matters."""


@contextlib.contextmanager
def block_sigint() -> Iterator[None]:
    """Block SIGINT while a process starts.

    It inherits the block, so that no Ctrl-C interrupts its imports; in a worker `local.settle`
    lifts it. This process gets the signal when the block ends.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
