"""diffusers' interface to ensembles: the pictures of `experiments.sample`, by diffusers' scheduler."""

import numpy as np
import pytest
import torch
from diffusers import DiffusionPipeline, FlowMatchEulerDiscreteScheduler
from PIL import Image

from experiments.sample.pipeline import EnsemblePipeline
from modules.sampling import starting_noise
from tests.experiments.sample.test_sample import folder, run  # noqa: F401 -- a fixture
from tests.experiments.test_publish import places, store  # noqa: F401 -- fixtures
