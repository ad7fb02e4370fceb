"""What a person reads who gave an option a value that it does not take."""

import re

import pytest

from experiments.cli.main import main
from experiments.cli.refusals import plain
from experiments.hddm.table1 import TABLE


@pytest.mark.parametrize(
    ("option", "value", "said"),
    [
        ("seeds", "x", "--seeds takes a whole number, not x"),
        ("scale.train.steps", "2.5", "takes a whole number, not 2.5"),
        ("scale.train.lr", "fast", "takes a number, not fast"),
        ("scale.data.by_seed", "3", "takes true or false, not 3"),
        ("scale.study.pair", "x", "takes values in brackets, such as [1,2] or null, not x"),
        ("scale.study.pair", "[1,a]", "takes a whole number or null, not [1, 'a']"),
        ("scale.train.precision", "x", "takes SINGLE or BF16 or FP16, not x"),
        ("device", "x", "takes auto or cpu or cuda, not x"),
        ("scale.data.text", "x", "--scale.data.text.class_path package.module.Class"),
        ("scale.data.partition.class_path", "Nowhere", "takes a class"),
        ("scale.train.step", "3", "did you mean --scale.train.steps?"),
        ("results", "", "--results: the name of a folder is empty"),
        ("workrs", "3", "did you mean --workers?"),
        ("scale.train.steps", "60", "the average starts (--scale.train.ema_start) at step 100"),
    ],
)
def test_a_value_of_the_wrong_kind_is_refused_without_python(capsys, option, value, said):
    """kills: <class 'int'> on a terminal, the kinds of a union lost, the value not told."""
    assert main(TABLE, arguments=[f"--{option}", value]) == 2
    line = capsys.readouterr().err
    assert said in line
    assert not [word for word in ("<", "Parser", "Union", "NoneType") if word in line]


def test_what_has_no_plain_words_stays_as_it_is():
    """kills: a reason thrown away where its kind has no name here."""
    reason = "Parser key \"x\": Expected a <class 'Fraction'>. Got value: y"
    assert plain(reason) == reason
    assert plain("arguments\n  are required") == "arguments are required"


def test_help_says_nothing_of_python(capsys):
    """kills: an option whose type is told by the address of a function."""
    with pytest.raises(SystemExit):
        main(TABLE, arguments=["--help"])
    assert not re.findall("<function| at 0x", capsys.readouterr().out)
