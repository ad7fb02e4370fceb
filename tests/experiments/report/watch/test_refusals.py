"""A command line of `--watch` that names no run is refused, before anything is served."""

import pytest

from experiments.report import __main__ as script
from experiments.report.watch import server
from tests.helpers.tables import TABLE


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (["--scale", "nope"], "there is no scale 'nope' here: choose from smoke, small, "),
        (["--seeds", "0"], "--seeds must lie between 1 and 1000, not be 0"),
        (["--seeds", "-1"], "--seeds must lie between 1 and 1000, not be -1"),
        (["--seeds", "1001"], "--seeds must lie between 1 and 1000, not be 1001"),
        (["--port", "99999"], "--port must lie between 0 (a free one) and 65535, not be 99999"),
        (["--port", "-1"], "--port must lie between 0 (a free one) and 65535, not be -1"),
        (["--tables", "table1", "table9"], "no table is called table9: choose from table1, "),
        (
            ["--tables", "ablation-guidance", "--scale", "small"],
            "ablation-guidance is not made at scale small: choose from smoke, scenes",
        ),
    ],
)
def test_a_run_that_there_is_not_is_refused_in_one_line(given, said, tmp_path, monkeypatch, capsys):
    """kills: a page of 0 of 0 stages, a traceback for a port, a refusal with the status of results
    that cannot be read."""
    monkeypatch.setattr(server, "server", lambda *_: pytest.fail("it is served"))
    assert script.main(["--watch", "--store", str(tmp_path), *given]) == 2
    out, err = capsys.readouterr()
    assert err.startswith(f"report: {said}")
    assert (out, err.count("\n")) == ("", 1)


@pytest.mark.parametrize("port", [0, 65535])
@pytest.mark.parametrize("seeds", [1, 1000])
def test_the_ends_of_a_range_are_within_it(port, seeds):
    """kills: a bound that refuses its own end."""
    options = script.parser().parse_args(["--port", str(port), "--seeds", str(seeds)])
    assert script.refusal(options, {TABLE.name: TABLE}) is None
