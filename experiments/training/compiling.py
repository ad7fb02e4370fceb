"""Networks with their blocks compiled: of what is trained, and of what is drawn from."""

from torch import nn

from modules.dit import Trunk
from modules.mmdit import MMDiTNetwork

GRAPHS = 64
"""Graphs of one kind of block that a process keeps. A worker's networks differ in width, in rows,
in whether they are stacked or trained; torch keeps eight, and runs the ninth as if not compiled."""


def compile_blocks(network: nn.Module, rows_vary: bool = False) -> None:
    """Compile the blocks of all transformers in a network.

    rows_vary: as where an ensemble asks each expert about some rows only. On a CPU rounding then
    depends on no number of rows but 1, nor on which came first; in training it may.
    """
    import torch._dynamo

    torch._dynamo.config.recompile_limit = GRAPHS
    for part in network.modules():
        if isinstance(part, Trunk | MMDiTNetwork):
            part.compile_blocks(rows_vary)
