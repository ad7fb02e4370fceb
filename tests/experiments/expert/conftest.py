"""A coordinator, and two contributors who have nothing but his manifest."""

import pytest

from experiments import publish
from experiments.expert import __main__ as expert
from experiments.expert import manifest
from experiments.hddm.variants import ROUTERS
from experiments.pipeline.store import Store
from experiments.recipes import experts
from tests.helpers.stages import SMOKE, contribute, make


@pytest.fixture(scope="package")
def home(tmp_path_factory):
    """A coordinator: a store with shards and a router, and the manifest that he hands out."""
    home = tmp_path_factory.mktemp("home")
    store = Store(home / "store")
    make(store, experts.shards(SMOKE))
    router = experts.router(SMOKE, ROUTERS["text-aware"], 0)
    make(store, router)
    publish.save(router, store, home / "router", "CC-BY-4.0", None)
    manifest.write(manifest.of_scale(SMOKE, 0, ("ddpm", "fm"), store, None), home / "m.json")
    return home


@pytest.fixture(scope="package")
def contributed(home, tmp_path_factory):
    """Two contributors' folders."""
    folders = [tmp_path_factory.mktemp(f"contributor{k}") for k in (0, 1)]
    assert expert.main(contribute(home, folders[0], 0, "fm")) == 0
    assert expert.main(contribute(home, folders[1], 1, "ddpm")) == 0
    return [folder / f"expert_{k}" for k, folder in enumerate(folders)]


@pytest.fixture
def said(capsys):
    """main's status and the lines of its standard error."""

    def said(*arguments):
        capsys.readouterr()
        status = expert.main([str(x) for x in arguments])
        return status, capsys.readouterr().err.splitlines()

    return said
