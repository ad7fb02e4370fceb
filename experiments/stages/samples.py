"""The stage that draws pictures for captions: an ensemble, a router, a selection."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from tqdm import tqdm

from datamodules.encoders.encoder import CPU, LatentEncoder
from experiments.pipeline.files import write_whole
from experiments.pipeline.stage import Stage
from experiments.pipeline.store import Context, Store
from experiments.stages.corpus import Corpus
from experiments.stages.experts import TrainExpert
from experiments.stages.prompts import Asked, Heldout, InClusters, Prompts, encoded
from experiments.stages.routers import Known, Routing, at_rows, networks
from experiments.stages.run import loaded_once
from experiments.stages.seeds import SAMPLING, run_seed
from experiments.stages.setting import Setting
from experiments.training.compiling import compile_blocks
from modules.denoising import DenoisingExpert
from modules.ensemble import Ensemble, Uniform, counting
from modules.expert import Expert
from modules.sampling import starting_noise
from modules.selection import Selection
from modules.solvers import check_asked
from modules.text import GivenFrame, Text
from modules.training import half

Arrays = dict[str, NDArray[Any]]
Images = NDArray[np.float32]


@dataclass(frozen=True)
class Loaded:
    """What a sample set is drawn with: networks on its device, captions beside them."""

    experts: list[DenoisingExpert]
    router: nn.Module
    captions: Text
    first: GivenFrame | None = None

    def condition(self, rows: range) -> Text:
        """The captions and first frames of these rows, on the networks' device, in float32."""
        chosen = self.captions[rows.start : rows.stop]
        device = next(self.experts[0].parameters()).device
        first = None if self.first is None else self.first[rows.start : rows.stop]
        text = Text.of(chosen.tokens.float(), chosen.pooled.float())
        return replace(text, first=first).to(device)

    def counted(self) -> dict[str, list[nn.Module]]:
        """The networks whose evaluations are counted, by who pays for them."""
        return {"expert": [x.network for x in self.experts], "router": networks(self.router)}


AT_ONCE = 4
"""Pictures decoded at once on a CPU, whose caches hold the activations of no more. It stands here,
since an encoder's own code is in the key of all that is trained on its latents."""


def decoded(encoder: LatentEncoder, latents: Images, device: torch.device) -> Images:
    """Pictures [b, C, H, W], or clips, in [-1, 1] of latents [b, c, h, w] or [b, c, t, h, w]."""
    if encoder.pixels or device.type != "cpu":
        return encoder.decode(latents, device)
    starts = range(0, max(1, len(latents)), AT_ONCE)
    return np.concatenate([encoder.decode(latents[i : i + AT_ONCE], device) for i in starts])


class Pictures(Stage):
    """A stage whose artifact is pictures, each made for a prompt, or chosen for it."""

    def prompts(self, store: Store) -> Asked:
        raise NotImplementedError

    def pictures(self, store: Store, device: torch.device = CPU) -> Iterator[Images]:
        """The pictures [b, C, H, W], or clips, in [-1, 1], a batch at a time."""
        raise NotImplementedError

    def evaluations(self, store: Store) -> dict[str, float]:
        """Evaluations per picture of the experts and of the router, as counted."""
        raise NotImplementedError

    def beginnings(self, store: Store, device: torch.device = CPU) -> Images | None:
        """The first frames [N, C, H, W] that clips should begin with, where that is known."""
        return None

    def images(self, store: Store, first: int | None = None, device: torch.device = CPU) -> Images:
        """The first pictures, or all of them if they fit into memory."""
        batches = list[Images]()
        for batch in self.pictures(store, device):
            batches.append(batch)
            if first is not None and sum(map(len, batches)) >= first:
                break
        return np.concatenate(batches)[:first]


@dataclass(frozen=True)
class Sample(Pictures):
    """00000.npz, 00001.npz, …: a picture for each prompt, and how many evaluations they took.

    router None: every expert is as probable as another, for selections that ask no router.
    Row i starts from noise of its own seed, the same under every strategy, for paired comparisons.
    first: a clip begins with the first frame of the held-out clip whose caption it is asked for.
    ValueError if an expert cannot be inverted at one of its times, or if the oracle or first frames
    of held-out rows are to go with other prompts.
    """

    resumes: ClassVar[bool] = True
    experts: tuple[TrainExpert, ...]
    router: Routing | None
    selection: Selection
    asked: Prompts | InClusters
    batch: int
    seed: int
    setting: Setting
    first: bool = False

    def __post_init__(self) -> None:
        experts = [Expert(nn.Identity(), e.module.objective, e.schedule) for e in self.experts]
        field = self.setting.ensemble(experts, Uniform(len(experts)), self.selection)
        check_asked(field, self.setting.solver, self.setting.steps)
        if isinstance(self.router, Known) and self.asked != Heldout(self.router.n):
            raise ValueError(f"the oracle of {self.router.n} held-out captions: not {self.asked}")
        if self.first and not isinstance(self.asked, Heldout):
            raise ValueError(f"first frames are held-out clips', asked in turn: not {self.asked}")

    @property
    def n(self) -> int:
        return self.asked.n

    @property
    def shards(self) -> Corpus:
        return self.experts[0].shards

    @property
    def label(self) -> str:
        who = self.experts[0].name if len(self.experts) == 1 else f"{self.selection}"
        return f"samples of {who}, seed {self.seed}"

    @property
    def cost(self) -> float:
        calls = self.setting.steps * (1 if self.setting.guidance == 1 else 2)
        return 1.0 + self.n * calls * (1e-4 if self.router is None else 3e-4)

    def inputs(self) -> tuple[Stage, ...]:
        placed = self.shards.placed() if isinstance(self.asked, InClusters) else ()
        return (*super().inputs(), self.shards.heldout, *placed)

    def prompts(self, store: Store) -> Asked:
        heldout = self.shards.heldout.captions(store)
        if not isinstance(self.asked, InClusters):
            return self.asked.read(heldout)
        return self.asked.chosen(heldout, self.shards.heldout_clusters(store))

    def make(self, folder: Path, context: Context) -> None:
        loaded = self.load(context.store, context.torch_device, context.hardware.compile)
        starts, hidden = range(0, self.n, self.batch), context.bar is None
        bar = tqdm(starts, desc=self.label, position=context.bar, disable=hidden, leave=False)
        for i, start in enumerate(bar):
            path = folder / f"{i:05d}.npz"
            if not path.exists():
                rows = range(start, min(start + self.batch, self.n))
                content = BytesIO()
                np.savez(content, **self._draw(loaded, rows))  # type: ignore[arg-type]
                write_whole(path, content.getbuffer(), part=Path(f"{path}.part"))

    def load(self, store: Store, device: torch.device, compiled: bool = False) -> Loaded:
        arrays = encoded(self.shards.text, self.prompts(store)[0], device)
        tokens, pooled = map(torch.tensor, arrays)
        router = Uniform(len(self.experts)) if self.router is None else self.router.load(store)
        if compiled:
            compile_blocks(router, rows_vary=True)
        experts = [loaded_once(stage, store, device, compiled) for stage in self.experts]
        return Loaded(experts, router.to(device), Text.of(tokens, pooled), self._firsts(store))

    def _firsts(self, store: Store) -> GivenFrame | None:
        """The first frames of the held-out clips, round again if there are few."""
        if not self.first:
            return None
        arrays = [self.shards.heldout.array(store, name) for name in ("latents", "features")]
        x0, feature = (torch.from_numpy(x[np.arange(self.n) % len(x)]).float() for x in arrays)
        return GivenFrame(x0[:, :, :1], feature, torch.ones(self.n, dtype=torch.bool))

    def beginnings(self, store: Store, device: torch.device = CPU) -> Images | None:
        if len(self.shards.latent_shape) != 4 or not isinstance(self.asked, Heldout):
            return None  # a picture [C, H, W] has no first frame
        x0 = self.shards.heldout.array(store, "latents")
        rows = np.arange(self.n) % len(x0)
        return self.shards.latents.decode(x0[rows, :, :1], device)[:, :, 0]

    def ensemble(self, loaded: Loaded, rows: range) -> Ensemble:
        """The field in which the given rows are drawn."""
        experts = [module.expert() for module in loaded.experts]
        router, selection = at_rows(loaded.router, rows), self.selection.seeded(self.seeds(rows))
        return self.setting.ensemble(experts, router, selection)

    def noise(self, rows: range, *role: int) -> torch.Tensor:
        """Standard normal noise [len(rows), *latent], each row from seeds of its own."""
        return starting_noise(self.seeds(rows, *role), self.shards.latent_shape)

    def seeds(self, rows: range, *role: int) -> list[int]:
        """Of each row its own seed, by what it is for."""
        return [run_seed(self.seed, SAMPLING, i, *role) for i in rows]

    def _draw(self, loaded: Loaded, rows: range) -> Arrays:
        """latents [len(rows), C, H, W] and, for each kind of network, its evaluations."""
        c, ensemble = loaded.condition(rows), self.ensemble(loaded, rows)
        device = c.pooled.device
        cast = half(self.setting.precision)
        with (
            torch.inference_mode(),
            torch.autocast(device.type, cast, enabled=cast is not None),
            ExitStack() as stack,
        ):
            count: dict[str, Callable[[], int]] = {
                name: stack.enter_context(counting(some)) for name, some in loaded.counted().items()
            }
            x = self.setting.solver.draw(
                ensemble,
                c,
                self.setting.guidance,
                self.noise(rows).to(device),
                self.setting.steps,
                fresh=lambda step: self.noise(rows, 1 + step).to(device),
            )
            evaluations = {f"{name}_evaluations": np.array(n()) for name, n in count.items()}
        return {"latents": x.float().cpu().numpy(), **evaluations}

    def pictures(self, store: Store, device: torch.device = CPU) -> Iterator[Images]:
        for part in self._parts(store):
            yield decoded(self.shards.latents, part["latents"], device)

    def evaluations(self, store: Store) -> dict[str, float]:
        names = ("expert_evaluations", "router_evaluations")
        parts = [{name: part[name] for name in names} for part in self._parts(store)]
        return {name: float(sum(part[name] for part in parts)) / self.n for name in names}

    def _parts(self, store: Store) -> Iterator[Arrays]:
        for i in range(-(-self.n // self.batch)):
            with np.load(store.file(self, f"{i:05d}.npz")) as part:
                yield dict(part)
