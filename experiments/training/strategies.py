"""What Lightning trains with: several devices that share one network, and half precision."""

from collections.abc import Callable, Mapping
from typing import Any

import lightning as L
import torch
from lightning.pytorch.plugins.environments import LightningEnvironment
from lightning.pytorch.plugins.precision import MixedPrecision
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.utilities import GradClipAlgorithmType
from lightning_utilities import apply_to_collection
from torch import Tensor, nn
from torch.optim import Optimizer

from experiments.pipeline.hardware import Hardware, Strategy
from modules.mmdit import MMDiTNetwork
from modules.training import AnyPrecision, Precision, ScaledPrecision
from modules.weights.checkpoint import gathered


def strategy(hardware: Hardware, precision: AnyPrecision) -> DDPStrategy | str:
    """For processes that stand already, one a device; Lightning's choice for one device.

    ValueError for float16 in parts: each device would skip a step by what overflows in its own.
    """
    if hardware.devices == 1:
        return "auto"
    if hardware.strategy is Strategy.FSDP:
        if isinstance(precision, ScaledPrecision):
            raise ValueError("fsdp scales no float16: --strategy ddp, or precision BF16")
        return Sharded(cluster_environment=LightningEnvironment())
    return DDPStrategy(
        cluster_environment=LightningEnvironment(),
        gradient_as_bucket_view=True,  # no second copy of the gradients
        broadcast_buffers=False,  # they are constants
    )


class Autocast(MixedPrecision):
    """bfloat16, whose gradients are not scaled, so that they may be clipped under a fused optimiser
    too: Lightning refuses, since float16's may not."""

    def clip_gradients(
        self,
        optimizer: Optimizer,
        clip_val: int | float = 0.0,
        gradient_clip_algorithm: GradClipAlgorithmType = GradClipAlgorithmType.NORM,
    ) -> None:
        super(MixedPrecision, self).clip_gradients(optimizer, clip_val, gradient_clip_algorithm)


class Scaled(Autocast):
    """float16, whose loss is scaled so that small gradients do not vanish.  (HDDM, §6.2)

    The gradients are unscaled before they are clipped, under a fused optimiser too, where Lightning
    leaves it to the optimiser, behind the clipping. A step that overflows is skipped, and the scale
    halved.
    """

    scaler: torch.amp.GradScaler

    def __init__(self, device: str) -> None:
        super().__init__("16-mixed", device, torch.amp.GradScaler(device))

    def optimizer_step(  # type: ignore[override]
        self,
        optimizer: Optimizer,
        model: "L.LightningModule",
        closure: Callable[[], Any],
        **kwargs: Any,
    ) -> Any:
        closure()
        self.scaler.unscale_(optimizer)
        self._after_closure(model, optimizer)
        made = self.scaler.step(optimizer, **kwargs)
        self.scaler.update()
        return made


def autocast(precision: AnyPrecision, device: str) -> list[MixedPrecision]:
    """The plugin of a precision on a type of device, if it wants one."""
    if isinstance(precision, ScaledPrecision):
        return [Scaled(device)]
    return [] if precision is Precision.SINGLE else [Autocast(precision.value, device)]


class Sharded(DDPStrategy):
    """FSDP: of weights, gradients and moments each device has a part; a checkpoint has the whole,
    so that any number of devices goes on from it, be it two or more.

    It is torch's second FSDP, put where Lightning wraps for DDP. Lightning's FSDPStrategy, around
    the first, runs on no CPU and cannot clip by norm; its ModelParallelStrategy, around the second,
    cannot average weights. What is loaded is loaded whole, before it is divided.
    """

    def shard(self, network: nn.Module) -> None:
        """Divide a network, block by block."""
        from torch.distributed.device_mesh import init_device_mesh
        from torch.distributed.fsdp import fully_shard

        mesh = init_device_mesh(self.root_device.type, (self.world_size,))
        for block in _blocks(network):
            fully_shard(block, mesh=mesh)
        fully_shard(network, mesh=mesh, reshard_after_forward=True)  # for who reads it in between

    def configure_ddp(self) -> None:
        assert self.lightning_module is not None
        self.shard(self.lightning_module.network)  # type: ignore[arg-type]

    def lightning_module_state_dict(self) -> dict[str, Any]:
        return {name: gathered(x) for name, x in super().lightning_module_state_dict().items()}

    def optimizer_state(self, optimizer: Optimizer) -> dict[str, Any]:
        return apply_to_collection(super().optimizer_state(optimizer), Tensor, gathered)

    def load_optimizer_state_dict(self, checkpoint: Mapping[str, Any]) -> None:
        for optimizer, state in zip(self.optimizers, checkpoint["optimizer_states"], strict=True):
            weights = [p for group in optimizer.param_groups for p in group["params"]]
            parts = {
                i: {name: _part(x, weights[i]) for name, x in moments.items()}
                for i, moments in state["state"].items()
            }
            optimizer.load_state_dict({**state, "state": parts})

    def teardown(self) -> None:
        """All but that the weights stay: on the CPU no device could give its part of them."""
        assert self.cluster_environment is not None
        assert self.accelerator is not None
        self.cluster_environment.teardown()
        self.precision_plugin.teardown()
        self.accelerator.teardown()
        self.checkpoint_io.teardown()


def _blocks(network: nn.Module) -> list[nn.Module]:
    """The blocks of a network of pictures or of video."""
    if isinstance(network, MMDiTNetwork):
        flux = network.transformer
        return [*flux.transformer_blocks, *flux.single_transformer_blocks]
    trunk: Any = network.trunk
    return [*trunk.blocks]


def _part(x: Tensor, weight: Any) -> Tensor:
    """What this device has of a moment of `weight`; a count is everybody's."""
    from torch.distributed.tensor import distribute_tensor

    if x.shape != weight.shape:
        return x
    here = x.to(weight.device)
    return distribute_tensor(here, weight.device_mesh, weight.placements, src_data_rank=None)
