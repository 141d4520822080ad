"""Files and folders of results: atomic writing, JSON, paths."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import numbers
import os
import tempfile
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from tf_rnn.options import OptionError
from tf_rnn.options.rules import Path as FolderPath
from tf_rnn.run_config import require_run_config

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

# In the folder of a run, and in that of an exported model.
CONFIG, CHECKPOINTS, SUMMARIES = "config.json", "checkpoints", "summaries"
SIGNATURE = "signature.json"
# The file that is locked while a command writes to a folder.
LOCK = ".lock"
# Options of a task that say where its data are, not what they are.
PLACES = ("data", "encoding")
ELSEWHERE = "choose another folder"
# Given as the folder for results: one in this folder, named after the options.
NAMED = Path("results")


def as_path(option: str, value: Any) -> Path:
    """Returns `value` as a path, or raises OptionError; see `tf_rnn.options.rules.Path`."""
    return FolderPath().check(option, value)


def make_folder(option: str, folder: Path) -> None:
    """Makes a folder for results, unless it exists.

    Raises:
        OptionError: For `option`, if it cannot be made or written, or is within a run's checkpoints.
    """
    real = Path(os.path.realpath(folder))
    for place in (real, *real.parents):
        if place.name == CHECKPOINTS and next(place.glob("checkpoint-*.npz"), None):
            raise OptionError(option, f"must lie outside of a run's checkpoints, got {str(folder)!r}")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            option, f"must be a folder that can be written, got {str(folder)!r} ({reason})"
        ) from error


def is_there(path: Path, name: str = "") -> bool:
    """Whether a path exists, or a name in a folder; no impossible path (too long, a null character) does."""
    try:
        return (path / name).exists()
    except (OSError, ValueError):
        return False


def require_readable(option: str, folder: Path) -> None:
    """Raises OptionError for `option` if a folder may not be entered, so that what is in it is not known."""
    try:
        (folder / CONFIG).exists()
    except PermissionError as error:
        raise OptionError(option, f"could not be read: {error.strerror} ({str(folder)!r})") from error
    except (OSError, ValueError):  # it does not exist
        pass


def claim_folder(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Makes a folder for results of one configuration, and writes the configuration to it.

    Args:
        folder: The folder; it may already hold results of the same configuration.
        identity: The configuration.

    Returns:
        The configuration as read from JSON.

    Raises:
        OptionError: For `out`, if the folder cannot be written, has other files, or holds results of
            another configuration or damaged ones, which are not overwritten.
    """
    kept = require_claimable(folder, identity)
    make_folder("out", folder)
    write_json(folder / CONFIG, kept)
    return kept


def require_claimable(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Raises what `claim_folder` would, and returns what it would write; nothing is written."""
    kept: dict[str, Any] = json.loads(json.dumps(identity, default=as_json_number))
    require_own("out", folder)
    if is_there(folder, CONFIG):
        require_same(folder, read_json(folder / CONFIG), kept)
    return kept


def require_own(option: str, folder: Path) -> None:
    """Raises OptionError for `option` unless a folder is new or empty, or has a configuration.

    What else is in somebody's folder is not ours to replace.
    """
    require_readable(option, folder)
    if is_there(folder, CONFIG):
        return
    try:
        names = {path.name for path in folder.iterdir()} if folder.is_dir() else set()
    except (OSError, ValueError):  # `make_folder` reports it
        return
    others = sorted(names - {LOCK, partial_name(CONFIG)})  # which a killed process may leave
    if others:
        raise OptionError(
            option,
            f"must be a new folder, an empty one, or one with results of this package, got {str(folder)!r}, "
            f"which has {others[0]!r} and no {CONFIG}; {ELSEWHERE}",
        )


def require_new(folder: Path) -> None:
    """Raises OptionError for `out` if a folder already holds results or other files."""
    require_readable("out", folder)
    if is_there(folder, CONFIG) or is_there(folder, CHECKPOINTS):
        raise OptionError(
            "out",
            f"must be a new folder, {str(folder)!r} holds results already (a training run can be resumed)",
        )
    require_own("out", folder)


def require_no_links(option: str, folder: Path) -> None:
    """Raises OptionError if a run's folder has symbolic links, which would be written through."""
    for top in (folder / CHECKPOINTS, folder / SUMMARIES):
        for path in (top, *top.rglob("*")):
            if path.is_symlink():
                raise OptionError(option, f"must have no links to other places, {str(path)!r} is one")


def require_empty(folder: Path) -> None:
    """Raises OptionError for `out` unless a folder is new or empty."""
    require_readable("out", folder)
    if is_there(folder) and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise OptionError("out", f"must be a new folder or an empty one, got {str(folder)!r}")


def require_new_table(out: Any, *beside: str) -> list[Path]:
    """The path of a CSV file to be written, and of the files beside it, by their endings.

    Raises:
        OptionError: For `out`, if one of them exists, or there is no folder for them.
    """
    path = as_path("out", out)
    if path.suffix != ".csv":
        raise OptionError("out", f"must be a file that ends in .csv, got {str(path)!r}")
    paths = [path, *map(path.with_suffix, beside)]
    for each in paths:
        if each.exists() or each.is_symlink():
            raise OptionError("out", f"must be a new file, {str(each)!r} exists")
    if not path.parent.is_dir():
        raise OptionError("out", f"must lie in a folder that exists, got {str(path)!r}")
    return paths


@contextlib.contextmanager
def new_table(out: Any, *beside: str) -> Iterator[list[Path]]:
    """Yields the paths of `require_new_table`; errors of writing become OptionError for `out`, too."""
    paths = require_new_table(out, *beside)
    try:
        yield paths
    except OSError as error:
        raise OptionError("out", f"could not be written: {error.strerror} ({str(paths[0])!r})") from error


def require_run(folder: Path, option: str = "folder") -> None:
    """Raises OptionError for `option` unless a folder holds a training run with checkpoints."""
    require_readable(option, folder)
    if not (is_there(folder, CHECKPOINTS) and (folder / CHECKPOINTS).is_dir()):
        raise OptionError(option, f"must be the folder of a training run, got {str(folder)!r}")


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
        OptionError: For `resume`, if it is missing, cannot be read, or belongs to an exported model.
    """
    folder = as_path("resume", folder)
    require_readable("resume", folder)
    if is_there(folder, SIGNATURE):
        raise OptionError(
            "resume",
            f"must be the folder of a training run, {str(folder)!r} holds an exported model (of which "
            "import makes a run)",
        )
    if not (is_there(folder, CONFIG) and (folder / CONFIG).is_file()):
        raise OptionError("resume", f"must be the folder of a training run, got {str(folder)!r}")
    try:
        config = read_json(folder / CONFIG)
    except OptionError as error:
        raise OptionError("resume", error.problem) from error
    return usable_config("resume", folder, config)


def usable_config(option: str, folder: Path, config: Any) -> dict[str, Any]:
    """Checks the configuration in a run's folder, see `require_run_config`.

    Raises:
        OptionError: For `option`, if it is not valid.
    """
    try:
        return require_run_config(config)
    except OptionError as error:
        raise OptionError(
            option,
            f"must be the folder of a training run, {str(folder)!r} has another configuration: {error}",
        ) from error


def content(identity: dict[str, Any]) -> dict[str, Any]:
    """A configuration without the place of data whose SHA-256 it has."""
    options = identity.get("task_options")
    if "data_sha256" not in identity or not isinstance(options, dict):
        return identity
    return identity | {"task_options": {name: options[name] for name in options if name not in PLACES}}


def require_same(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Raises OptionError for `out`, naming the first difference, unless two configurations are equal.

    Data are the same wherever they lie.
    """
    there, here = content(there), content(here)
    for name in sorted({*there, *here}):
        if there.get(name) != here.get(name):
            raise OptionError(
                "out",
                f"must hold results of the same configuration; in {str(folder)!r} {name} is "
                f"{there.get(name)!r}, here {here.get(name)!r}; {ELSEWHERE}",
            )


def is_own_file(path: Path) -> bool:
    """Whether a path is a regular file, not a link or a device."""
    return is_there(path) and path.is_file() and not path.is_symlink()


def those_there(folder: Path, names: Iterable[str], given: str | os.PathLike[str]) -> list[Path]:
    """The files of these names that a folder has, as paths below what the user called it."""
    return [Path(given) / name for name in names if (folder / name).exists()]


def read_json(path: Path) -> dict[str, Any]:
    """Reads a JSON object.

    Raises:
        OptionError: For `out`, if it cannot be read.
    """
    if not is_own_file(path):
        raise damaged(path)
    try:
        value = json.loads(path.read_text(encoding="utf-8"), parse_constant=_refuse)
    except (ValueError, OSError, RecursionError) as error:
        raise damaged(path) from error
    if not isinstance(value, dict):
        raise damaged(path)
    return value


def damaged(path: Path) -> OptionError:
    """The error for a file of results that cannot be read."""
    return OptionError("out", f"must hold undamaged results, {str(path)!r} cannot be read; {ELSEWHERE}")


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not in the JSON standard")


def folder_name(command: str, identity: dict[str, Any]) -> str:
    """A readable folder name that differs between configurations."""
    digest = hashlib.sha256(
        json.dumps(content(identity), sort_keys=True, default=as_json_number).encode()
    ).hexdigest()[:6]
    return f"{command}-{identity['task']}-{identity['cell']}-{identity['state_size']}-{digest}"


def write_json(path: Path, value: Any) -> None:
    """Writes standard JSON, which has no nan; see `write_text`."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8; characters that it lacks (a stray byte of an argument) are escaped.

    Raises:
        OptionError: For `out`, if it cannot be written; the file is unchanged then.
    """
    with replacing(path) as partial, partial.open("x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)


def write_figure(path: Path, figure: Any) -> None:
    """Writes a matplotlib figure as PNG; see `write_text`."""
    with replacing(path) as partial, warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Glyph .* missing from")  # letters of a name that no font has
        figure.savefig(partial, format="png", dpi=130)


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` to write to, which replaces it afterwards, or is removed on an error.

    Both the file and its folder are synced, so that the file outlives a loss of power.

    Raises:
        OptionError: For `out`, if it cannot be written; the file at `path` is unchanged then.
    """
    partial = path.with_name(partial_name(path.name))
    try:
        partial.unlink(missing_ok=True)  # it may be a link
        yield partial
        _sync(partial)  # a full disk may be reported only here
        partial.replace(path)
        with contextlib.suppress(OSError):  # some systems do not open folders
            _sync(path.parent)
    except OSError as error:
        reason = error.strerror or error
        raise OptionError("out", f"could not be written: {reason} ({str(path)!r})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def partial_name(name: str) -> str:
    """The name of the temporary file from which a file is replaced."""
    return f".{name}.partial"


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def as_json_number(value: Any) -> int | float:
    """A number of another type, a fraction or one of NumPy say, for `json.dumps(default=...)`.

    Raises:
        TypeError: If it is not a number.
    """
    if isinstance(value, numbers.Integral):
        return int(value)
    if isinstance(value, numbers.Real):
        return float(value)
    raise TypeError(f"{value!r} is not a number")


def plain(value: Any) -> Any:
    """The value for standard JSON: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
