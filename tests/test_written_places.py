"""What commands write lies in the folder that they were told, and in no other: each in its own process."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

import pytest
from command_helpers import finished
from model_helpers import made_up_text
from workplace import REMEMBERED

if TYPE_CHECKING:
    from pathlib import Path

SMALL = ["--state-size", "3", "--batch-size", "10"]
TINY = [*SMALL, "--num-steps", "3", "--seeds", "1", "--workers", "1"]
# In the order in which they need each other, with what they write.
LINES = (
    (["train", "--task", "text", "--data", "text.txt", *SMALL, "--num-steps", "4", "--out", "run"], "run"),
    (["train", "--resume", "run", "--epochs", "11"], "run"),
    (["evaluate", "run"], None),
    (["sample", "run", "--length", "9"], None),
    (["export", "run", "model"], "model"),
    (["import", "model", "again"], "again"),
    (["lags", *SMALL, "--num-steps", "3", "--tokens", "600", "--out", "lags"], "lags"),
    (["recommend", *TINY, "--tokens", "600", "--out", "advice"], "advice"),
    (["compare", *TINY, "--amount", "600", "--state", "carry", "--out", "sweep"], "sweep"),
)


def below(folder: Path) -> dict[str, tuple[int, int]]:
    """All that is in a folder, with what tells whether it was touched."""
    facts = ((path, path.lstat()) for path in sorted(folder.rglob("*")) if not path.is_dir())
    return {str(path.relative_to(folder)): (fact.st_size, fact.st_mtime_ns) for path, fact in facts}


@pytest.mark.slow
def test_every_command_writes_where_it_is_told(tmp_path: Path) -> None:
    place, home, temporary = (tmp_path / name for name in ("place", "home", "temporary"))
    for folder in (place, home, temporary):
        folder.mkdir()
    (place / "text.txt").write_text(made_up_text(900), encoding="utf-8")
    environment = {"HOME": str(home), "TMPDIR": str(temporary), "XDG_CACHE_HOME": "", "XDG_CONFIG_HOME": ""}
    for words, written in LINES:
        before = below(place)
        finished(words, place, env=os.environ | environment)
        after = below(place)
        changed = {name for name in {*before, *after} if before.get(name) != after.get(name)}
        tops = {name.split("/")[0] for name in changed}
        assert tops == ({written} if written else set()), f"{words}: {sorted(changed)}"
        assert list(temporary.rglob("*")) == [], words
        strange = [name for name in below(home) if not name.startswith(REMEMBERED)]
        assert strange == [], words
