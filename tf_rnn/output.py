"""What commands leave on disk: files that are there as a whole or not at all, and how they look."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

from tf_rnn.config import OptionError

if TYPE_CHECKING:
    from pathlib import Path

# Colours that differ in grey and to colour-blind eyes (Okabe & Ito 2008), with markers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v")


def make_folder(option: str, folder: Path) -> None:
    """Makes a folder for results, unless it is there.

    Raises:
        OptionError: For `option`, if the folder cannot be made or written.
    """
    try:
        folder.mkdir(parents=True, exist_ok=True)
        probe = folder / ".write-test"
        probe.write_text("")
        probe.unlink()
    except OSError as error:
        raise OptionError(
            option, f"must be a folder that can be written, got {str(folder)!r} ({error.strerror})"
        ) from error


def write_json(path: Path, value: Any) -> None:
    """Writes a JSON file, standard JSON only: nan is refused."""
    write_text(path, json.dumps(value, indent=1, allow_nan=False) + "\n")


def write_text(path: Path, text: str) -> None:
    """Writes a text file in UTF-8."""
    partial = path.with_name(f".{path.name}.partial")
    with partial.open("w", encoding="utf-8") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def write_figure(path: Path, figure: Any) -> None:
    """Writes a matplotlib figure as PNG."""
    partial = path.with_name(f".{path.name}.partial")
    figure.savefig(partial, format="png", dpi=130)
    partial.replace(path)
