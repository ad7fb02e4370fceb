"""At the end of a run: what became of the faults that its tests tried, and what that cost."""

import resource

from tests.helpers.faults.corruption import TOLD, summary


def pytest_terminal_summary(terminalreporter):
    if lines := summary(TOLD):
        both = map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
        seconds = sum(used.ru_utime + used.ru_stime for used in both)
        terminalreporter.section("faults")
        for line in lines:
            terminalreporter.write_line(line)
        terminalreporter.write_line(f"{seconds:.0f} CPU seconds, of processes that were waited for")
