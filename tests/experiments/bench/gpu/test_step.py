"""A training step on a device: bf16, blocks compiled or run again, nobody waiting for it."""

import copy

import pytest
import torch
from torch.profiler import ProfilerActivity, profile

from datamodules.latents import Latents
from datamodules.stacked import StackedBatches
from experiments.bench.gpu.device import TINY, Place, stated_peak
from experiments.bench.gpu.training import ShareOfPeak, training_steps
from experiments.bench.peers import batch
from experiments.bench.ratios import Clock, Timed
from modules import stacking, together
from modules.denoising import FlowMatchingExpert
from modules.together import Together
from modules.training import Optim
from modules.weights.offloading import Offloaded

OPTIM = Optim(10, 4, 1e-2)


def network():
    """A tiny DiT whose blocks and head are not the identity at first."""
    torch.manual_seed(0)
    made = TINY.build()
    g = torch.Generator().manual_seed(1)
    for p in made.parameters():
        p.data += 0.1 * torch.randn(p.shape, generator=g)
    return made


def gradients(made, device, precision=torch.float32):
    """The loss of one batch and all its gradients, on the CPU."""
    made = made.to(device)
    x, t, c, target = (part.to(device) for part in batch(TINY, 4))
    made.zero_grad()
    with torch.autocast(device.type, torch.bfloat16, enabled=precision is torch.bfloat16):
        y = made(x, t, c)
    loss = (y.float() - target).square().mean()
    loss.backward()
    return loss.item(), torch.cat([p.grad.flatten().cpu() for p in made.parameters()])


def test_bf16_is_near_float32_of_the_cpu(device):
    """kills: an autocast that is off, a loss taken in bfloat16, weights cast for good."""
    loss, exact = gradients(network(), torch.device("cpu"))
    made = network()
    other, found = gradients(made, device, torch.bfloat16)
    assert other == pytest.approx(loss, rel=0.02)
    assert 0 < (found - exact).norm() / exact.norm() < 0.05
    assert {p.dtype for p in made.parameters()} == {torch.float32}


def test_float32_on_a_device_is_float32_of_the_cpu(device):
    """kills: TF32 turned on behind somebody's back: its products have ten bits."""
    loss, exact = gradients(network(), torch.device("cpu"))
    other, found = gradients(network(), device)
    assert other == pytest.approx(loss, rel=1e-5)
    assert (found - exact).norm() / exact.norm() < 1e-4


def test_compiled_blocks_answer_as_before(device):
    """kills: a block that is not compiled, weights by other names, another network."""
    plain, compiled = network(), network()
    if device.type == "cpu":
        pytest.skip("tests/modules/test_blocks.py compiles on the CPU")
    compiled.trunk.compile_blocks()
    assert all(block._compiled_call_impl is not None for block in compiled.trunk.blocks)
    assert compiled.state_dict().keys() == plain.state_dict().keys()
    (loss, exact), (other, found) = gradients(plain, device), gradients(compiled, device)
    assert other == pytest.approx(loss, rel=1e-5)
    assert (found - exact).norm() / exact.norm() < 1e-4


def test_blocks_run_again_give_the_same_gradients(device):
    """kills: an activation that is computed otherwise the second time."""
    plain, again = network(), network()
    again.trunk.checkpoint(True)
    (loss, exact), (other, found) = gradients(plain, device), gradients(again, device)
    assert other == loss
    assert torch.equal(found, exact)


def test_steps_are_determined(device, monkeypatch):
    """kills: a step that differs from run to run under deterministic algorithms."""
    monkeypatch.setenv("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    place, ends = Place(device), []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(2):
            made = network().to(device)
            training_steps(place, made, 4, 3)()
            ends.append(torch.cat([p.detach().flatten() for p in made.parameters()]))
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.equal(*ends)


@pytest.mark.parametrize("largest", [stacking.LARGEST, 0], ids=["stacked", "bound"])
def test_nothing_in_a_step_waits_for_the_device(largest, device, monkeypatch):
    """kills: `.item()`, `.cpu()`, `.tolist()` or an `if` on a tensor in draws, loss, network or
    clipping, numbers drawn in memory that is not pinned: each stops the processor until the device
    has caught up; an optimiser that is not fused; a network too large for a stack, as XL/2 is, that
    is trained in one, or a small one that is not."""
    monkeypatch.setattr(stacking, "LARGEST", largest)
    monkeypatch.setattr(together, "small", stacking.small.__wrapped__)  # past what it remembers
    module = FlowMatchingExpert(TINY, OPTIM).to(device)
    x0, _, c, _ = (part.to(device) for part in batch(TINY, 4))
    training, data = Together([module], device), StackedBatches([Latents([], 4, 10, 0)])
    given = {"x0": x0, "tokens": c.tokens, "pooled": c.pooled, "step": torch.tensor(3)}
    batches = data.transfer_batch_to_device([given], device, 0)
    assert batches[0]["step"].device.type == "cpu"
    optimizer = training.configure_optimizers()["optimizer"]

    def pass_back():
        training.zero_grad()
        training.training_step(batches, 0).backward()
        training.configure_gradient_clipping(optimizer)

    pass_back()
    optimizer.step()  # its state is made, kernels are loaded
    if device.type == "cuda":
        torch.cuda.set_sync_debug_mode("error")
    try:
        with profile(activities=[ProfilerActivity.CPU]) as profiled:
            pass_back()
        optimizer.step()  # unprofiled: the CPU's fused kernel reads its own count of steps
    finally:
        if device.type == "cuda":
            torch.cuda.set_sync_debug_mode("default")
    calls = {event.key: event.count for event in profiled.key_averages()}
    assert optimizer.defaults["fused"]
    assert (training.network is module.network) == (largest == 0)
    assert ("aten::baddbmm" in calls) == (largest > 0)
    assert calls["aten::_local_scalar_dense"] == 1  # the step, which lies on the CPU
    assert "aten::nonzero" not in calls


def test_an_off_loaded_network_answers_as_it_would_on_the_device(device):
    """kills: weights that stay on the device, are moved for good, or are another network's."""
    own = network().eval()
    resident, offloaded = copy.deepcopy(own).to(device), Offloaded(own).to(device)
    x, t, c, _ = (part.to(device) for part in batch(TINY, 4))
    with torch.no_grad():
        assert torch.equal(offloaded(x, t, c), resident(x, t, c))
    assert {p.device.type for p in own.parameters()} == {"cpu"}


def test_an_off_loaded_network_cannot_be_moved():
    """kills: an ensemble's `.to(device)` that brings all its experts there at once."""
    offloaded = Offloaded(network()).to("meta")
    assert not any(p.is_meta for p in offloaded.parameters())


@pytest.mark.parametrize(
    ("name", "peak"),
    [
        ("NVIDIA H100 80GB HBM3", 989e12),
        ("NVIDIA H100 PCIe", 756e12),
        ("NVIDIA H100 NVL", 835e12),
        ("NVIDIA H200", 989e12),
        ("NVIDIA A100-SXM4-80GB", 312e12),
        ("NVIDIA A40", 149.7e12),
        ("NVIDIA RTX A4000", None),
    ],
)
def test_peaks_are_those_of_the_makers(name, peak):
    """kills: the peak of another card, whose share would be another; one invented."""
    assert stated_peak(name) == peak


def test_a_share_of_peak_is_ours_alone():
    """kills: the peer's rate or seconds in it, a share upside down, a goal read the wrong way."""
    share = ShareOfPeak(peak=100.0, goal=0.55)
    value = share.of(Timed(9.0, 2.0, amount=120.0), Timed(1.0, 1.0, amount=7.0), Clock.WALL)
    assert value == 0.6
    assert [share.met(x) for x in (0.54, 0.55, value)] == [False, True, True]
