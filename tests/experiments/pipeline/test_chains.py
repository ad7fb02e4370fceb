"""Which of the tasks that are ready goes first: what the longest chain of work waits for."""

from experiments.pipeline.launch.task import Task, chains


def test_chains_are_those_counted_by_hand_and_fill_two_workers():
    """kills: a chain without its own task or that adds up its branches; a need that is already
    made; an order by the task's own cost, which takes 12 seconds where 9 are enough."""
    graph = [("five", 5.0, {"made"}), ("four", 4.0, set()), ("side", 1.0, {"one"})]
    graph += [("one", 3.0, set()), ("two", 2.0, {"one"}), ("three", 3.0, {"two"})]
    ahead = chains([Task(k, k, k, cost, frozenset(needs)) for k, cost, needs in graph])
    assert ahead == {"five": 5, "four": 4, "side": 1, "one": 8, "two": 5, "three": 3}
    assert makespan(graph, ahead) == 9
    assert makespan(graph, {key: cost for key, cost, _ in graph}) == 12


def makespan(graph, priority):
    """When two workers are done that start, of what is ready, what has the highest priority."""
    waiting = {key: (cost, needs & {key for key, *_ in graph}) for key, cost, needs in graph}
    running, done, now = {}, set(), 0.0
    while waiting or running:
        ready = [key for key, (_, needs) in waiting.items() if needs <= done]
        for key in sorted(ready, key=priority.get, reverse=True)[: 2 - len(running)]:
            running[key] = now + waiting.pop(key)[0]
        now = min(running.values())
        done |= {key for key, end in running.items() if end == now}
        running = {key: end for key, end in running.items() if end > now}
    return now
