"""The fields of a frozen dataclass that are options."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tf_rnn.options.option import Option


def check_fields(record: Any, options: Mapping[str, Option]) -> None:
    """Checks the fields of a frozen dataclass and replaces their values by plain Python.

    Args:
        record: The dataclass, in its `__post_init__`.
        options: The declared options by field; other fields are left alone.

    Raises:
        OptionError: If a value is not allowed.
    """
    for field in dataclasses.fields(record):
        if field.name in options:
            value = options[field.name].check(getattr(record, field.name))
            object.__setattr__(record, field.name, value)
