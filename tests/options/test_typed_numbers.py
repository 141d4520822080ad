"""Numbers as people type them: signs, exponents, underscores; and values that begin with a dash."""

from __future__ import annotations

import math
from typing import Any

import pytest
from command_helpers import assert_refused
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.__main__ import COMMANDS
from tf_rnn.cli.parser import NEGATIVE_NUMBER, Parser
from tf_rnn.options import OptionError
from tf_rnn.options.rules import Number, Whole


def parsed(command: str, words: list[str]) -> dict[str, Any]:
    parser = Parser()
    COMMANDS[command].add_options(parser)
    return vars(parser.parse_args(words))


@pytest.mark.parametrize(
    ("words", "name", "value"),
    [
        (["--effects", "-.5", "-1E1", "-1_000.5"], "effects", (-0.5, -10.0, -1000.5)),
        (["--forget-bias", "-1e0"], "forget_bias", -1.0),
        (["--updates", "1_000"], "updates", 1000.0),
        (["--seed", "1_000"], "seed", 1000),
        (["--recompute", "1e1"], "recompute", 10),
        (["--state-size", "+1e+2"], "state_size", 100),
        (["--lags", "1e1", "20"], "lags", (10, 20)),
    ],
)
def test_a_number_means_what_it_says(words: list[str], name: str, value: Any) -> None:
    found = parsed("train", words)
    assert found == {name: value}
    assert type(found[name]) is type(value)


@pytest.mark.parametrize(
    "value", ["-1e3", "1.5e0", "1e-3", "1e400", "1e999999999", "1.0", "e3", "-inf", "nan"]
)
def test_what_is_no_count_is_refused(value: str) -> None:
    with pytest.raises(OptionError, match=r"^seed must be a whole number of at least 0, got "):
        Whole(0).parse("seed", value)


@pytest.mark.parametrize("value", ["-inf", "-Infinity", "-nan", "-1e999"])
def test_what_is_not_finite_is_refused_by_name(value: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Though it begins with a dash."""
    number = float(value)
    message = f"--forget-bias must be a {'finite ' if number < 0 else ''}number, got {number!r}"
    assert_refused(["train", "--forget-bias", value], message, capsys)


def test_a_value_that_begins_with_a_dash_needs_an_equals_sign(capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["--prime=-- a dash"], ["--prime=-x"], ["--prime", "-1 degree"]):
        found = parsed("sample", ["x", *words])
        assert {*found} == {"folder", "prime"}
        assert found["prime"] == words[-1].removeprefix("--prime=")
    hint = "argument --prime: expected one argument; one that begins with a dash is given as --prime=-..."
    assert_refused(["sample", "x", "--prime", "-x"], hint, capsys)
    hint = "argument --lags: expected at least one argument; one that begins with a dash is given as --lags="
    assert_refused(["train", "--lags", "-x"], hint, capsys)


def test_no_option_looks_like_a_number() -> None:
    for command in COMMANDS:
        parser = Parser()
        COMMANDS[command].add_options(parser)
        assert not parser._has_negative_number_optionals
        assert not [name for name in parser._option_string_actions if NEGATIVE_NUMBER.match(name)]


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_any_float_can_be_typed(value: float) -> None:
    for text in {repr(value), f"{value:e}", f"{value:.17g}"}:
        found = parsed("train", ["--forget-bias", text])["forget_bias"]
        assert math.isclose(found, value, rel_tol=1e-6, abs_tol=5e-324)
    assert parsed("train", ["--forget-bias", repr(value)])["forget_bias"] == value


@given(number=st.integers(0, 10**6), exponent=st.integers(0, 20))
def test_a_count_with_an_exponent_is_exact(number: int, exponent: int) -> None:
    assert Whole(0).parse("n", f"{number}e{exponent}") == number * 10**exponent
    assert Whole(0).parse("n", f"{number}0e-1") == number
    with pytest.raises(OptionError):
        Whole(0).parse("n", f"{number}1e-{exponent + 1}")
    assert Number().parse("x", f"{number}e{exponent}") == float(f"{number}e{exponent}")
