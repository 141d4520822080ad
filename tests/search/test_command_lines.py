"""Any command line at all: it does its work or says in one line what is wrong, and writes where it was told.

What is typed is derived from the commands' own parsers: an option that is added is searched, too.
"""

from __future__ import annotations

import contextlib
import functools
import itertools
from pathlib import Path
from typing import TYPE_CHECKING, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from workplace import EXPORTED, KEPT, OUT, TEXTS, assert_well_ended, copied, furnish, little_work

from tf_rnn.__main__ import COMMANDS
from tf_rnn.cli.parser import Parser
from tf_rnn.options import OptionError
from tf_rnn.options.rules import Choice, NpzFile, Text
from tf_rnn.options.rules import Path as FolderRule

if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator

    from tf_rnn.options.rules import Rule

SMALL = {"--state-size": "3", "--batch-size": "5", "--num-steps": "3", "--seeds": "1", "--length": "9"}
BIG = "1" + 30 * "0"
FEW = st.integers(-1, 7).map(str)
ODD = (
    *("1e-320", "0.5", "0.9999999999999999", "1.5", "1e3", "nan", "inf", "-inf", "sqrt", "off", "", "0x10"),
    *("1_0", " 3", "٣", "-0", "+2", "1e308", str(2**31), str(2**63), BIG, "9" * 5000),
    *("1:8:log2", "7:2:2", "2:6:2"),
)
NUMBERS = FEW | st.sampled_from(ODD)
STRANGE = st.text(st.characters(exclude_characters="/", exclude_categories=()), max_size=6)
# What may be made lies in these; the rest is there already, or can be no folder.
NEW = (OUT, "new", f"{OUT}/deeper", f"{OUT}/b\udcff", f"{OUT}/a\nb", f"{OUT}/*")
OLD = (KEPT, EXPORTED, *TEXTS, "missing", f"{KEPT}/checkpoints", "text.txt/under", "", "a" * 300, "/dev/null")
PATHS = st.sampled_from([*NEW, *OLD]) | STRANGE.filter(lambda name: name not in (".", "..")).map(
    f"{OUT}/".__add__
)
ARCHIVES = st.sampled_from(
    ["new.npz", "new.npz", "here.npz", "missing/new.npz", "pipe", "text.txt", "/dev/null"]
)
# Options that name a file to be written.
WRITTEN = ("--write", "--export-echo")
# What a command can end with; a good line of `launch` would start processes, and only bad ones are made. The
# kept model is of language, which `forecast` and `label` refuse.
STATUSES = {name: {2} if name in ("launch", "forecast", "label") else {0, 2} for name in COMMANDS}


@functools.cache
def actions(command: str) -> list[argparse.Action]:
    """What a command takes."""
    parser = Parser()
    COMMANDS[command].add_options(parser)
    return [action for action in parser._actions if action.dest != "help"]


def places_of(command: str) -> list[argparse.Action]:
    """What stands in a place of its own and must be given."""
    return [action for action in actions(command) if not action.option_strings and action.nargs != "*"]


def options_of(command: str) -> list[argparse.Action]:
    """What may be left out."""
    return [action for action in actions(command) if action.option_strings or action.nargs == "*"]


def fitting(action: argparse.Action) -> str:
    """What a place needs: one that is as it should be."""
    return {"folder": KEPT, "exported": EXPORTED}.get(action.dest, OUT)


def rule_of(action: argparse.Action) -> Rule | None:
    """What a value may be; None where there is no value."""
    rule = getattr(getattr(action, "option", None), "rule", None)
    while rule is not None and hasattr(rule, "rule"):  # a list's, or one that may be off
        rule = rule.rule
    return cast("Rule | None", rule)


def values(action: argparse.Action) -> st.SearchStrategy[str]:
    """What may be typed as the value of an option: as a rule what it takes, else anything."""
    rule = rule_of(action)
    if isinstance(rule, Choice):
        return st.sampled_from([*rule.allowed, *rule.allowed, "strange", "off"]) | STRANGE
    if isinstance(rule, FolderRule):
        return PATHS
    if isinstance(rule, NpzFile):
        return ARCHIVES
    return st.sampled_from(TEXTS) | STRANGE | NUMBERS if isinstance(rule, Text) else NUMBERS


def typed(action: argparse.Action) -> st.SearchStrategy[list[str]]:
    """An option as it may be typed, its value or values with it."""
    if action.nargs == 0:
        return st.just([action.option_strings[0]])
    most = 3 if action.nargs in ("+", "*") else 1
    found = st.lists(values(action), min_size=1, max_size=most)
    if not action.option_strings:
        return found
    return found.map(lambda words: [action.option_strings[0], *words])


def taken(action: argparse.Action) -> list[list[str]]:
    """An option with what it takes: all words, or the last of the odd numbers."""
    option, flag = action.option, action.option_strings[0]  # type: ignore[attr-defined]
    rule = rule_of(action)
    if isinstance(rule, FolderRule):
        return [[flag, value] for value in (*NEW[1:], TEXTS[0], EXPORTED)]
    if isinstance(rule, NpzFile):
        return [[flag, value] for value in ("new.npz", "here.npz")]
    if isinstance(rule, Choice):
        return [[flag, value] for value in rule.allowed]
    if isinstance(rule, Text):
        return [[flag, value] for value in TEXTS]
    found = []
    for value in ODD:
        with contextlib.suppress(OptionError):
            option.parse([value] if action.nargs == "+" else value)
            found.append([flag, value])
    return found[-1:]


def needed_by(action: argparse.Action) -> list[str]:
    """What makes an option one that may be given."""
    only = action.option.only  # type: ignore[attr-defined]
    words = [f"--{only[0].replace('_', '-')}", only[1][0]] if only else []
    return [*words, "--data", "text.txt"] if words[1:] == ["text"] else words


def sizes(command: str) -> list[str]:
    """Small ones, of those that a command takes."""
    names = {name for action in options_of(command) for name in action.option_strings}
    return [*itertools.chain(*(pair for pair in SMALL.items() if pair[0] in names))]


def writable(words: list[str]) -> set[str]:
    """What a line may make or change if it is good, by the names in the current folder."""
    named = [after for word, after in itertools.pairwise(words) if word in ("--out", *WRITTEN)]
    places = zip(places_of(words[0]), words[1:], strict=False)
    named += [word for action, word in places if action.dest == "out"]
    made = {part for word in named for part in Path(word).parts[:1]}
    resumed = {KEPT} if "--resume" in words else set()
    return ({OUT, "new", "results"} | made) - {KEPT, EXPORTED} | resumed


@st.composite
def lines(draw: st.DrawFn, command: str) -> list[str]:
    """A command line: small sizes, what it needs, and some options more."""
    places = [typed(action) | st.just([fitting(action)]) for action in places_of(command)]
    words = [command, *itertools.chain(*(draw(place) for place in places)), *sizes(command)]
    options = options_of(command)
    for action in draw(st.lists(st.sampled_from(options), max_size=4)) if options else ():
        words += draw(typed(action))
    return words


@pytest.fixture(scope="module")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return furnish(tmp_path_factory.mktemp("furnished"))


@pytest.fixture(autouse=True)
def _little_work() -> Iterator[None]:
    with little_work():
        yield


def search(command: str, furnished: Path, profile: settings) -> None:
    """Tries lines of a command; some must be good, some bad, or nothing was tried."""
    statuses = set()

    @settings(profile)
    @given(lines(command))
    def line_ends_well(words: list[str]) -> None:
        with copied(furnished) as place:
            statuses.add(assert_well_ended(words, place, writable(words)).status)

    line_ends_well()
    assert statuses >= STATUSES[command], statuses


@pytest.mark.parametrize("command", COMMANDS)
def test_any_line_is_done_or_refused_in_one_line(furnished: Path, command: str) -> None:
    search(command, furnished, settings(settings.get_profile("quick"), max_examples=10))


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_any_of_many_lines_is_done_or_refused_in_one_line(furnished: Path, command: str) -> None:
    search(command, furnished, settings(settings.get_profile("wide"), max_examples=25))


def options_on_a_line(command: str) -> Iterator[tuple[list[str], list[list[str]]]]:
    """What some options need, and those options: in turns each with one of the values that it takes.

    A task that others need is met there.
    """
    by_need: dict[tuple[str, ...], list[list[list[str]]]] = {}
    for action in options_of(command):
        if hasattr(action, "option") and action.nargs not in (0, "*"):
            by_need.setdefault(tuple(needed_by(action)), []).append(taken(action))
    met = [["--task", need[1]] for need in by_need if need[:1] == ("--task",)]
    for need, options in by_need.items():
        for line in itertools.zip_longest(*options):
            if given := [words for words in line if words and words not in met]:
                yield list(need), given


def try_together(furnished: Path, needed: list[str], options: list[list[str]]) -> None:
    """Tries a line with all of some options; where it is refused, each half of them, down to one."""
    line = [*needed, *itertools.chain(*options)]
    with copied(furnished) as place:
        status = assert_well_ended(line, place, writable(line)).status
    if status == 2 and len(options) > 1:
        half = len(options) // 2
        try_together(furnished, needed, options[:half])
        try_together(furnished, needed, options[half:])


@pytest.mark.slow
@pytest.mark.parametrize("command", COMMANDS)
def test_each_option_with_what_it_takes(furnished: Path, command: str) -> None:
    """A search meets what is odd about one value by chance; `test_every_option` has what is refused.

    Several options share a line, so that some are met together; one that is refused there is tried alone.
    """
    needed = [command, *map(fitting, places_of(command)), *sizes(command)]
    for need, options in options_on_a_line(command):
        try_together(furnished, [*needed, *need], options)
