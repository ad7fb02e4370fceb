"""What numbers on a command line lie between, in whichever command they are given."""

MOST_SEEDS = 1000
LAST_PORT = 65535


def seeds_refused(seeds: int) -> str | None:
    """Why there are no so many seeds; None where there are."""
    if 1 <= seeds <= MOST_SEEDS:
        return None
    return f"--seeds must lie between 1 and {MOST_SEEDS}, not be {seeds}"
