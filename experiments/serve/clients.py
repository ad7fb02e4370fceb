"""How fast a served ensemble answers: clients that ask again and again, at once."""

import math
import threading
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass

TIMEOUT = 300.0


@dataclass(frozen=True)
class Answers:
    """Of one number of clients: each answer's seconds, sorted, the whole time, experts a step."""

    clients: int
    seconds: tuple[float, ...]
    whole: float
    asked: float

    def quantile(self, share: float) -> float:
        """The smallest of the seconds that this share of all do not exceed."""
        return self.seconds[max(0, math.ceil(share * len(self.seconds)) - 1)]

    @property
    def row(self) -> str:
        """A line of the table."""
        rate = len(self.seconds) / self.whole
        p50, p99 = (1000 * self.quantile(share) for share in (0.5, 0.99))
        return f"| {self.clients} | {rate:.2f} | {p50:.0f} | {p99:.0f} | {self.asked:.2f} |"


HEADER = (
    "| Clients | Requests a second | p50, ms | p99, ms | Experts called a step |\n"
    "| --- | --- | --- | --- | --- |"
)


def measure(url: str, clients: int, requests: int, prompts: Sequence[str], steps: int) -> Answers:
    """`requests` answers to as many clients at once. URLError or OSError if one fails."""
    seconds, asked, failed = list[float](), list[float](), list[Exception]()
    numbers, lock = iter(range(requests)), threading.Lock()

    def client() -> None:
        while not failed:
            with lock:
                i = next(numbers, None)
            if i is None:
                return
            query = {"prompt": prompts[i % len(prompts)], "seed": i, "steps": steps}
            start = time.perf_counter()
            try:
                there = f"{url}/picture?{urllib.parse.urlencode(query)}"
                with urllib.request.urlopen(there, timeout=TIMEOUT) as answer:
                    answer.read()
                    told = float(answer.headers["X-Asked"])
            except (urllib.error.URLError, OSError) as error:
                failed.append(error)
                return
            with lock:
                seconds.append(time.perf_counter() - start)
                asked.append(told)

    threads = [threading.Thread(target=client) for _ in range(clients)]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if failed:
        raise failed[0]
    whole = time.perf_counter() - start
    return Answers(clients, tuple(sorted(seconds)), whole, sum(asked) / len(asked))
