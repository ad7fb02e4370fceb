"""What a person reads of a run: how far, how long, where; told by a clock that the test turns."""

import re

import pytest

from experiments.pipeline.launch.outlook import Outlook
from experiments.pipeline.launch.progress import Progress
from experiments.pipeline.launch.task import Task


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


def task(key, cost=1.0, needs=(), kind=""):
    return Task(key, key, f"making {key}", cost, frozenset(needs), kind=kind)


def pictured(tasks, seconds, width):
    """The lines of a run on `width` workers, each task taking seconds(task): (lines, its end)."""
    clock = Clock()
    progress = Progress(tasks, width, bars=False, clock=clock)
    waiting, running, estimates = list(tasks), {}, []
    while waiting or running:
        for each in waiting[: width - len(running)]:
            waiting.remove(each)
            progress.began([each.key])
            running[each.key] = each, clock.now + seconds(each)
        progress.tick([(each, "") for each, _ in running.values()])
        first, clock.now = min(running.values(), key=lambda pair: pair[1])
        del running[first.key]
        progress.finished(first)
        estimates.append((clock.now, clock.now + progress.outlook.left([*progress.left.values()], {
            key: clock.now - (end - seconds(each)) for key, (each, end) in running.items()
        }, width)))  # fmt: skip
    progress.close()
    return estimates, clock.now


WRONG = {"": 1.0, "train": 9.0, "score": 0.4}
"""What a kind takes of what its cost says."""


@pytest.mark.parametrize("width", [1, 2, 8])
def test_after_a_tenth_the_estimate_is_right_within_two(capfd, width):
    """kills: costs taken for seconds; one rate for all kinds, where trainings take nine times what
    their cost says and scores less than half; start-up counted for ever; work over no workers."""
    kinds = ["train", "score", "", "score", "train", ""] * 20
    tasks = [task(str(i), 1.0 + i % 7, kind=kind) for i, kind in enumerate(kinds)]
    late = {tasks[i].key: 20.0 for i in range(width)}  # the first of each worker imports
    estimates, end = pictured(tasks, lambda x: late.get(x.key, 0.0) + x.cost * WRONG[x.kind], width)
    said = [total / end for now, total in estimates if now > end / 10]
    assert len(said) > 90
    assert 0.5 < min(said) <= max(said) < 2
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "[0/120] starting"
    assert lines[-1].startswith("[120/120] making ")
    assert "about 00:00 left" in lines[-1]


def test_the_longest_chain_bounds_what_is_left():
    """kills: ten tasks that wait for each other divided among ten workers."""
    chain = [task(str(i), 3.0, [str(i - 1)]) for i in range(10)]
    outlook = Outlook()
    outlook.add(task("seen"), 3.0)
    assert outlook.left(chain, {}, 10) == pytest.approx(30)
    assert outlook.left(chain, {"0": 2.0}, 10) == pytest.approx(28)
    assert outlook.left([task(str(i)) for i in range(10)], {}, 5) == pytest.approx(6)


def test_a_line_says_how_fast_and_where(capfd):
    """kills: places unsaid, what waits for a place told as running, a queue's time as a task's."""
    clock = Clock()
    tasks = [task(key) for key in "abcdef"]
    progress = Progress(tasks, 4, bars=False, clock=clock)
    progress.began(list("abcdef"))
    clock.now = 100.0
    places = ["node7", "node7", "node8", "node9", None, None]
    progress.tick(list(zip(tasks, places, strict=True)))
    clock.now = 104.0
    progress.finished(tasks[0])
    clock.now = 120.0
    progress.finished(tasks[1])
    assert progress.outlook.seen[""] == [4.0, 20.0]
    lines = capfd.readouterr().err.splitlines()
    assert [re.sub("about [0-9:]+", "about", line) for line in lines[1:]] == [
        "[0/6] 01:40 elapsed; "
        "now making a on node7, making b on node7, making c on node8 and 2 more",
        "[2/6] making b; 02:00 elapsed, about left, 1 stages/min; "
        "now making c on node8, making d on node9, 2 waiting for a place",
    ]


def test_what_waits_for_a_failure_is_no_work_that_is_left(capfd):
    """kills: an estimate that counts what nobody will run; a failure told at the end."""
    tasks = [task("a"), task("b", needs="a"), task("c", needs="b"), task("d")]
    progress = Progress(tasks, 1, bars=False, clock=Clock())
    progress.failed(tasks[0], ValueError("no\nfile"))
    assert progress.left.keys() == {"d"}
    assert capfd.readouterr().err.splitlines()[1] == "[0/4] making a failed: no file"


def test_a_stack_counts_as_the_stages_that_it_makes(capfd):
    """kills: a run of fewer stages than its plan says, a stack of four told as one."""
    stack = Task("s", "s", "making s", 4.0, frozenset(), stages=4)
    clock = Clock()
    progress = Progress([stack, task("a"), task("b", needs="s")], 2, bars=False, clock=clock)
    clock.now = 60.0
    progress.finished(stack)
    lines = capfd.readouterr().err.splitlines()
    assert lines[0] == "[0/6] starting"
    assert lines[1].startswith("[4/6] making s; ")
    assert lines[1].endswith("4 stages/min")
