"""Experts and their router as Ray actors, each in a process and with a memory of its own.

The only file of this room that imports ray. A folder of weights is read where its actor runs, at
the same path as here. What an expert has read of the captions of a drawing it remembers until the
drawing is over, as an expert in this process would, so that its answers have the same bits.
"""

import itertools
import resource
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from experiments.pipeline.launch import nodes
from experiments.pipeline.launch.ray import connected, resources
from experiments.pipeline.process import one_thread
from modules.alignment import Alignment
from modules.dispatch import Dispatched, Question
from modules.ensemble import Posterior
from modules.guard import Guard
from modules.recall import Page, Recall
from modules.schedules import Schedule
from modules.text import Text
from modules.weights.checkpoint import CheckpointError
from modules.weights.published import WEIGHTS, load_expert, load_router

OBJECTS = 128 << 20
"""Bytes that a cluster begun here keeps for objects."""


class ActorsError(RuntimeError):
    """An actor that could not start, or is gone. One line that says which."""


class SentWords(NamedTuple):
    """The captions of a question as they travel.

    tokens: of the rows in `unread` alone, those that the actor has not read in this drawing.
    """

    drawing: int
    place: Tensor
    places: int
    pooled: Tensor
    keep: Tensor
    unread: Tensor
    tokens: Tensor


@dataclass(frozen=True)
class ActorShare:
    """What each actor is given.

    memory: bytes that its weights and all it computes may take, beyond an empty process; None for
    as much as there is.  gpus: share of a GPU.
    """

    memory: int | None = None
    gpus: float = 0.0


def limit_memory(extra: int) -> None:
    """From here on this process may take `extra` more bytes; more is a MemoryError."""
    status = Path("/proc/self/status").read_text()
    now = next(line for line in status.splitlines() if line.startswith("VmData:"))
    limit = int(now.split()[1]) * 1024 + extra
    resource.setrlimit(resource.RLIMIT_DATA, (limit, resource.getrlimit(resource.RLIMIT_DATA)[1]))


class _Server:
    """A network of a published folder, in a process of its own."""

    def __init__(self, folder: str, router: bool, memory: int | None) -> None:
        one_thread()
        if memory is not None:
            limit_memory(memory)
        self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        self.pages: dict[int, dict[object, Page]] = {}
        self.folder, self.router, self.asked, self.memory = Path(folder), router, 0, memory

    def load(self) -> None:
        """CheckpointError for a damaged folder; MemoryError if it does not fit."""
        weights = self.folder / WEIGHTS
        if self.memory is not None and weights.exists() and weights.stat().st_size > self.memory:
            raise MemoryError(f"{self.folder} does not fit into {self.memory >> 20} MB")
        try:
            self._load()
        except (RuntimeError, OSError, MemoryError, SystemError) as error:
            every = resource.getrlimit(resource.RLIMIT_DATA)[1]
            resource.setrlimit(resource.RLIMIT_DATA, (every, every))  # room to say so
            if not isinstance(error, MemoryError | torch.OutOfMemoryError):
                if self.memory is None:
                    raise
                self._load()  # without the limit only what is damaged fails again
            raise MemoryError(f"{self.folder} does not fit into this actor") from error

    def _load(self) -> None:
        if self.router:
            self.p = load_router(self.folder)[1].to(self.device)
        else:
            published = load_expert(self.folder)
            published.network.to(self.device)
            self.expert = published.expert()

    def _text(self, words: SentWords | None) -> Text | None:
        """The captions as a network here reads them."""
        if words is None:
            return None
        shape = len(words.place), *words.tokens.shape[1:]
        tokens = words.tokens.new_zeros(shape)  # of rows that were read before, and are not now
        tokens[words.unread] = words.tokens
        text = Text(tokens, words.pooled, words.keep).to(self.device)
        pages = self.pages.setdefault(words.drawing, {})
        return replace(text, recall=Recall(words.place.to(self.device), words.places, pages))

    @torch.inference_mode()
    def velocity(
        self, x: Tensor, t: Tensor, words: SentWords | None,
        path: Schedule, alignment: Alignment, guard: Guard,
    ) -> Tensor:  # fmt: skip
        self.asked += 1
        c, here = self._text(words), self.device
        return self.expert.velocity(x.to(here), t.to(here), c, path, alignment, guard).cpu()

    @torch.inference_mode()
    def probabilities(self, x: Tensor, t: Tensor, words: SentWords | None) -> Tensor:
        self.asked += 1
        answer: Tensor = self.p(x.to(self.device), t.to(self.device), self._text(words))
        return answer.cpu()

    def forget(self, drawing: int) -> None:
        """A drawing is over."""
        self.pages.pop(drawing, None)

    def calls(self) -> int:
        """How often it was asked."""
        return self.asked


def cluster() -> AbstractContextManager[Any]:
    """The Ray cluster that RAY_ADDRESS names, or one of this machine's own until it is left.
    OSError if nobody answers there."""
    return connected(None, {"object_store_memory": OBJECTS})


def check_room(there: Sequence[nodes.Resources], place: ActorShare, count: int) -> None:
    """ActorsError if the cluster can never hold so many actors at once: Ray would wait for ever."""
    wanted = {"GPU": place.gpus, "memory": place.memory or 0}
    if line := nodes.shortage(there, wanted, count):
        raise ActorsError(f"{count} actors have no room: {line}")


class Actors:
    """An actor for each expert's folder, and one for the router. Called by `Dispatched`.

    ActorsError if one cannot start, or all have no room.
    """

    def __init__(
        self, experts: Sequence[Path], router: Path, place: ActorShare = ActorShare()
    ) -> None:
        import ray  # once `cluster` has set what it reads when it is imported

        self.ray, self.folders = ray, [*experts, router]
        check_room(resources(ray), place, len(self.folders))
        kind: Any = ray.remote(num_cpus=0, num_gpus=place.gpus, scheduling_strategy="SPREAD")(
            _Server
        )
        kind = kind.options(memory=place.memory) if place.memory is not None else kind
        self.servers: list[Any] = [
            kind.remote(str(folder.resolve()), folder is router, place.memory)
            for folder in self.folders
        ]
        self.numbers, self.here = itertools.count(), threading.local()
        self.limited = place.memory is not None
        for server, folder in zip(self.servers, self.folders, strict=True):
            self._answer(server.load.remote(), folder)

    def _answer(self, reference: Any, folder: Path) -> Any:
        try:
            return self.ray.get(reference)
        except self.ray.exceptions.RayError as error:
            cause = getattr(error, "cause", None)
            if isinstance(cause, CheckpointError | ValueError | OSError):
                raise cause from error
            unsaid = f"{folder} does not fit, or its process died: " if self.limited else ""
            said = str(cause or unsaid + str(error).strip().splitlines()[-1])
            raise ActorsError(f"the actor of {folder}: {said}") from error

    def __call__(
        self, ensemble: Dispatched, questions: Mapping[int, Question]
    ) -> dict[int, Tensor]:
        """Velocities [M, ...] by expert: all are asked before any has answered."""
        rules = ensemble.path, ensemble.alignment, ensemble.guard
        sent = {
            k: self.servers[k].velocity.remote(q.x, q.t, self._words(k, q.c), *rules)
            for k, q in questions.items()
        }
        return {k: self._answer(reference, self.folders[k]) for k, reference in sent.items()}

    @property
    def router(self) -> Posterior:
        """The router's actor: p [B, K] at x [B, ...], t [B]."""
        k = len(self.servers) - 1

        def posterior(x: Tensor, t: Tensor, c: Text | None) -> Tensor:
            reference = self.servers[k].probabilities.remote(x, t, self._words(k, c, tokens=False))
            p: Tensor = self._answer(reference, self.folders[k])
            return p

        return posterior

    def _words(self, k: int, c: Text | None, tokens: bool = True) -> SentWords | None:
        """What actor k needs of these captions: tokens of those alone that it has not read."""
        if c is None:
            return None
        assert c.recall is not None  # as every solver's field has it
        place, places, number = c.recall.place, c.recall.places, self.here.number
        known = self.here.read.setdefault(k, torch.zeros(places, dtype=torch.bool))
        unread = (~known[place]).nonzero().flatten() if tokens else place[:0]
        known[place] = True
        return SentWords(number, place, places, c.pooled, c.keep, unread, c.tokens[unread])

    @contextmanager
    def drawing(self) -> Iterator[None]:
        """One drawing of this thread, whose captions are remembered until it is over."""
        self.here.number, self.here.read = next(self.numbers), {}
        try:
            yield
        finally:
            for k in self.here.read:
                self.servers[k].forget.remote(self.here.number)

    def calls(self) -> list[int]:
        """How often each expert was asked, and then the router."""
        answers = [server.calls.remote() for server in self.servers]
        return [self._answer(x, f) for x, f in zip(answers, self.folders, strict=True)]

    def close(self) -> None:
        """End all actors."""
        for server in self.servers:
            self.ray.kill(server)
