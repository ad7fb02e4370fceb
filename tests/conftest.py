"""One thread a test process: the suite is small matrices, and parallel runs share their cores."""

import pytest
import torch

from experiments.pipeline.store import Store
from tests.helpers.hub import lay_hub

torch.set_num_threads(1)


def pytest_collection_modifyitems(items):
    """Files with a slow test go first: of two processes none waits for one at the end."""
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)


@pytest.fixture
def store(tmp_path):
    """An empty store."""
    return Store(tmp_path / "store")


@pytest.fixture
def hub(tmp_path):
    """A downloaded folder of Paris 1.0's layout."""
    return lay_hub(tmp_path)
