"""What commands leave on disk: files that are there as a whole or not at all, and how they look."""

from __future__ import annotations

import contextlib
import hashlib
import json
import math
import os
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, Never

from tf_rnn.options import OptionError
from tf_rnn.options.rules import Path as FolderPath
from tf_rnn.run_config import require_run_config

if TYPE_CHECKING:
    from collections.abc import Iterator

# In the folder of a run; each of its checkpoints has a manifest. An exported model has a signature.
CONFIG, CHECKPOINTS, SUMMARIES = "config.json", "checkpoints", "summaries"
MANIFEST, SIGNATURE = "manifest.json", "signature.json"
ELSEWHERE = "choose another folder"
# Given as the folder for results: one in this folder, named after the options.
NAMED = Path("results")


def as_path(option: str, value: Any) -> Path:
    """Returns `value` as a path, or raises OptionError; see `tf_rnn.options.rules.Path`."""
    return FolderPath().check(option, value)


def make_folder(option: str, folder: Path) -> None:
    """Makes a folder for results, unless it is there.

    Raises:
        OptionError: For `option`, if the folder cannot be made or written, or would not last.
    """
    require_lasting(option, folder)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise OptionError(
            option, f"must be a folder that can be written, got {str(folder)!r} ({reason})"
        ) from error


def require_lasting(option: str, folder: Path) -> None:
    """Raises OptionError if a folder lies among a run's checkpoints, of which the oldest are cleared away."""
    real = Path(os.path.realpath(folder))
    for place in (real, *real.parents):
        if place.name == CHECKPOINTS and next(place.glob(f"checkpoint-*/{MANIFEST}"), None):
            raise OptionError(option, f"must lie elsewhere than a run's checkpoints, got {str(folder)!r}")


def is_there(path: Path, name: str = "") -> bool:
    """Whether there is something at a path, or of a name in a folder.

    Where none can be (a path that is too long, or has a null character) there is nothing.
    """
    try:
        return (path / name).exists()
    except (OSError, ValueError):
        return False


def claim_folder(folder: Path, identity: dict[str, Any]) -> dict[str, Any]:
    """Makes a folder for results of one configuration, and notes the configuration in it.

    Args:
        folder: Where; it may hold results of the same configuration already.
        identity: The configuration.

    Returns:
        The configuration as JSON keeps it.

    Raises:
        OptionError: For `out`, if the folder cannot be written, or holds results of another
            configuration, or damaged ones. Nothing is overwritten then.
    """
    kept: dict[str, Any] = json.loads(json.dumps(identity))
    make_folder("out", folder)
    if is_there(folder, CONFIG):
        require_same(folder, read_json(folder / CONFIG), kept)
    write_json(folder / CONFIG, kept)
    return kept


def require_new(folder: Path) -> None:
    """Raises OptionError if a folder holds results already."""
    if is_there(folder, CONFIG) or is_there(folder, CHECKPOINTS):
        raise OptionError(
            "out",
            f"must be a new folder, {str(folder)!r} holds results already (a training run can be resumed)",
        )


def require_no_links(option: str, folder: Path) -> None:
    """Raises OptionError if what is written into a run's folder would come to lie somewhere else."""
    for top in (folder / CHECKPOINTS, folder / SUMMARIES):
        for path in (top, *top.rglob("*")):
            if path.is_symlink():
                raise OptionError(option, f"must have no links to other places, {str(path)!r} is one")


def require_empty(folder: Path) -> None:
    """Raises OptionError for `out` unless a folder is new or empty."""
    if is_there(folder) and not (folder.is_dir() and next(folder.iterdir(), None) is None):
        raise OptionError("out", f"must be a new folder or an empty one, got {str(folder)!r}")


def require_run(folder: Path) -> None:
    """Raises OptionError for `folder` unless it holds a training run with checkpoints."""
    if not (is_there(folder, CHECKPOINTS) and (folder / CHECKPOINTS).is_dir()):
        raise OptionError("folder", f"must be the folder of a training run, got {str(folder)!r}")


def read_config(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """The configuration of the run in a folder.

    Raises:
        OptionError: For `resume`, if there is none, or it cannot be read, or belongs to an exported model.
    """
    folder = as_path("resume", folder)
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
    """Returns the configuration that was found in a run's folder, see `require_run_config`.

    Raises:
        OptionError: For `option`, if it is none.
    """
    try:
        return require_run_config(config)
    except OptionError as error:
        raise OptionError(
            option,
            f"must be the folder of a training run, {str(folder)!r} has another configuration: {error}",
        ) from error


def require_same(folder: Path, there: dict[str, Any], here: dict[str, Any]) -> None:
    """Raises OptionError for `out` unless two configurations are equal, naming what is not."""
    for name in sorted({*there, *here}):
        if there.get(name) != here.get(name):
            raise OptionError(
                "out",
                f"must hold results of the same configuration; in {str(folder)!r} {name} is "
                f"{there.get(name)!r}, here {here.get(name)!r}; {ELSEWHERE}",
            )


def is_own_file(path: Path) -> bool:
    """Whether a path is a file of its folder: no link to somewhere else, and nothing that never ends."""
    return is_there(path) and path.is_file() and not path.is_symlink()


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
    """The error of a file that should hold results and does not."""
    return OptionError("out", f"must hold undamaged results, {str(path)!r} cannot be read; {ELSEWHERE}")


def _refuse(constant: str) -> Never:
    raise ValueError(f"{constant} is not in the JSON standard")


def folder_name(command: str, identity: dict[str, Any]) -> str:
    """A folder name for results: readable, and different for another configuration."""
    digest = hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:6]
    return f"{command}-{identity['task']}-{identity['cell']}-{identity['state_size']}-{digest}"


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, standard JSON only: nan is refused; see `write_text`."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8; what UTF-8 does not have, as a strange byte in an argument, is escaped.

    Raises:
        OptionError: For `out`, if it cannot be written; what was there before still is.
    """
    with _replacing(path) as partial, partial.open("x", encoding="utf-8", errors="backslashreplace") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())


def write_figure(path: Path, figure: Any) -> None:
    """Writes a matplotlib figure as PNG; see `write_text`."""
    with _replacing(path) as partial:
        figure.savefig(partial, format="png", dpi=130)


@contextlib.contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A file to write beside `path`, which takes its place if nothing goes wrong, and else goes away."""
    partial = path.with_name(f".{path.name}.partial")
    try:
        partial.unlink(missing_ok=True)  # it may be a link to somewhere else
        yield partial
        partial.replace(path)
    except OSError as error:
        reason = error.strerror or error
        raise OptionError("out", f"could not be written: {reason} ({str(path)!r})") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink(missing_ok=True)


def plain(value: Any) -> Any:
    """The value as standard JSON can hold it: numbers that are not finite become None."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list | tuple):
        return [plain(part) for part in value]
    return None if isinstance(value, float) and not math.isfinite(value) else value
