"""Every test here runs on the CPU too, so that what waits for a GPU is known to run."""

import pytest
import torch

CUDA = pytest.param(
    "cuda",
    marks=[
        pytest.mark.gpu,
        pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device"),
    ],
)


@pytest.fixture(params=["cpu", CUDA])
def device(request):
    """The CPU, then the GPU where there is one."""
    return torch.device(request.param)
