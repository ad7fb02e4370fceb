"""One thread a test process: the suite is small matrices, and parallel runs share their cores."""

import torch

torch.set_num_threads(1)
