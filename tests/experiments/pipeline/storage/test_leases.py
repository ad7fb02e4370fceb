"""Leases: one holder at a time, whoever asks from wherever; the dead make way, the living never."""

import json
import multiprocessing
import os
import threading
import time
from dataclasses import asdict, replace

import fsspec
import pytest
from fsspec.implementations.memory import MemoryFileSystem

from experiments.pipeline.storage import leases
from experiments.pipeline.storage.addresses import AddressPlace
from experiments.pipeline.storage.leases import (
    Lease,
    Maker,
    State,
    all_written,
    leased,
    written,
)
from experiments.pipeline.storage.places import FolderPlace
from experiments.pipeline.storage.workspace import workspace

FORK = multiprocessing.get_context("fork")
ELSEWHERE = replace(Maker.this(), host="far", boot="another", pid=1)
NAME = "part-0123456789ab"


@pytest.fixture
def place(tmp_path):
    return FolderPlace(tmp_path)


def left(place, maker, state=State.HOLDING, folder=NAME, silent=0.0):
    """A lease that another process wrote, its last heartbeat `silent` seconds ago."""
    form = {"state": state.value, "maker": asdict(maker), "folder": folder, "inputs": []}
    place.write(f"making/{NAME}.00000000.lease", json.dumps(form).encode())
    path = place.root / f"making/{NAME}.00000000.lease"
    os.utime(path, (time.time() - silent,) * 2)
    return path


def dead():
    """A process of this machine that has ended."""
    queue = FORK.Queue()
    child = FORK.Process(target=lambda: queue.put(Maker.this()))
    child.start()
    maker = queue.get(timeout=30)
    child.join()
    return maker


def test_of_many_that_ask_at_once_one_holds_and_all_get_an_answer(place):
    """kills: two holders, as by a lease that is read before it is written."""
    together, holders, most = threading.Barrier(8), [], []
    lock = threading.Lock()

    def ask():
        together.wait()
        with leased(place, NAME) as lease:
            if lease.holds:
                with lock:
                    holders.append(lease)
                    most.append(len(holders))
                time.sleep(0.01)
                with lock:
                    holders.remove(lease)

    for _ in range(5):
        threads = [threading.Thread(target=ask) for _ in range(8)]
        [thread.start() for thread in threads]
        [thread.join() for thread in threads]
    assert set(most) <= {1}
    assert place.names("making") == []


@pytest.mark.parametrize(
    ("maker", "silent", "holds"),
    [
        (Maker.this(), 1e6, False),  # asleep, perhaps, but it runs
        (replace(Maker.this(), started="1"), 0, True),  # its number is another process's now
        (ELSEWHERE, 0, False),
        (ELSEWHERE, leases.SILENT + 1, True),
        (replace(Maker.this(), pids="pid:[1]", pid=2**22), 0, False),  # of another container
        (replace(Maker.this(), boot="another"), leases.SILENT + 1, True),
    ],
)
def test_a_lease_is_respected_while_its_maker_may_live(place, maker, silent, holds):
    """kills: a process number believed without its host, boot, container or start; an age without
    a limit, or one that this machine's own living processes are held to."""
    path = left(place, maker, silent=silent)
    with leased(place, NAME) as lease:
        assert lease.holds is holds
    assert path.exists()  # whoever works in the folder clears it away


def test_a_dead_process_of_this_machine_makes_way_at_once(place):
    left(place, dead())
    (place.root / f"making/{NAME}").mkdir()
    (place.root / f"making/{NAME}/half").write_text("half")
    with workspace(place, place.root / "making", NAME, (), resumes=True) as folder:
        assert folder.name == NAME
        assert (folder / "half").read_text() == "half"
    assert place.names("making") == []


def test_a_folder_in_which_another_host_works_is_left_alone(place):
    """kills: rmtree of a folder because its process number is none of this host's."""
    path = left(place, ELSEWHERE)
    (place.root / f"making/{NAME}").mkdir()
    (place.root / f"making/{NAME}/half").write_text("half")
    with workspace(place, place.root / "making", NAME, (), resumes=False) as folder:
        assert folder.name != NAME
        assert list(folder.iterdir()) == []
    assert (place.root / f"making/{NAME}/half").read_text() == "half"
    assert path.exists()


def test_who_resumes_waits_for_a_sign_of_life(place, monkeypatch):
    """kills: a preempted training begun anew on the next host, its checkpoint unread."""
    monkeypatch.setattr(leases, "SILENT", 1.5)
    left(place, ELSEWHERE)
    (place.root / f"making/{NAME}").mkdir()
    (place.root / f"making/{NAME}/half").write_text("half")
    with workspace(place, place.root / "making", NAME, (), resumes=True) as folder:
        assert (folder / "half").read_text() == "half"


def test_who_resumes_does_not_wait_once_there_is_a_heartbeat(place, monkeypatch):
    """kills: a minute lost beside a host that lives, or its folder taken at the minute's end."""
    path, stop = left(place, ELSEWHERE), threading.Event()

    def beat():
        while not stop.wait(0.2):
            os.utime(path)

    threading.Thread(target=beat, daemon=True).start()
    with leased(place, NAME, patient=True) as lease:
        assert not lease.holds
    stop.set()


def test_a_silent_host_that_wakes_finds_its_folder_gone(place):
    """kills: two that write the same files, one of them taken for dead."""
    left(place, ELSEWHERE, silent=leases.SILENT + 1)
    (place.root / f"making/{NAME}").mkdir()
    (place.root / f"making/{NAME}/half").write_text("half")
    making = place.root / "making"

    def make():
        with workspace(place, making, NAME, (), resumes=True) as folder:
            assert (folder / "half").read_text() == "half"
            assert not (making / NAME).exists()
            raise ValueError("midway")

    with pytest.raises(ValueError, match="midway"):
        make()
    assert (making / NAME / "half").exists()  # where the next one looks


def test_a_lease_beats_until_it_is_released(place, monkeypatch):
    monkeypatch.setattr(leases, "BEAT", 0.05)
    with leased(place, NAME) as lease:
        before = place.modified(lease.file)
        deadline = time.monotonic() + 20
        while place.modified(lease.file) == before and time.monotonic() < deadline:
            time.sleep(0.02)
        assert place.modified(lease.file) > before
        assert not lease.lost
        place.remove(lease.file)
        assert lease.lost
        time.sleep(0.2)
        assert not (place.root / lease.file).exists()  # a beat does not bring it back


def test_a_heartbeat_does_not_bring_back_a_lease_that_another_took(monkeypatch):
    """kills: a lease that is read, removed by whoever took it over, and written again."""
    place = AddressPlace("memory://leases")
    lease = Lease(place, NAME)
    lease.acquire()
    before = place.modified(lease.file)
    time.sleep(0.01)
    assert place.touch(lease.file)
    assert place.modified(lease.file) > before
    for asked in ("read", "exists"):
        answer = getattr(AddressPlace, asked)

        def then_taken(self, name, answer=answer):
            told = answer(self, name)
            self.remove(name)
            return told

        monkeypatch.setattr(AddressPlace, asked, then_taken)
    place.touch(lease.file)
    monkeypatch.undo()
    assert lease.lost
    assert all_written(place) == []


class Timeless(MemoryFileSystem):
    """A file system that knows no file's time."""

    protocol = "timeless"
    store, pseudo_dirs = {}, [""]

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(str(path).removeprefix("timeless://"))

    def modified(self, path):
        raise NotImplementedError


@pytest.mark.parametrize("patient", [False, True])
def test_where_no_file_has_a_time_another_host_is_respected(patient, monkeypatch):
    """kills: the time 0 that stands for none taken for the year 1970, and a living host for dead,
    at once or after a wait."""
    monkeypatch.setattr(leases, "SILENT", 0.5)
    fsspec.register_implementation("timeless", Timeless, clobber=True)
    place = AddressPlace(f"timeless://{patient}")
    form = {"state": "holding", "maker": asdict(ELSEWHERE), "folder": NAME, "inputs": []}
    place.write(f"making/{NAME}.00000000.lease", json.dumps(form).encode())
    assert place.modified(f"making/{NAME}.00000000.lease") == 0
    with leased(place, NAME, patient=patient) as lease:
        assert not lease.holds
        assert lease.left == []


def test_a_lease_names_no_folder_but_its_own(place):
    """kills: a lease of others that has a folder outside deleted."""
    for folder in ("../part", "/etc", f"{NAME}/../..", "other-0123456789ab"):
        path = left(place, dead(), folder=folder)
        assert written(place, f"making/{path.name}") is None
    assert Lease(place, NAME).file != Lease(place, NAME).file
