"""What numbers and words options take, in Python as at the command line."""

from __future__ import annotations

import fractions
import math
import re
from typing import Any

import numpy as np
import pytest

from tf_rnn.options import (
    LARGEST_SIZE,
    LARGEST_WIDTH,
    GraphOptions,
    OptionError,
    Setup,
    require_choice,
    require_number,
    require_positive,
    require_recompute,
    require_whole,
    shown,
)

BLOCK: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}


@pytest.mark.parametrize("value", [3, np.int64(3), np.uint8(3)])
def test_whole_numbers_of_any_type_become_python_s(value: Any) -> None:
    found = require_whole("size", value)
    assert (found, type(found)) == (3, int)


@pytest.mark.parametrize(
    "value",
    [
        2.0,
        "3",
        b"3",
        True,
        np.bool_(True),
        None,
        [3],
        np.array(3),
        np.array([3]),
        np.float32(3),
        1j,
        math.nan,
    ],
)
def test_what_is_no_whole_number(value: Any) -> None:
    message = f"size must be a whole number of at least 1, got {shown(value)}"
    with pytest.raises(OptionError, match=f"^{re.escape(message)}$"):
        require_whole("size", value)


def test_limits_of_whole_numbers() -> None:
    assert require_whole("size", 7, at_least=0, at_most=7) == 7
    assert require_whole("size", 10**5000) == 10**5000
    with pytest.raises(OptionError, match=r"^size must be a whole number of at most 7, got 8$"):
        require_whole("size", 8, at_most=7)
    with pytest.raises(OptionError, match=r"^size must be a whole number of at least 0, got -1$"):
        require_whole("size", -1, at_least=0, at_most=7)


@pytest.mark.parametrize("value", [0.5, np.float32(0.5), np.float64(0.5), fractions.Fraction(1, 2)])
def test_numbers_of_any_type_become_python_s(value: Any) -> None:
    found = require_number("rate", value)
    assert (found, type(found)) == (0.5, float)


@pytest.mark.parametrize(
    "value",
    [
        math.nan,
        math.inf,
        -math.inf,
        10**400,
        "1",
        b"1",
        True,
        np.bool_(True),
        None,
        [1.0],
        np.array([1.0]),
        1j,
    ],
)
def test_what_is_no_number(value: Any) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(f'rate must be a number, got {shown(value)}')}$"):
        require_number("rate", value)
    with pytest.raises(OptionError, match=r"^rate must be a number above 0, got "):
        require_positive("rate", value)


def test_arrays_are_no_words() -> None:
    values: tuple[Any, ...] = (np.array(["sgd", "adam"]), np.array([1, 2]))
    for value in values:
        with pytest.raises(OptionError, match=r"^optimizer must be one of sgd, adam; got array\("):
            require_choice("optimizer", value, ("sgd", "adam"))
        with pytest.raises(OptionError, match=r"^recompute must be 'sqrt' or a whole number of steps, got "):
            require_recompute("recompute", value)
        with pytest.raises(OptionError, match=r"^loss_steps must be one of all, last, marked, or a whole "):
            GraphOptions(**BLOCK, loss_steps=value)
        with pytest.raises(OptionError, match=r"^input_size must be 0 where input_kind is 'none', got "):
            GraphOptions(**(BLOCK | {"input_kind": "none", "input_size": value}))


class Nameless:
    def __repr__(self) -> str:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("a\nb", r"'a\nb'"),
        (np.eye(2), "array([[1., 0.],        [0., 1.]])"),
        (10**300, f"1{99 * '0'} ... {20 * '0'}"),
        (10**5000, "int that cannot be shown"),
        (Nameless(), "Nameless that cannot be shown"),
    ],
    ids=["line", "array", "long", "too long", "nameless"],
)
def test_a_value_is_shown_on_one_line(value: Any, text: str) -> None:
    assert shown(value) == text


@pytest.mark.parametrize("option", BLOCK)
def test_sizes_are_what_tensorflow_counts_with_and_widths_what_can_be_built(option: str) -> None:
    largest = LARGEST_WIDTH if option == "num_steps" else LARGEST_SIZE
    GraphOptions(**(BLOCK | {option: largest}))
    message = f"{option} must be a whole number of at most {largest}, got {largest + 1}"
    with pytest.raises(OptionError, match=f"^{message}$"):
        GraphOptions(**(BLOCK | {option: largest + 1}))


@pytest.mark.parametrize("option", ["learning_rate", "clip_norm", "init_scale"])
def test_numbers_are_those_of_the_dtype(option: str) -> None:
    """A larger one would be inf: a gradient that is clipped to it is nan."""
    small: dict[str, Any] = {option: 3e38}
    large: dict[str, Any] = {option: 1e308}
    GraphOptions(**BLOCK, **small)
    GraphOptions(**BLOCK, **large, dtype="float64")
    with pytest.raises(OptionError, match=f"^{option} must be a number that float32 has, got 1e\\+308$"):
        GraphOptions(**BLOCK, **large)


def test_layers_are_not_made_without_end() -> None:
    with pytest.raises(OptionError, match=r"^num_layers must be a whole number of at most 10000, got 10001$"):
        Setup(task="echo", num_layers=10_001)


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("task_options", [3], "must be a dictionary of options, got [3]"),
        ("cell_options", math.nan, "must be a dictionary of options, got nan"),
        ("tied", 1, "must be True or False, got 1"),
    ],
)
def test_what_a_setup_is_made_of(option: str, value: Any, message: str) -> None:
    with pytest.raises(OptionError, match=f"^{re.escape(f'{option} {message}')}$"):
        Setup(**{"task": "echo", option: value})


@pytest.mark.parametrize(
    ("option", "value", "message"),
    [
        ("activation", "sigmoid", "must be one of tanh, relu; got 'sigmoid'"),
        ("forget_bias", math.nan, "must be a number, got nan"),
        ("forget_bias", math.inf, "must be a number, got inf"),
        ("recurrent_init", None, "must be one of orthogonal, glorot, identity; got None"),
        ("recurrent_gain", 0, "must be a number above 0, got 0"),
    ],
)
def test_options_of_cells_are_checked_before_there_is_a_cell(option: str, value: Any, message: str) -> None:
    """What names a folder, and is kept in it, is made of them before."""
    with pytest.raises(OptionError, match=f"^{re.escape(f'{option} {message}')}$"):
        Setup(task="echo", cell="lstm", cell_options={option: value})
