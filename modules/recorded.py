"""What a selection answers along a trajectory, told or kept."""

from collections.abc import Callable

from torch import Tensor

from modules.selection import Selection

Tell = Callable[[Tensor, Tensor, Tensor], None]
"""Is told t [B], p [B, K], w [B, K] at each evaluation of the field, before experts are asked."""


class WatchedSelection(Selection):
    """A selection that tells what it answers."""

    def __init__(self, selection: Selection, tell: Tell) -> None:
        self.selection, self.tell = selection, tell

    def weights(self, p: Tensor, t: Tensor) -> Tensor:
        """w [B, K] of p [B, K] at t [B], as the selection itself has it."""
        w = self.selection.weights(p, t)
        self.tell(t, p, w)
        return w


class Recorded(WatchedSelection):
    """A selection that keeps what it answers for a batch's first n rows, which see their captions.

    answers: at each evaluation of the field (t [n], p [n, K], w [n, K]), on the CPU.
    """

    def __init__(self, selection: Selection, n: int) -> None:
        super().__init__(selection, self._keep)
        self.n, self.answers = n, list[tuple[Tensor, Tensor, Tensor]]()

    def _keep(self, t: Tensor, p: Tensor, w: Tensor) -> None:
        self.answers.append((t[: self.n].cpu(), p[: self.n].cpu(), w[: self.n].cpu()))
