"""The least memory of a piece of work, under limits of the kernel's."""

import mmap
import time

import pytest

from experiments.bench.commands.memory import Groups, Outcome, forget, least, under
from experiments.bench.pairing import RefusedError

MB = 1 << 20


def holding():
    """64 MB of its own."""
    assert len(b"x" * (64 * MB)) == 64 * MB


def failing():
    raise ValueError("of its own")


def reading(path, times=1):
    """64 MB of a file's pages, mapped, each looked at so many times."""

    def read():
        forget([path])
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
            for _ in range(times):
                assert sum(held[i] for i in range(0, len(held), 4096)) == 0

    return read


def groups():
    return {path for path in Groups.here().place.iterdir() if path.name.startswith("bench-")}


@pytest.mark.usefixtures("limits")
def test_what_is_held_needs_room_and_what_a_file_backs_does_not(tmp_path):
    """kills: a limit that is not set, or set for nobody; bisection to the wrong side; groups left
    behind."""
    path = tmp_path / "file"
    path.write_bytes(bytes(64 * MB))
    before = groups()
    assert 64 * MB <= least(holding, 256 * MB, 4 * MB, Groups.here(), read=64 * MB) <= 80 * MB
    assert least(reading(path), 256 * MB, 4 * MB, Groups.here(), 999.0, read=64 * MB) <= 16 * MB
    assert groups() <= before


@pytest.mark.usefixtures("limits")
def test_pages_that_are_read_again_and_again_need_room(tmp_path):
    """kills: patience without end: what never stops reading would need no memory."""
    path = tmp_path / "file"
    path.write_bytes(bytes(64 * MB))
    again = reading(path, 50)
    assert least(again, 256 * MB, 16 * MB, Groups.here(), 1.5, read=64 * MB) >= 48 * MB


@pytest.mark.usefixtures("limits")
def test_pages_of_whoever_wrote_them_are_not_called_free(tmp_path):
    """kills: files that were never dropped from the page cache, which no fork is charged for."""
    path = tmp_path / "file"
    path.write_bytes(bytes(64 * MB))

    assert len(path.read_bytes()) == 64 * MB

    def mapped():
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, prot=mmap.PROT_READ) as held:
            assert sum(held[i] for i in range(0, len(held), 4096)) == 0

    with pytest.raises(RefusedError, match="67,108,864 bytes are read or held, and"):
        least(mapped, 256 * MB, 4 * MB, Groups.here(), read=64 * MB)


@pytest.mark.usefixtures("limits")
def test_what_takes_too_long_or_fails_of_itself_has_not_ended(capfd):
    """kills: patience that nobody has; a failure that is called too little memory, or whose cause
    is thrown away."""
    begun = time.monotonic()
    outcome, _ = under(lambda: time.sleep(60), 256 * MB, Groups.here(), 0.2)
    assert outcome is Outcome.SLOW
    assert time.monotonic() - begun < 30
    outcome, held = under(holding, 8 * MB, Groups.here(), 60.0)
    assert outcome is Outcome.KILLED
    assert held <= 8 * MB
    with pytest.raises(RefusedError, match="ended with 1"):
        under(failing, 256 * MB, Groups.here(), 60.0)
    assert "ValueError: of its own" in capfd.readouterr().err
    with pytest.raises(RefusedError, match="bytes are too few"):
        least(holding, 8 * MB, 4 * MB, Groups.here())


def test_groups_of_both_versions_are_found(tmp_path):
    """kills: another controller's group; a group of version 2 that no controller limits."""
    first = "9:name=systemd:/\n4:cpu,memory:/own\n0::/\n"
    assert Groups.of(first, tmp_path) == Groups.first(tmp_path / "memory/own")
    second = "0::/user/own\n"
    with pytest.raises(RefusedError, match="no control group"):
        Groups.of(second, tmp_path)
    (tmp_path / "user").mkdir()
    (tmp_path / "user/cgroup.subtree_control").write_text("cpu memory pids\n")
    assert Groups.of(second, tmp_path) == Groups.second(tmp_path / "user")
