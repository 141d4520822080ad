"""Folders that results are written to."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

from tf_rnn.files import CONFIG, LOCK, as_path, claim_folder, is_there
from tf_rnn.lock import made_and_held
from tf_rnn.options import OptionError

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path


@contextlib.contextmanager
def results_folder(out: str | os.PathLike[str], identity: dict[str, Any]) -> Iterator[Path]:
    """Makes, locks and claims a folder for the results of one configuration.

    Args:
        out: The folder; it may hold results of the same configuration.
        identity: The configuration.

    Yields:
        The folder's absolute path. A new one is removed again after an OptionError.

    Raises:
        OptionError: For `out`, if it is no folder that can be written, holds results of another
            configuration, or another command is writing to it.
    """
    with made_and_held("out", as_path("out", out)) as folder:
        is_new = not is_there(folder, CONFIG)
        try:
            claim_folder(folder, identity)
            yield folder
        except OptionError:
            # Once there are results beside it, it says whose they are.
            if is_new and {path.name for path in folder.iterdir()} <= {CONFIG, LOCK}:
                (folder / CONFIG).unlink(missing_ok=True)
            raise
