"""Whether memory can be limited here."""

import pytest

from experiments.bench.commands.memory import Groups, Outcome, under
from experiments.bench.pairing import RefusedError


@pytest.fixture
def limits():
    """Skips where the kernel lets nobody set a limit."""
    try:
        outcome, _ = under(lambda: None, 1 << 28, Groups.here(), 60.0)
    except RefusedError as error:
        pytest.skip(str(error))
    assert outcome is Outcome.ENDED
