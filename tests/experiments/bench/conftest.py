"""Whether memory can be limited here."""

import pytest

from experiments.bench.commands.limits import Groups, ends
from experiments.bench.pairing import RefusedError


@pytest.fixture
def limits():
    """Skips where the kernel lets nobody set a limit."""
    try:
        assert ends(lambda: None, 1 << 28, Groups.here(), 60.0)
    except RefusedError as error:
        pytest.skip(str(error))
