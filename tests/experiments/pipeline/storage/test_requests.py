"""How often an address is asked: each request there is paid for and waited for."""

import pytest

from experiments.pipeline.storage import leases
from experiments.pipeline.storage.addresses import TOUCHED, AddressPlace
from experiments.pipeline.storage.inventory import Held, inventory
from experiments.pipeline.storage.leases import MAKING, leased


@pytest.fixture
def asked(monkeypatch):
    """The names that requests were about, one after the other."""
    names, tried = [], AddressPlace._tried

    def counted(place, request, name):
        names.append(name)
        return tried(place, request, name)

    monkeypatch.setattr(AddressPlace, "_tried", counted)
    return names


@pytest.fixture
def place(request):
    return AddressPlace(f"memory://{request.node.name}")


def test_what_lies_there_is_a_listing_a_kind(place, asked):
    """kills: a listing an artifact; files of one counted as another's, or by another name."""
    for kind in ("encode", "score"):
        for i in range(5):
            artifact = f"{kind}/{i:012x}"
            place.write(f"{artifact}/config.json", b"a" * i)
            place.write(f"{artifact}/inner/file", b"b")
    asked.clear()
    found = inventory(place)
    assert len(asked) == 1 + 2 * 2  # the kinds, and of each its artifacts and their files
    assert found == [Held.of(place, each.artifact) for each in found]
    assert len(found) == 10
    assert found[-1].sizes == {"config.json": 4, "inner/file": 1}


def test_a_lease_is_removed_with_what_its_heartbeat_left(place, asked, monkeypatch):
    """kills: two requests for a lease that never beat; an object left beside one that did."""
    with leased(place, "part-0") as lease:
        asked.clear()
    assert asked == [lease.file]
    monkeypatch.setattr(leases, "BEAT", 0.01)
    with leased(place, "part-0") as lease:
        while f"{lease.file.removeprefix(MAKING)[1:]}{TOUCHED}" not in place.names(MAKING):
            pass
    assert place.names(MAKING) == []
