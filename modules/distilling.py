"""An ensemble distilled into one network: it learns what the ensemble says of noised data."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from modules.denoising import FlowMatchingExpert
from modules.ensemble import Ensemble
from modules.text import Text
from modules.training import Posed


class Teacher(nn.Module):
    """An ensemble's velocity (x [B, ...], t [B], c) -> u [B, ...], of networks on one device."""

    def __init__(self, ensemble: Ensemble) -> None:
        super().__init__()
        asked = [expert.network for expert in ensemble.experts] + [ensemble.router]
        self.networks = nn.ModuleList(x for x in asked if isinstance(x, nn.Module))
        self.ensemble = ensemble

    @torch.no_grad()
    def forward(self, x: Tensor, t: Tensor, c: Text) -> Tensor:
        self.to(x.device)
        return self.ensemble(x, t, replace(c, shared=None))  # rows are sent to experts one by one


class StudentExpert(FlowMatchingExpert):
    """Velocity on the linear path, its target the teacher's answer in place of the data's.

    A dropped caption is dropped for the teacher too, so that the student can be guided.
    """

    teacher: tuple[Teacher, ...] = ()  # in a tuple it is no submodule: none of it is trained

    def taught_by(self, ensemble: Ensemble) -> None:
        """Learn from this ensemble, which samples on the linear path."""
        if ensemble.path != self.schedule:
            raise ValueError(f"a teacher on {ensemble.path} of a student on {self.schedule}")
        self.teacher = (Teacher(ensemble).eval(),)

    def noised(self, x0: Tensor, t: Tensor, eps: Tensor, c: Text) -> Posed:
        """The question at x0, eps [B, ...], t [B], and the teacher's answer."""
        asked = super().noised(x0, t, eps, c)
        (teacher,) = self.teacher
        return replace(asked, target=teacher(asked.x_t, t, c))
