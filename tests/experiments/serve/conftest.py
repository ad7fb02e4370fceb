"""A published ensemble of untrained experts, large enough that memory can be counted."""

import pytest

from experiments.serve.bench import publish

K = 3


@pytest.fixture(scope="package")
def published(tmp_path_factory):
    """K experts of two objectives, of 95 MB each, and a router, in folders of one place."""
    place = tmp_path_factory.mktemp("published")
    publish(place, K)
    return place
