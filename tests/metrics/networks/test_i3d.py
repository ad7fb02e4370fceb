"""I3D's loading and calling, on a small TorchScript module that is asked as the real one is."""

import hashlib

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metrics.frechet import frechet_distance
from metrics.networks.i3d import I3DFeatures
from metrics.networks.weights import WeightsFileError
from modules.codec import encode

CPU = torch.device("cpu")
CLIPS = np.random.default_rng(0).integers(0, 256, (5, 3, 10, 12, 12), dtype=np.uint8)


class Small(nn.Module):
    """The real one's signature; features that show how it was asked."""

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        if resize:
            size = [x.shape[2], 16, 16]
            x = F.interpolate(x, size=size, mode="trilinear", align_corners=False)
        if rescale:
            x = 2 * x / 255 - 1
        rows = torch.cat([x.mean(dim=(2, 3, 4)), x.std(dim=(2, 3, 4))], dim=1)
        return rows if return_features else rows.softmax(dim=1)


class Other(nn.Module):
    """Another TorchScript network."""

    def forward(self, x: Tensor) -> Tensor:
        return x


class Nan(Small):
    """Weights gone wrong."""

    def forward(
        self, x: Tensor, rescale: bool = False, resize: bool = False, return_features: bool = False
    ) -> Tensor:
        return x.mean(dim=(2, 3, 4)) / 0 * 0


def laid(module, path):
    torch.jit.script(module).save(str(path))
    return I3DFeatures(path, hashlib.sha256(path.read_bytes()).hexdigest())


@pytest.fixture(scope="module")
def judge(tmp_path_factory):
    return laid(Small(), tmp_path_factory.mktemp("i3d") / "i3d.pt")


def test_the_network_is_asked_as_published_figures_are(judge):
    """kills: values in [0, 1] or [-1, 1], one of the three answers left out, axes in another order,
    a batch that loses or repeats its last clips."""
    x = torch.from_numpy(CLIPS).double()
    x = F.interpolate(x, size=(10, 16, 16), mode="trilinear", align_corners=False) / 127.5 - 1
    expected = torch.cat([x.mean(dim=(2, 3, 4)), x.std(dim=(2, 3, 4))], dim=1)
    for batch in (1, 2, 8):
        found = judge.encode(CLIPS, CPU, batch)
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected.numpy(), atol=1e-5)
    assert frechet_distance(found, found) == pytest.approx(0, abs=1e-6)


def test_grey_clips_are_repeated(judge):
    """kills: a channel left at one, which the real network's first layer refuses."""
    grey = CLIPS[:, :1]
    repeated = judge.encode(grey.repeat(3, axis=1), CPU)
    np.testing.assert_array_equal(judge.encode(grey, CPU), repeated)


def test_a_network_is_known_by_its_file(judge, tmp_path):
    """kills: the path in the key, another network under the same key or name."""
    moved = I3DFeatures(tmp_path / "elsewhere.pt", judge.sha256)
    assert encode(moved) == encode(judge)
    assert encode(I3DFeatures(judge.path)) != encode(judge)
    assert I3DFeatures(judge.path).name == "i3d"
    assert judge.name == f"i3d-{judge.sha256[:8]}"


def test_what_cannot_be_read_is_one_line(judge, tmp_path):
    """kills: a file not asked for run as a program, an error of TorchScript's many lines, clips too
    short failing inside the network."""
    with pytest.raises(WeightsFileError, match=r"no weights at .*: curl -L"):
        I3DFeatures(tmp_path / "none.pt").encode(CLIPS, CPU)
    with pytest.raises(WeightsFileError, match=r"another file: SHA-256 [0-9a-f]{64}, not bec6519f"):
        I3DFeatures(judge.path).encode(CLIPS, CPU)
    (tmp_path / "cut.pt").write_bytes(judge.path.read_bytes()[:500])
    cut = I3DFeatures(
        tmp_path / "cut.pt", hashlib.sha256((tmp_path / "cut.pt").read_bytes()).hexdigest()
    )
    with pytest.raises(WeightsFileError, match="cannot load") as said:
        cut.encode(CLIPS, CPU)
    assert "\n" not in str(said.value)
    with pytest.raises(WeightsFileError, match="does not take rescale, resize, return_features"):
        laid(Other(), tmp_path / "other.pt").encode(CLIPS, CPU)
    with pytest.raises(ValueError, match="I3D reads 10 frames or more, not 9"):
        judge.encode(CLIPS[:, :, :9], CPU)
    with pytest.raises(ValueError, match=r"clips are uint8 \[N, 1 or 3, T, H, W\], not float32"):
        judge.encode(CLIPS.astype(np.float32), CPU)
    with pytest.raises(ValueError, match="no clips to judge"):
        judge.encode(CLIPS[:0], CPU)
    with pytest.raises(ValueError, match="not finite"):
        laid(Nan(), tmp_path / "nan.pt").encode(CLIPS, CPU)
