"""Which variables a verb of the Makefile reads, and that it refuses the others."""

import os
import subprocess

import pytest

from tests.helpers.files import ROOT, commands


def made(*words):
    """What make would do, without doing it, and as if nobody had called it from another make."""
    own = {name: x for name, x in os.environ.items() if not name.startswith(("MAKE", "MFLAGS"))}
    command = ["make", "-n", *words]
    return subprocess.run(command, cwd=ROOT, env=own, capture_output=True, text=True)


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (("table1", "SEDS=3"), "there is no variable SEDS"),
        (("denoising", "SEEDS=5"), "make denoising does not read SEEDS"),
        (("table1", "AGAINST=other"), "make table1 does not read AGAINST"),
        (("smoke", "SCALE=small"), "make smoke does not read SCALE"),
        (("lint", "WORKERS=2"), "make lint does not read WORKERS"),
        (("report", "claims", "PLAN=1"), "make report claims does not read PLAN"),
    ],
)
def test_a_variable_that_a_verb_does_not_read_is_refused(words, line):
    """kills: a number of seeds, a plan or a scale that was asked for and passed over in silence."""
    refused = made(*words)
    assert refused.returncode
    assert line in refused.stderr
    assert not refused.stdout


def test_variables_of_several_verbs_are_read_by_those_that_know_them():
    """kills: what one verb reads refused for the sake of another in the same command."""
    both = made("table1", "report", "SEEDS=2", "AGAINST=other")
    assert '--seeds "2"' in both.stdout
    assert '--against "other"' in both.stdout


def test_make_takes_every_command_that_is_written_down():
    """kills: a variable in a documented command that its verb refuses, or a verb of today's that
    lacks one which it reads."""
    lines = {tuple(words[1:]) for _, words in commands() if words[0] == "make"}
    assert len(lines) > 20
    refused = {line: made(*line).stderr for line in lines if made(*line).returncode}
    assert not refused
