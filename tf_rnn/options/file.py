"""Options in a TOML file: `run.toml` beside every result, and what `--config` reads.

# python -m tf_rnn train --config run.toml
task = "echo"
num_steps = 5
clip_norm = "off"
"""

from __future__ import annotations

import json
import tomllib
from typing import TYPE_CHECKING, Any

from tf_rnn.options.errors import OptionError
from tf_rnn.options.names import suggestion
from tf_rnn.options.option import SUITS_TASK
from tf_rnn.options.rules import OFF, OrNone

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping
    from pathlib import Path

    from tf_rnn.options.option import Option

RUN_FILE = "run.toml"


def options_text(command: str, values: Mapping[str, Any], options: Mapping[str, Option]) -> str:
    """The content of a file of options.

    Options that have no meaning beside the others are left out, and so are flags that are not set, and None,
    but where it switches off what would suit the task.

    Args:
        command: The command that takes them.
        values: By name.
        options: The declarations, by name.
    """
    lines = [f"# python -m tf_rnn {command} --config {RUN_FILE}"]
    for name, value in values.items():
        option = options[name]
        is_left_out = value is False or (value is None and option.default is not SUITS_TASK)
        if not is_left_out and (option.only is None or values.get(option.only[0]) in option.only[1]):
            lines.append(f"{name} = {_literal(OFF if value is None else value)}")
    return "\n".join(lines) + "\n"


def _literal(value: Any) -> str:
    if isinstance(value, tuple | list):
        return f"[{', '.join(map(_literal, value))}]"
    text = json.dumps(value, ensure_ascii=False, default=str)  # TOML has its strings and numbers
    return text.replace("\x7f", "\\u007f")


def read_options(path: Path, options: Mapping[str, Option]) -> dict[str, Any]:
    """The options in a file, checked, by name.

    Args:
        path: The file.
        options: Those that it may have.

    Raises:
        OptionError: For `config`, if it cannot be read or has another option; or for the option whose value
            is not allowed.
    """
    try:
        found = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            "config", f"must be a TOML file of options, got {str(path)!r} ({reason})"
        ) from error
    read = {}
    for written, value in found.items():
        name = written.replace("-", "_")
        if name not in options:
            hint = suggestion(name, options)
            raise OptionError(
                "config", f"must have options of this command, {str(path)!r} has {name!r}{hint}"
            )
        option = options[name]
        try:
            read[name] = option.check(None if value == OFF and isinstance(option.rule, OrNone) else value)
        except OptionError as error:
            raise OptionError(name, f"{error.problem} (in {str(path)!r})") from error
    return read


def overridden(
    read: Mapping[str, Any],
    given: Mapping[str, Any],
    options: Mapping[str, Option],
    one_of: Iterable[Collection[str]],
) -> dict[str, Any]:
    """The options of a file, and those of the command line in their place.

    An option of the file that has no meaning beside one of the command line is left out.

    Args:
        read: Those of the file.
        given: Those of the command line.
        options: The declarations, by name.
        one_of: Groups of which only one may be given.
    """
    gone = {name for group in one_of if any(name in given for name in group) for name in group}
    for name in read:
        only = options[name].only
        if only and only[0] in given and given[only[0]] not in only[1]:
            gone.add(name)
    return {name: value for name, value in read.items() if name not in gone and value is not False} | dict(
        given
    )
