"""What numbers on a command line lie between, in whichever command they are given."""

MOST_SEEDS = 1000
LAST_PORT = 65535


def seeds_refused(seeds: int) -> str | None:
    """What is wrong with a number of seeds, in words; None if nothing is."""
    if 1 <= seeds <= MOST_SEEDS:
        return None
    return f"--seeds must lie between 1 and {MOST_SEEDS}, not be {seeds}"


def port_refused(port: int) -> str | None:
    """What is wrong with a port, in words; None if nothing is. 0 is a free one."""
    if 0 <= port <= LAST_PORT:
        return None
    return f"--port must lie between 0 (a free one) and {LAST_PORT}, not be {port}"
