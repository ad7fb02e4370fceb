"""Published weights as a pipeline of diffusers: ours, or Paris 1.0's own folder.

    from diffusers import DiffusionPipeline
    ours = {"custom_pipeline": "experiments/sample/pipeline.py", "trust_remote_code": True}
    pipe = DiffusionPipeline.from_pretrained("bageldotcom/paris", **ours)
    pipe("a red car", num_inference_steps=50, guidance_scale=7.5, selection="top2").images[0]

Pictures equal those of `experiments.sample` from the same noise, to rounding.
"""

from argparse import ArgumentTypeError
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Self

import numpy as np
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler, ImagePipelineOutput
from diffusers.utils.torch_utils import randn_tensor
from torch import Tensor

from experiments.sample.pictures import Model, load, read
from experiments.sample.selections import selection as selection_named
from metrics.pixels import to_uint8
from modules.ensemble import Ensemble
from modules.selection import Selection
from modules.solvers import guided_field
from modules.text import Text
from modules.weights import paris


class EnsemblePipeline(DiffusionPipeline):
    """An ensemble of experts behind diffusers' interface; the scheduler is diffusers' own.

    What draws is read at the first call, from the folder that `from_pretrained` was given, or from
    those of `of`: folders of ours, published in one or several places, or Paris 1.0's.

    scheduler: None for Flow Matching's Euler steps without a shift, as Paris 1.0 is sampled.
    """

    _optional_components = ["scheduler"]  # noqa: RUF012 -- diffusers reads it so
    scheduler: Any
    config: Any
    register_modules: Any  # diffusers gives its classes no types that mypy finds
    numpy_to_pil: Any
    progress_bar: Any

    def __init__(self, scheduler: FlowMatchEulerDiscreteScheduler | None) -> None:
        super().__init__()
        own = FlowMatchEulerDiscreteScheduler() if scheduler is None else scheduler
        self.register_modules(scheduler=own)
        self._places: list[str] = []
        self._model: Model | None = None

    @classmethod
    def of(cls, *places: str) -> Self:
        """The pipeline of folders or hub names; `save_pretrained` into one of ours lets
        `from_pretrained` open it."""
        pipeline = cls(None)
        pipeline._places = [*places]
        return pipeline

    @property
    def model(self) -> Model:
        """What draws. HubWeightsError or CheckpointError for folders that hold no ensemble."""
        if self._model is None:
            places = self._places or [str(self.config._name_or_path)]
            self._model = load(places, paris.SELECTION, torch.device("cpu"))
        return self._model

    @torch.inference_mode()
    def __call__(
        self,
        prompt: str | Sequence[str],
        num_inference_steps: int = paris.STEPS,
        guidance_scale: float | None = None,
        selection: str = "top2",
        generator: torch.Generator | None = None,
        latents: Tensor | None = None,
        output_type: str = "pil",
    ) -> ImagePipelineOutput:
        """Pictures, one for each prompt, as PIL's, "np" [N, H, W, C] in [0, 1], or "latent".

        guidance_scale: by default Paris's 7.5, or what networks of ours are drawn with.
        selection: top1, top2, …, full, expert0, …  latents: noise [N, C, h, w] at t = 1; drawn from
        the generator where none is given.  Raises ValueError for an output type or a selection that
        there is not, or for latents of another shape.
        """
        if output_type not in ("pil", "np", "latent"):
            raise ValueError(f'output_type is "pil", "np" or "latent", not {output_type!r}')
        prompts = [prompt] if isinstance(prompt, str) else [*prompt]
        ensemble = replace(self.model.ensemble, selection=_selection(selection))
        shape = (len(prompts), *self.model.shape)
        if latents is None:
            latents = randn_tensor(shape, generator=generator)
        if tuple(latents.shape) != shape:
            raise ValueError(f"latents of {tuple(latents.shape)}: {shape} is needed")
        x = self._walked(
            ensemble,
            read(self.model.text, prompts),
            self.model.guidance if guidance_scale is None else guidance_scale,
            latents.float(),
            num_inference_steps,
        )
        if output_type == "latent":
            return ImagePipelineOutput(images=x)
        pictures = to_uint8(self.model.latents.decode(x.numpy(), torch.device("cpu")))
        shown = pictures.transpose(0, 2, 3, 1)
        if output_type == "np":
            return ImagePipelineOutput(images=shown.astype(np.float32) / 255)
        return ImagePipelineOutput(images=self.numpy_to_pil(shown.astype(np.float32) / 255))

    def _walked(self, ensemble: Ensemble, c: Text, scale: float, x: Tensor, steps: int) -> Tensor:
        """x [N, C, h, w] at t = 0, from noise at t = 1, in the scheduler's steps."""
        u, scheduler = guided_field(ensemble, c, scale), self.scheduler
        scheduler.set_timesteps(sigmas=np.linspace(1, 1 / steps, steps))
        for time in self.progress_bar(scheduler.timesteps):
            t = (time / scheduler.config.num_train_timesteps).expand(len(x))
            x = scheduler.step(u(x, t), time, x, return_dict=False)[0]
        return x


def _selection(name: str) -> Selection:
    """The selection of a name. ValueError for one that there is not."""
    try:
        return selection_named(name)
    except ArgumentTypeError as error:
        raise ValueError(str(error)) from error
