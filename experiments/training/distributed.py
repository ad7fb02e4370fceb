"""One training on several devices: a process for each, begun together and ended together.

Lightning finds them through the variables that torch's own launcher would set, and starts none
itself: it would run the command line again, and this is somewhere inside of a worker.
"""

import multiprocessing
import multiprocessing.connection
import os
import pickle
import time
import traceback
from collections.abc import Callable, Sequence
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess as Process
from multiprocessing.process import BaseProcess
from typing import Any

import torch.distributed
from tqdm import tqdm

from experiments.pipeline.launch import local, server
from experiments.training import isolation

HOST = "127.0.0.1"
AFTERMATH = 0.5
"""Seconds in which others that failed may report, lest the first is taken for another."""


def run(work: Callable[..., None], arguments: Sequence[Any], count: int) -> None:
    """work(rank, *arguments) in `count` new processes, which find each other by the environment.

    The first failure ends them all and is raised; BrokenProcessPool if one was killed. None of
    them outlives this call, or this process.
    """
    # Kept here, their meeting place has a port that nobody can take in between.
    place = torch.distributed.TCPStore(HOST, 0, is_master=True, wait_for_workers=False)
    environment = {
        "MASTER_ADDR": HOST,
        "MASTER_PORT": str(place.port),
        "WORLD_SIZE": str(count),
        "TORCHELASTIC_USE_AGENT_STORE": str(True),
    }
    lock = None if local.slot is None else tqdm.get_lock()
    ranks: list[tuple[BaseProcess, Connection]] = []
    try:
        for rank in range(count):
            ours, theirs = multiprocessing.Pipe(duplex=False)
            own = {**environment, "RANK": str(rank), "LOCAL_RANK": str(rank)}
            process = Process(target=_rank, args=(theirs, own, lock, work, rank, arguments))
            with server.block_sigint():
                process.start()
                ranks.append((process, ours))
            theirs.close()
        _wait(ranks)
    finally:
        for started, _ in ranks:  # SIGTERM would not do: Lightning waits for its step to end
            started.kill()
            started.join()


def _rank(
    pipe: Connection,
    environment: dict[str, str],
    lock: Any,
    work: Callable[..., None],
    rank: int,
    arguments: Sequence[Any],
) -> None:
    isolation.clear(os.environ)
    os.environ.update(environment)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # gloo greets on stdout, where tables go
    if lock is not None:
        tqdm.set_lock(lock)
    local.settle()
    try:
        work(rank, *arguments)
    except Exception as error:
        pipe.send((time.monotonic(), _portable(error)))
        os._exit(1)  # at once: a group of which some are gone may wait for them
    if torch.distributed.is_initialized():
        torch.distributed.destroy_process_group()


def _portable(error: Exception) -> Exception:
    """The error with its traceback noted, or one of the same words if it cannot be pickled."""
    error.add_note(traceback.format_exc())
    try:
        return pickle.loads(pickle.dumps(error))
    except Exception:
        return RuntimeError(f"{type(error).__name__}: {error}")


def _wait(ranks: list[tuple[BaseProcess, Connection]]) -> None:
    """Until all are done. The first error of any; it tells before the others can notice."""
    left = [process for process, _ in ranks]
    while left and not any(process.exitcode for process in left):
        multiprocessing.connection.wait([process.sentinel for process in left])
        left = [process for process in left if process.exitcode != 0]
    for process in left:
        process.join(AFTERMATH)
    if any((process.exitcode or 0) < 0 for process in left):
        raise BrokenProcessPool("a training process was killed")
    errors = [pipe.recv() for process, pipe in ranks if process.exitcode and pipe.poll()]
    if errors:
        raise min(errors, key=lambda timed: timed[0])[1]
    if left:
        raise BrokenProcessPool("a training process ended abruptly")
