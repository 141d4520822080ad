"""The states of runs on disk while a command needs them: to train further, or to look at the network."""

from __future__ import annotations

import contextlib
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Self

from tf_rnn.files import replacing

if TYPE_CHECKING:
    from tf_rnn.comparison.settings import RunKey

FOLDER = "unfinished"


class States:
    """A folder with the last checkpoint of each run of an unfinished comparison or race.

    Args:
        folder: The folder of the results, in which there is one for the states; None for a temporary one.
    """

    def __init__(self, folder: Path | None) -> None:
        self._folder = None if folder is None else folder / FOLDER
        self._stack = contextlib.ExitStack()

    def __enter__(self) -> Self:
        if self._folder is None:
            self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory()))
        self._folder.mkdir(exist_ok=True)
        return self

    def __exit__(self, *error: object) -> None:
        self._stack.close()

    def get(self, key: RunKey) -> bytes | None:
        """The state of a run; None if there is none."""
        try:
            return self._path(key).read_bytes()
        except FileNotFoundError:
            return None

    def put(self, key: RunKey, state: bytes) -> None:
        """Keeps the state of a run."""
        with replacing(self._path(key)) as partial:
            partial.write_bytes(state)

    def clear(self) -> None:
        """Deletes all states."""
        for path in self._entered.iterdir():
            path.unlink()
        self._entered.rmdir()

    @property
    def _entered(self) -> Path:
        if self._folder is None:
            raise ValueError("states must be entered first")
        return self._folder

    def _path(self, key: RunKey) -> Path:
        rate = f"{key.learning_rate!r}"
        return self._entered / f"{key.num_steps}-{key.state}-{rate}-{key.seed}.npz"
