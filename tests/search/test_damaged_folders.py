"""Runs and exported models that somebody has damaged or made up: told in one line, nothing else touched."""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workplace import EXPORTED, KEPT, OUT, assert_well_ended, copied, furnish, little_work

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 9) | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
OF_A_RUN = (
    ["evaluate", KEPT, "--split", "test"],
    ["sample", KEPT, "--length", "5"],
    ["train", "--resume", KEPT, "--epochs", "2"],
    ["export", KEPT, OUT],
)
OF_A_MODEL = (["import", EXPORTED, OUT],)


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture(autouse=True)
def _little_work() -> Iterator[None]:
    with little_work():
        yield


def places(value: Any, at: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """Where in nested JSON there is something; the whole first."""
    parts = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [at, *(place for key, part in parts for place in places(part, (*at, key)))]


def replaced(value: Any, place: tuple[Any, ...], part: Any) -> Any:
    if not place:
        return part
    copy = dict(value) if isinstance(value, dict) else list(value)
    copy[place[0]] = replaced(value[place[0]], place[1:], part)
    return copy


@st.composite
def made_up(draw: st.DrawFn, place: Path, names: tuple[str, ...]) -> None:
    """Puts other JSON in place of a part of a file, or of the configuration in a checkpoint."""
    path = place / draw(st.sampled_from(names))
    arrays: dict[str, Any] = {}
    if path.suffix == ".npz":
        with np.load(path) as archive:
            arrays = dict(archive)
    value = json.loads(arrays["config"].tobytes() if arrays else path.read_text(encoding="utf-8"))
    for _ in range(draw(st.integers(1, 2))):
        value = replaced(value, draw(st.sampled_from(places(value))), draw(JSON))
    if arrays:
        np.savez(path, **arrays | {"config": np.frombuffer(json.dumps(value).encode(), np.uint8)})
    else:
        path.write_text(json.dumps(value), encoding="utf-8")


# Seen from a file of a checkpoint, as from one of the run itself somewhere above.
OUTSIDE = "../../../outside.txt"
CHECKPOINT = f"{KEPT}/checkpoints/checkpoint-000002.npz"


def instead(make: Callable[[Path], object]) -> Callable[[Path, bytes, int], object]:
    """Something else in place of a file."""

    def damage(path: Path, content: bytes, at: int) -> None:
        path.unlink()
        make(path)

    return damage


DAMAGES: dict[str, Callable[[Path, bytes, int], object]] = {
    "cut": lambda path, _, at: path.write_bytes(path.read_bytes()[: at % (path.stat().st_size + 1)]),
    "overwritten": lambda path, content, _: path.write_bytes(content),
    "longer": lambda path, content, _: path.write_bytes(path.read_bytes() + content + b"\0"),
    "gone": lambda path, _, __: path.unlink(),
    "a folder": instead(lambda path: path.mkdir()),
    "a pipe": instead(os.mkfifo),
    "a link": instead(lambda path: path.symlink_to("/dev/zero")),
    "a link out": instead(lambda path: path.symlink_to(OUTSIDE)),
    "a link to nothing": instead(lambda path: path.symlink_to("nothing")),
    "a link to itself": instead(lambda path: path.symlink_to(path.name)),
}


@st.composite
def damaged(draw: st.DrawFn, place: Path, names: tuple[str, ...]) -> None:
    """Damages a file of a folder."""
    folder = place / draw(st.sampled_from(names))
    path = draw(st.sampled_from([path for path in sorted(folder.rglob("*")) if path.is_file()]))
    damage = draw(st.sampled_from(list(DAMAGES)))
    DAMAGES[damage](path, draw(st.binary(max_size=9)), draw(st.integers(0, 2**20)))


def search(
    furnished: Path,
    lines: tuple[list[str], ...],
    spoil: Callable[[Path, tuple[str, ...]], st.SearchStrategy[None]],
    names: tuple[str, ...],
    profile: settings,
) -> None:
    """Spoils a copy and runs a command on it, again and again."""

    @settings(profile)
    @given(st.data())
    def any_damage_is_told(data: st.DataObject) -> None:
        words = data.draw(st.sampled_from(lines))
        with copied(furnished) as place:
            for _ in range(data.draw(st.integers(1, 2))):
                data.draw(spoil(place, names))
            assert_well_ended(words, place, [OUT, *([KEPT] if "--resume" in words else [])])

    any_damage_is_told()


SEARCHES: dict[str, tuple[Any, ...]] = {
    "a run, made up": (OF_A_RUN, made_up, (f"{KEPT}/config.json", CHECKPOINT)),
    "a run, damaged": (OF_A_RUN, damaged, (KEPT,)),
    "a model, made up": (OF_A_MODEL, made_up, (f"{EXPORTED}/config.json", f"{EXPORTED}/vocabulary.json")),
    "a model, damaged": (OF_A_MODEL, damaged, (EXPORTED,)),
}


@pytest.mark.parametrize("damages", [("a link", "a pipe"), ("overwritten", "overwritten")])
def test_what_has_no_end_is_written_anew_or_left(furnished: Path, damages: tuple[str, str]) -> None:
    """What the device gives is never read to its end, nor is a pipe that nobody writes to."""
    with copied(furnished) as place:
        path, typed = (place / KEPT / name for name in ("metrics.jsonl", "run.toml"))
        typed.touch()
        for damaged, damage, begin in zip((path, typed), damages, (b"", b"a = "), strict=True):
            DAMAGES[damage](damaged, begin + b"[" * 100_000, 0)
        resumed = assert_well_ended(["train", "--resume", KEPT, "--epochs", "2"], place, [OUT, KEPT])
        assert resumed.status == 0, resumed
        epochs = [json.loads(line)["epoch"] for line in path.read_text(encoding="utf-8").splitlines()]
        assert epochs == [1], epochs  # a little work ends in the first epoch


@pytest.mark.parametrize("case", SEARCHES)
def test_any_damage_is_told_in_one_line(furnished: Path, case: str) -> None:
    lines, spoil, names = SEARCHES[case]
    search(furnished, lines, spoil, names, settings(settings.get_profile("quick"), max_examples=5))


@pytest.mark.slow
@pytest.mark.parametrize("case", SEARCHES)
def test_much_damage_is_told_in_one_line(furnished: Path, case: str) -> None:
    lines, spoil, names = SEARCHES[case]
    search(furnished, lines, spoil, names, settings(settings.get_profile("wide"), max_examples=25))
