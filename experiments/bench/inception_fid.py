"""Features and FID of pictures in a folder, against pytorch-fid and torch-fidelity.

The published weights need not be here: all three read the same ones, drawn from a seed into the
same architecture, which costs the same and must give the same number.
"""

import contextlib
import io
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import nn

from experiments.bench.pairing import Alike, Bench, BenchRow, Room, Side, TwoSides
from experiments.bench.peers import versioned
from experiments.bench.ratios import RateRatio
from metrics.frechet import Moments, moments_distance
from metrics.networks.features import InceptionFeatures
from metrics.reference import load_moments, save_moments

CPU = torch.device("cpu")
PICTURES, BRIEF, WIDTH, BRIEF_WIDTH = 2_000, 60, 2048, 64
SIDE, BATCH = 299, 50
"""At Inception's own side nobody resizes: the three would do it by different filters."""
AGREEMENT = 1e-3


def drawn_weights(path: Path) -> None:
    """Weights of torch-fidelity's Inception at `path`, its features of order one."""
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    with (
        patch("torch_fidelity.feature_extractor_inceptionv3.load_state_dict_from_url"),
        patch.object(FeatureExtractorInceptionV3, "load_state_dict"),
    ):
        network: Any = FeatureExtractorInceptionV3("inception", ["2048"])
    g = torch.Generator().manual_seed(0)
    for part in network.modules():
        if isinstance(part, nn.Conv2d):
            fan = part.weight[0].numel()
            part.weight.data = torch.randn(part.weight.shape, generator=g) * (2 / fan) ** 0.5
        if isinstance(part, nn.BatchNorm2d):
            part.bias.data = 0.1 * torch.randn(part.bias.shape, generator=g)
    path.parent.mkdir(parents=True)
    torch.save(network.state_dict(), path)


def drawn_pictures(folder: Path, n: int) -> None:
    """Pictures of smooth colours, as png."""
    folder.mkdir()
    g = torch.Generator().manual_seed(1)
    for i in range(n):
        coarse = 255 * torch.rand(1, 3, 6, 6, generator=g)
        fine = nn.functional.interpolate(coarse, size=(SIDE, SIDE), mode="bicubic")[0]
        array = fine.clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        Image.fromarray(array).save(folder / f"{i:06d}.png", compress_level=1)


def read(folder: Path) -> NDArray[np.uint8]:
    """uint8 [N, 3, H, W] of a folder's pictures, by name."""
    rows = [np.asarray(Image.open(path).convert("RGB")) for path in sorted(folder.glob("*.png"))]
    return np.stack(rows).transpose(0, 3, 1, 2)


def _hub_beside(folder: Path) -> Any:
    """torch.hub's home beside the pictures for a while, where `_laid` puts the weights."""
    return patch.dict(os.environ, TORCH_HOME=str(folder.parent))


def ours(folder: Path, reference: Path, width: int) -> tuple[float, int]:
    """The FID, and of how many pictures."""
    with _hub_beside(folder):
        features = InceptionFeatures(width).encode(read(folder), CPU, BATCH)
    return moments_distance(Moments.of(features), load_moments(reference)), len(features)


def pytorch_fid(model: nn.Module, folder: Path, reference: Path, width: int) -> float:
    from pytorch_fid import fid_score

    with contextlib.redirect_stderr(io.StringIO()):  # its progress bar
        moments = [
            fid_score.compute_statistics_of_path(str(path), model, BATCH, width, CPU, 0)
            for path in (folder, reference)
        ]
    return float(fid_score.calculate_frechet_distance(*moments[0], *moments[1]))


def torch_fidelity(extractor: Any, folder: Path, reference: Path, width: int) -> float:
    from torch_fidelity.metric_fid import fid_featuresdict_to_statistics, fid_statistics_to_metric
    from torch_fidelity.utils import extract_featuresdict_from_input_id

    features = extract_featuresdict_from_input_id(
        1,
        extractor,
        input1=str(folder),
        batch_size=BATCH,
        cuda=False,
        cache=False,
        verbose=False,
        save_cpu_ram=True,  # no worker processes: one thread, as the others
    )
    moments = fid_featuresdict_to_statistics(features, str(width))
    held = load_moments(reference)
    other = {  # in its own precision, or it refuses them
        "mu": held.mean.astype(moments["mu"].dtype),
        "sigma": held.covariance.astype(moments["sigma"].dtype),
    }
    return float(
        fid_statistics_to_metric(moments, other, verbose=False)["frechet_inception_distance"]
    )


def _laid(room: Room) -> tuple[Path, Path, Path, int]:
    """The pictures, moments to compare them with, the weights' file, the features' width."""
    from pytorch_fid.inception import FID_WEIGHTS_URL

    width = room.amount(WIDTH, BRIEF_WIDTH)
    weights = room.folder / "hub" / "checkpoints" / FID_WEIGHTS_URL.rsplit("/", 1)[1]
    drawn_weights(weights)
    drawn_pictures(room.folder / "pictures", room.amount(PICTURES, BRIEF))
    reference = room.folder / "reference.npz"
    other = np.random.default_rng(2).normal(0.5, 1.0, (2 * width, width))
    save_moments(Moments.of(other), reference)
    return room.folder / "pictures", reference, weights, width


def _two(room: Room, peer: Any, arguments: tuple[Path, Path, int]) -> TwoSides:
    count = len(list(arguments[0].iterdir()))

    def alike(one: tuple[float, int], other: float) -> Sequence[Alike]:
        fid, pictures = one
        return (Alike("pictures", pictures, count), Alike("FID", fid, other, AGREEMENT))

    return TwoSides(
        Side(partial(ours, *arguments), count), Side(partial(peer, *arguments), count), alike
    )


def _against_pytorch_fid(room: Room) -> TwoSides:
    from pytorch_fid.inception import InceptionV3

    folder, reference, _, width = _laid(room)
    with _hub_beside(folder):
        model = InceptionV3([InceptionV3.BLOCK_INDEX_BY_DIM[width]]).eval()
    return _two(room, partial(pytorch_fid, model), (folder, reference, width))


def _against_torch_fidelity(room: Room) -> TwoSides:
    from torch_fidelity.feature_extractor_inceptionv3 import FeatureExtractorInceptionV3

    folder, reference, weights, width = _laid(room)
    extractor = FeatureExtractorInceptionV3("inception", [str(width)], str(weights))
    return _two(room, partial(torch_fidelity, extractor), (folder, reference, width))


FID = Bench(
    name="fid",
    title="Inception features and FID",
    rows=tuple(
        BenchRow(
            name=f"fid-{peer}",
            what=f"FID of {PICTURES:,} png of a folder against given moments",
            peer=versioned(peer, "Inception V3 and FID of a folder"),
            ratio=RateRatio(1.0),
            unit="picture",
            shapes=f"pictures [3, {SIDE}, {SIDE}], {WIDTH} features, batch {BATCH}",
            precision="fp32",
            prepare=prepare,
        )
        for peer, prepare in (
            ("pytorch-fid", _against_pytorch_fid),
            ("torch-fidelity", _against_torch_fidelity),
        )
    ),
    notes=(
        "The same weights for all, drawn from a seed; networks are built before the timing. Ours "
        "has its batch norms folded into its convolutions and its channels last in memory.",
    ),
)
