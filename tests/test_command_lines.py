"""Any command line at all: it does its work or says in one line what is wrong, and writes where it was told.

What is typed is derived from the commands' own parsers: an option that is added is searched, too.
"""

from __future__ import annotations

import argparse
import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workplace import (
    EXPORTED,
    KEPT,
    OUT,
    TEXTS,
    assert_well_ended,
    copied,
    furnish,
    little_work,
)

from tf_rnn.__main__ import COMMANDS
from tf_rnn.cli import launch
from tf_rnn.cli.options import path as type_of_paths

if TYPE_CHECKING:
    from collections.abc import Iterator

SMALL = {"--state-size": "3", "--batch-size": "5", "--num-steps": "3", "--seeds": "1", "--length": "9"}
BIG = "1" + 30 * "0"
FEW = st.integers(-1, 7).map(str)
ODD = ("0.1", "0.5", "0.9999999999999999", "1.5", "1e-320", "1e308", "1e3", "nan", "inf", "-inf", "sqrt", "")
ODDER = (BIG, str(2**31), str(2**63), "9" * 5000, "0x10", "1_0", " 3", "٣", "-0", "+2")
NUMBERS = FEW | st.sampled_from([*ODD, *ODDER])
STRANGE = st.text(st.characters(exclude_characters="/", exclude_categories=()), max_size=6)
# What may be made lies in these; the rest is there already, or can be no folder.
NEW = (OUT, "new", f"{OUT}/deeper", f"{OUT}/b\udcff", f"{OUT}/a\nb", f"{OUT}/*")
OLD = (KEPT, EXPORTED, *TEXTS, "missing", f"{KEPT}/checkpoints", "text.txt/under", "", "a" * 300, "/dev/null")
PATHS = st.sampled_from([*NEW, *OLD]) | STRANGE.filter(lambda name: name not in (".", "..")).map(
    f"{OUT}/".__add__
)
# A good line of `recommend` takes seconds, whatever its sizes: it is searched with the slow tests alone.
QUICK = [name for name in COMMANDS if name != "recommend"]
# What commands need: one that is as it should be.
NEEDED = {"folder": [KEPT], "exported": [EXPORTED], "out": [OUT]}


def actions(command: str) -> list[argparse.Action]:
    """What a command takes."""
    parser = argparse.ArgumentParser()
    COMMANDS[command].add_options(parser)
    return [action for action in parser._actions if action.dest != "help"]


def values(action: argparse.Action) -> st.SearchStrategy[str]:
    """What may be typed as the value of an option: as a rule what it takes, else anything."""
    if action.choices is not None:
        return st.sampled_from([*action.choices, *action.choices, "strange"]) | STRANGE
    if action.type is type_of_paths:
        return PATHS
    return NUMBERS if action.type is not None else st.sampled_from(TEXTS) | STRANGE | NUMBERS


def typed(action: argparse.Action) -> st.SearchStrategy[list[str]]:
    """An option as it may be typed, its value or values with it."""
    if action.nargs == 0:
        return st.just([action.option_strings[0]])
    most = 3 if action.nargs == "+" else 1
    found = st.lists(values(action), min_size=1, max_size=most)
    if not action.option_strings:
        return found
    return found.map(lambda words: [action.option_strings[0], *words])


@st.composite
def lines(draw: st.DrawFn, command: str) -> list[str]:
    """A command line: small sizes, what it needs, and some options more."""
    taken = actions(command)
    names = {name for action in taken for name in action.option_strings}
    words = [command]
    for action in taken:
        if not action.option_strings:
            words += draw(
                typed(action) | st.just({"folder": [KEPT], "exported": [EXPORTED]}.get(action.dest, [OUT]))
            )
    words += [word for name, value in SMALL.items() if name in names for word in (name, value)]
    options = [action for action in taken if action.option_strings]
    for action in draw(st.lists(st.sampled_from(options), max_size=4)) if options else ():
        words += draw(typed(action))
    return words


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("furnished")
    furnish(folder)
    return folder


@pytest.fixture(autouse=True)
def _little_work() -> Iterator[None]:
    with little_work():
        yield


def search(command: str, furnished: Path, profile: settings) -> None:
    """Tries lines of a command; some must be good, some bad, or nothing was tried.

    Of `launch` all are bad: the command that it hands on is no option of its own, and good ones start
    processes, as other tests do.
    """
    statuses = set()
    places = [action.dest for action in actions(command) if not action.option_strings]

    @settings(profile)
    @given(lines(command))
    def line_ends_well(words: list[str]) -> None:
        named = [Path(after).parts[:1] for word, after in itertools.pairwise(words) if word == "--out"]
        named += [
            Path(word).parts[:1] for dest, word in zip(places, words[1:], strict=False) if dest == "out"
        ]
        may_write = {OUT, "new", "results", *itertools.chain(*named)} - {KEPT, EXPORTED}
        may_write |= {KEPT} if "--resume" in words else set()
        with copied(furnished) as place:
            statuses.add(assert_well_ended(words, place, may_write).status)

    line_ends_well()
    assert statuses >= ({2} if command == launch.NAME else {0, 2}), statuses


@pytest.mark.parametrize("command", QUICK)
def test_any_line_is_done_or_refused_in_one_line(furnished: Path, command: str) -> None:
    search(command, furnished, settings(settings.get_profile("quick"), max_examples=12))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_any_of_many_lines_is_done_or_refused_in_one_line(furnished: Path, command: str) -> None:
    search(command, furnished, settings(settings.get_profile("wide"), max_examples=80))
