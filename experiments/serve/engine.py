"""Requests for pictures, drawn together: those that wait, and are alike, are one batch."""

import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass, field, replace

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from experiments.pipeline.process import one_thread
from experiments.sample.pictures import read
from experiments.serve.drawers import Drawer
from metrics.pixels import to_uint8
from modules.recorded import WatchedSelection
from modules.sampling import starting_noise
from modules.solvers import Euler
from modules.text import Text

GATHER = 0.005
"""Seconds that a batch waits for company."""
KEPT = 512
"""Prompts whose encoding is kept."""


class BusyError(RuntimeError):
    """More requests wait than are taken."""


@dataclass(frozen=True)
class Step:
    """What a drawing tells of a step: t, and the weight of each expert for this request."""

    t: float
    weights: tuple[float, ...]


@dataclass(frozen=True)
class DrawnPicture:
    """A picture [C, H, W], uint8.  steps: of its drawing.  asked: the experts that were, a step."""

    picture: NDArray[np.uint8]
    steps: int
    asked: float


Tell = Callable[[Step | None], None]
"""Is told each step of a drawing, and None at its end, by the thread that draws."""


def _nobody(step: Step | None) -> None:
    """Where nobody watches."""


@dataclass(frozen=True, eq=False)
class Request:
    """A prompt to draw from the noise of its seed."""

    prompt: str
    seed: int
    steps: int
    guidance: float
    text: Text
    tell: Tell
    done: "Future[DrawnPicture]" = field(default_factory=Future)


class DrawingEngine:
    """One thread that draws batches of at most `most` requests, in the order in which they came.

    waiting: requests that may wait; one more is refused.
    """

    def __init__(self, drawer: Drawer, most: int = 16, waiting: int = 256) -> None:
        self.drawer, self.most = drawer, most
        self.queue: queue.Queue[Request | None] = queue.Queue(waiting)
        self.next: Request | None = None
        self.encoded: dict[str, Text] = {}
        self.lock = threading.Lock()
        self.thread = threading.Thread(target=self._run, daemon=True)
        self.thread.start()

    def submit(
        self, prompt: str, seed: int, steps: int, guidance: float, tell: Tell = _nobody
    ) -> Request:
        """BusyError if too many wait; ValueError for a prompt that is too long."""
        request = Request(prompt, seed, steps, guidance, self._text(prompt), tell)
        try:
            self.queue.put_nowait(request)
        except queue.Full:
            raise BusyError(f"{self.queue.maxsize} requests wait already") from None
        return request

    def close(self) -> None:
        """End when what waits is drawn."""
        self.queue.put(None)
        self.thread.join()

    def _text(self, prompt: str) -> Text:
        with self.lock:
            if prompt not in self.encoded:
                if len(self.encoded) >= KEPT:
                    self.encoded.pop(next(iter(self.encoded)))
                self.encoded[prompt] = read(self.drawer.text, [prompt])
            return self.encoded[prompt]

    def _run(self) -> None:
        one_thread()
        while (batch := self._batch()) is not None:
            try:
                drawn = self._draw(batch)
            except Exception as error:  # told to those who asked; the next batch is drawn
                for request in batch:
                    request.done.set_exception(error)
            else:
                for request, picture in zip(batch, drawn, strict=True):
                    request.done.set_result(picture)
            for request in batch:
                request.tell(None)

    def _batch(self) -> list[Request] | None:
        """The next request and those that may be drawn with it; None at the end."""
        first = self.next or self.queue.get()
        self.next = None
        if first is None:
            return None
        batch, end = [first], time.monotonic() + GATHER
        while len(batch) < self.most:
            try:
                request = self.queue.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                break
            if request is None:
                self.queue.put(None)
                break
            if (request.steps, request.guidance) != (first.steps, first.guidance):
                self.next = request
                break
            batch.append(request)
        return batch

    def _draw(self, batch: list[Request]) -> list[DrawnPicture]:
        drawer, first, asked = self.drawer, batch[0], list[int]()

        def watch(t: Tensor, p: Tensor, w: Tensor) -> None:
            asked.append(int((w > 0).any(0).sum()))
            for i, request in enumerate(batch):  # the first half of guidance, which reads captions
                request.tell(Step(float(t[i]), tuple(w[i].tolist())))

        watched = WatchedSelection(drawer.ensemble.selection, watch)
        ensemble = replace(drawer.ensemble, selection=watched)
        texts = [request.text for request in batch]
        c = Text.of(torch.cat([x.tokens for x in texts]), torch.cat([x.pooled for x in texts]))
        x = starting_noise([request.seed for request in batch], drawer.shape).to(drawer.device)
        with drawer.drawing(), torch.inference_mode():
            done = Euler().draw(
                ensemble, c.to(drawer.device), first.guidance, x, first.steps,
                lambda _: torch.empty(0),
            )  # fmt: skip
        pictures = to_uint8(drawer.latents.decode(done.float().cpu().numpy(), drawer.device))
        mean = sum(asked) / len(asked)
        return [DrawnPicture(picture, first.steps, mean) for picture in pictures]
