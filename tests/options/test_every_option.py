"""Every declared option: what is allowed is taken, all else is refused with one sentence everywhere.

The good and the bad values are made from each option's rule, so that an option that is added is tested.
"""

from __future__ import annotations

import dataclasses
import inspect
import json
from pathlib import Path as FilePath
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
import pytest
from command_helpers import assert_fails, files
from model_helpers import made_up_text

import tf_rnn
from tf_rnn.__main__ import COMMANDS
from tf_rnn.cli.parser import Parser
from tf_rnn.experiment import Experiment
from tf_rnn.options import LARGEST_WIDTH, SUITS_TASK, GraphOptions, Option, OptionError, declared
from tf_rnn.options.declared import (
    COMPARE_OPTIONS,
    GRAPH_OPTIONS,
    HELD_BY_DTYPE,
    LAGS_OPTIONS,
    LENGTH_OPTIONS,
    NETWORK_OPTIONS,
    RECOMMEND_OPTIONS,
    SETUP_OPTIONS,
    TASK_OPTIONS,
    TRAINING_OPTIONS,
    WORKER_OPTIONS,
)
from tf_rnn.options.rules import (
    Choice,
    Encoding,
    EscapedText,
    Flag,
    GrowingWidth,
    ListOf,
    Names,
    NpzFile,
    Number,
    OptionFile,
    OrNone,
    Path,
    Rule,
    Scheduler,
    Text,
    Whole,
    Widths,
    WordOrWhole,
)
from tf_rnn.options.words import TASKS as TASK_NAMES
from tf_rnn.run_config import RUN_OPTIONS, options_of_run
from tf_rnn.setup import Setup
from tf_rnn.tasks import TASKS
from tf_rnn.training_run import prepared_resume

if TYPE_CHECKING:
    from collections.abc import Callable


class Example(NamedTuple):
    """A value in Python, and as it is typed; None where it cannot be typed."""

    value: Any
    words: str | list[str] | None = None


def whole(rule: Whole) -> tuple[list[Example], list[Example]]:
    least = rule.at_least
    good = [Example(least, f"{least}"), Example(np.int64(least + 1), f" {least + 1}")]
    bad = [Example(least - 1, f"{least - 1}"), Example("x", "x"), Example("1.5", "1.5"), Example("", "")]
    bad += [Example(value) for value in (1.5, True, None, [1], np.array([1]))]
    if rule.at_most:
        bad.append(Example(rule.at_most + 1, f"{rule.at_most + 1}"))
    return good, bad


def number(rule: Number) -> tuple[list[Example], list[Example]]:
    good = [Example(0.5, "0.5"), Example(np.float32(0.25), "2.5e-1")]
    bad = [Example("x", "x"), Example(float("inf"), "inf"), Example(float("-inf"))]
    bad += [Example(value) for value in (True, None, 1j, float("nan"), np.array([0.5]), 10**400)]
    limits = [(rule.above, 0.0), (rule.below, 0.0), (rule.at_least, -1e-9)]
    for value in (limit + step for limit, step in limits if limit is not None):
        bad.append(Example(float(value), repr(float(value))))
    return good, bad


def choice(rule: Choice) -> tuple[list[Example], list[Example]]:
    good = [Example(word, word) for word in rule.allowed] + [Example(np.str_(rule.allowed[0]))]
    return good, [Example("strange", "strange"), Example("", ""), Example(3), Example(None)]


def flag(_: Flag) -> tuple[list[Example], list[Example]]:
    return [Example(True), Example(False)], [Example(1), Example("yes"), Example(None)]


def word_or_whole(rule: WordOrWhole) -> tuple[list[Example], list[Example]]:
    good = [Example(3, "3"), *(Example(word, word) for word in rule.words)]
    return good, [Example(0, "0"), Example("root", "root")]


def or_none(rule: OrNone) -> tuple[list[Example], list[Example]]:
    good, bad = examples(rule.rule)
    return [*good, Example(None, "off")], [example for example in bad if example.value is not None]


def list_of(rule: ListOf) -> tuple[list[Example], list[Example]]:
    good, bad = examples(rule.rule)
    typed = [example for example in good if isinstance(example.words, str)]
    pair = Example([example.value for example in typed[:2]], [str(example.words) for example in typed[:2]])
    refused = [
        Example([typed[0].value, value], [str(typed[0].words), words])
        for value, words in bad
        if isinstance(words, str)
    ]
    good = [pair, Example(tuple(pair.value)), Example(np.array(pair.value))]
    if rule.distinct:
        refused.append(Example([pair.value[0]] * 2, [str(typed[0].words)] * 2))
    no_lists: list[Any] = [[], 3, "x3", range(0), np.array(3)]
    refused += map(Example, no_lists)
    return good, refused


def names(_: Names) -> tuple[list[Example], list[Example]]:
    good = [Example(["a", "b c"], ["a", "b c"]), Example(("a",), ["a"]), Example("a")]
    return good, [Example([]), Example(["a", ""], ["a", ""]), Example(3), Example([3]), Example(None)]


def widths(rule: Widths) -> tuple[list[Example], list[Example]]:
    good, bad = list_of(ListOf(Whole(at_most=rule.at_most)))
    good += [Example(range(2, 9, 3)), Example("1:64:log2", ["1:64:log2"]), Example("3:6")]
    good += [Example([3, "5:50:5"], ["3", "5:50:5"])]
    words = ("6:3", "0:4", "1:8:0", "1:8:log3", "1:8:2:2", "1:x", ":", f"1:{rule.at_most + 1}")
    return good, [*bad, *(Example([word], [word]) for word in words)]


def growing_width(rule: GrowingWidth) -> tuple[list[Example], list[Example]]:
    good = [Example((5, 20, 50), "5:20:50"), Example([1, rule.at_most], f"1:{rule.at_most}")]
    good += [Example(np.array([3, 7])), Example(range(3, 12, 4))]
    words = ("5", "5:5", "20:5", "0:5", "5:x", "", f"1:{rule.at_most + 1}")
    return good, [*(Example(word, word) for word in words), Example(5), Example([5])]


def text(_: Text) -> tuple[list[Example], list[Example]]:
    return [Example("a b", "a b"), Example(FilePath("a"), "a")], [Example(3), Example(None)]


def encoding(_: Encoding) -> tuple[list[Example], list[Example]]:
    good = [Example("utf-8", "utf-8"), Example("latin-1", "latin-1"), Example("UTF-16", "UTF-16")]
    wrong = ("latin-99", "zip", "a\0", "")
    return good, [*(Example(word, word) for word in wrong), Example(3), Example(None)]


def escaped_text(_: EscapedText) -> tuple[list[Example], list[Example]]:
    good = [Example("a b", "a b"), Example("\n\r\t", r"\n\r\t"), Example("\\n\\é", r"\\n\é")]
    return good, [Example("", ""), Example(3), Example(None), Example(FilePath("a"))]


def path(_: Path | OptionFile) -> tuple[list[Example], list[Example]]:
    good = [Example("x[/b]", "x[/b]"), Example(FilePath("a"), "a")]
    return good, [Example("", ""), Example("a\0", "a\0"), Example("\udcff", "\udcff"), Example(3)]


def npz_file(_: NpzFile) -> tuple[list[Example], list[Example]]:
    good = [Example("x[/b].npz", "x[/b].npz"), Example(FilePath("a/b.npz"), "a/b.npz")]
    return good, [*(Example(word, word) for word in ("", "a", ".npz", "a.npy", "a\0.npz")), Example(3)]


def scheduler(_: Scheduler) -> tuple[list[Example], list[Example]]:
    good = [Example("local", "local"), Example("tcp://host:8786", "tcp://host:8786")]
    wrong = ("", "here", "tcp://host", "tcp://host:x", "http://host:8786", "tcp://host:8786/x")
    return good, [*(Example(word, word) for word in wrong), Example(3), Example(None)]


MAKERS: dict[type[Rule], Callable[[Any], tuple[list[Example], list[Example]]]] = {
    Whole: whole,
    Number: number,
    Choice: choice,
    Flag: flag,
    WordOrWhole: word_or_whole,
    OrNone: or_none,
    ListOf: list_of,
    Names: names,
    GrowingWidth: growing_width,
    Widths: widths,
    Text: text,
    Encoding: encoding,
    EscapedText: escaped_text,
    OptionFile: path,
    Path: path,
    NpzFile: npz_file,
    Scheduler: scheduler,
}


def examples(rule: Rule) -> tuple[list[Example], list[Example]]:
    """Good and bad values of a rule."""
    return MAKERS[type(rule)](rule)


def good(option: Option) -> list[Example]:
    return examples(option.rule)[0]


def bad(option: Option) -> list[Example]:
    return examples(option.rule)[1]


def refusal(make: Callable[[], Any]) -> str:
    """What a refused call says."""
    with pytest.raises(OptionError) as caught:
        make()
    return str(caught.value)


def every_declared() -> dict[str, Option]:
    """All declarations, by where they stand."""
    found = {}
    for group, value in vars(declared).items():
        if isinstance(value, Option):
            found[group] = value
        elif group.isupper() and isinstance(value, dict):
            found |= {f"{group}.{name}": option for name, option in value.items()}
    return found


EVERY = every_declared()


# --- values and words -----------------------------------------------------------------------------


def test_good_values_become_plain_python_that_json_can_hold() -> None:
    for where, option in EVERY.items():
        for value, words in good(option):
            found = option.check(value)
            assert type(found) in (int, float, str, bool, tuple, type(None), type(FilePath())), where
            again = option.check(json.loads(json.dumps(found, default=str)))
            assert again == found, f"{where}: {again!r}, not {found!r}"
            parsed = found if words is None else option.parse(words)
            assert parsed == found, f"{where}: {parsed!r}, not {found!r}"


def test_bad_values_are_refused_in_the_same_words_when_typed() -> None:
    for option in EVERY.values():
        for value, words in bad(option):
            problem = refusal(lambda: option.check(value))  # noqa: B023
            assert problem.startswith(f"{option.name} must "), problem
            assert "\n" not in problem
            assert len(problem) < 400
            if words is not None:
                assert refusal(lambda: option.parse(words)) == problem  # noqa: B023


def test_defaults_are_allowed_and_helps_are_lines() -> None:
    for where, option in EVERY.items():
        if option.default is not None and option.default is not SUITS_TASK:
            assert option.check(option.default) == option.default, where
        assert "\n" not in option.description
        assert not option.help.endswith("."), option.help


# --- the same in Python ---------------------------------------------------------------------------

BLOCK: dict[str, Any] = {"num_steps": 4, "batch_size": 3, "input_size": 5, "num_classes": 2}


def task_of(option: Option) -> str:
    return option.only[1][0] if option.only and option.only[0] == "task" else "echo"


def test_a_setup_takes_and_refuses_what_is_declared() -> None:
    for name, option in SETUP_OPTIONS.items():
        if name == "task":
            continue
        task = task_of(option)
        for value, _ in bad(option):
            made = refusal(lambda: Setup.of(task=task, **{name: value}))  # noqa: B023
            assert made == refusal(lambda: option.check(value))  # noqa: B023
        for value, _ in good(option):
            if name == "tied" and value:
                continue
            setup = Setup.of(task=task, **{name: value})
            held = setup.task_options if name in TASK_OPTIONS else vars(setup) | setup.cell_options
            assert held[name] == option.check(value), name


def test_graph_options_take_and_refuse_what_is_declared() -> None:
    names = {field.name for field in dataclasses.fields(GraphOptions)}
    for name in names - {"loss_steps", "quantiles"}:  # these depend on num_steps and on the loss
        option = GRAPH_OPTIONS[name]
        for value, _ in bad(option):
            made = refusal(lambda: GraphOptions(**{**BLOCK, name: value}))  # noqa: B023
            assert made == refusal(lambda: option.check(value))  # noqa: B023
        given = {**BLOCK, "dtype": "float64", name: good(option)[0].value}
        assert getattr(GraphOptions(**given), name) == good(option)[0].value, name


BOARD = {declared.TENSORBOARD.name: declared.TENSORBOARD}
VERBS: dict[str, tuple[Callable[..., Any], dict[str, Option]]] = {
    "prepare": (Experiment.prepare, {**LENGTH_OPTIONS, **TRAINING_OPTIONS, "patience": declared.PATIENCE}),
    "compare": (Experiment.compare, COMPARE_OPTIONS | WORKER_OPTIONS | BOARD),
    "recommend": (Experiment.recommend, RECOMMEND_OPTIONS | WORKER_OPTIONS | BOARD),
    "lags": (Experiment.lags, LAGS_OPTIONS),
}


@pytest.mark.parametrize("verb", VERBS)
def test_the_arguments_of_a_verb_are_the_declared_options(verb: str) -> None:
    call, options = VERBS[verb]
    found = inspect.signature(call).parameters
    assert {*found} - {"self", "command", "callbacks", "start_from"} == {*options, "out"}
    for name, option in options.items():
        if option.only is None and found[name].default is not None:
            assert found[name].default == option.default, name


@pytest.mark.parametrize("verb", VERBS)
def test_a_verb_refuses_what_is_declared_before_anything_is_written(
    verb: str, tmp_path: FilePath, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    experiment, (call, options) = Experiment("echo", batch_size=7), VERBS[verb]
    for name, option in options.items():
        for value, _ in bad(option):
            if value is not None:
                made = refusal(lambda: call(experiment, **{name: value}, out="out"))  # noqa: B023
                assert made == refusal(lambda: option.check(value))  # noqa: B023
    assert list(tmp_path.iterdir()) == []


def test_fields_have_the_declared_defaults() -> None:
    for field in dataclasses.fields(Setup):
        if field.name in NETWORK_OPTIONS:
            assert field.default == NETWORK_OPTIONS[field.name].default, field.name
    names = {*NETWORK_OPTIONS, "task", "task_options", "cell_options"}
    assert {field.name for field in dataclasses.fields(Setup)} == names


def test_options_of_tasks_are_those_of_their_constructors() -> None:
    for name, option in TASK_OPTIONS.items():
        assert option.only
        takers = [task for task, kind in TASKS.items() if name in inspect.signature(kind).parameters]
        assert [*option.only[1]] == takers
        for task in TASKS:
            if task not in takers:
                problem = refusal(lambda: Setup.of(task=task, **{name: good(option)[0].value}))  # noqa: B023
                problem, _, _ = problem.partition("; did you mean ")
                assert problem == f"{name} must be left out unless task is {' or '.join(takers)}"
    assert tuple(TASKS) == TASK_NAMES


# --- the same on the command line -----------------------------------------------------------------

NEEDED = {
    "evaluate": ["DIR"],
    "forecast": ["DIR"],
    "label": ["DIR"],
    "sample": ["DIR"],
    "export": ["DIR", "OUT"],
    "import": ["DIR", "OUT"],
}


def parser_of(command: str) -> Parser:
    parser = Parser(prog="tf_rnn")
    COMMANDS[command].add_options(parser)
    return parser


def options_of(command: str) -> dict[str, Option]:
    """The options of a command that take a value, by name."""
    actions = parser_of(command)._actions
    return {
        action.dest: action.option
        for action in actions
        if action.option_strings and hasattr(action, "option")
    }


def typed(option: Option, words: str | list[str]) -> list[str]:
    if isinstance(words, str):  # as one word, since it may begin with a dash
        return [f"{option.flag}={words}"]
    return [option.flag, *words]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_command_refuses_what_is_declared_and_leaves_nothing_behind(
    command: str, tmp_path: FilePath, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """One of the bad values of each option: the first, the second and so on in turns."""
    monkeypatch.chdir(tmp_path)
    for turn, option in enumerate(options_of(command).values()):
        wrong = [example.words for example in bad(option) if example.words is not None]
        if not wrong:
            continue
        words = wrong[(turn + [*COMMANDS].index(command)) % len(wrong)]
        problem = refusal(lambda: option.parse(words))  # noqa: B023
        line = assert_fails([command, *NEEDED.get(command, []), *typed(option, words)], 2, capsys)
        assert line == f"tf_rnn {command}: error: {option.flag}{problem.removeprefix(option.name)}"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("task", TASKS)
def test_python_and_command_line_give_the_same_network(task: str) -> None:
    given = vars(parser_of("train").parse_args(["--task", task]))
    assert Setup.of(**given) == Setup(task=task)
    words = ["--task", task, "--state-size", "7", "--clip-norm", "off", "--style", "adaptive"]
    given = vars(parser_of("train").parse_args([*words, "--tolerance", "0.3"]))
    by_hand = Setup(task=task, state_size=7, clip_norm=None, style="adaptive", tolerance=0.3)
    assert Setup.of(**given) == by_hand
    assert (by_hand.clip_norm, by_hand.tolerance) == (None, 0.3)


TOO_LARGE = {
    "a number that float32 lacks": (HELD_BY_DTYPE, "1e39", "must be a number that float32 has, got 1e+39"),
    "a graph that is too long": (
        ("num_steps",),
        f"{LARGEST_WIDTH + 1}",
        f"must be a whole number of at most {LARGEST_WIDTH}, got {LARGEST_WIDTH + 1}",
    ),
    "weights that no machine holds": (("state_size",), "2000000000", "must be smaller: "),
}


@pytest.mark.parametrize("command", ["train", "compare", "recommend", "lags"])
def test_what_no_graph_can_hold_is_refused_before_anything_is_written(
    command: str, tmp_path: FilePath, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for names, word, problem in TOO_LARGE.values():
        for name in names:
            if name == "state_size" and command in ("compare", "recommend"):
                continue  # these two would build the graph in a worker process
            flag = "--" + name.replace("_", "-")
            after = 1 if command == "train" and name == "state_size" else 0  # the baselines
            line = assert_fails([command, "--cell", "lstm", flag, word], 2, capsys, after=after)
            assert line.startswith(f"tf_rnn {command}: error: {flag} {problem}"), line
    assert list(tmp_path.iterdir()) == []


# --- the same for a resumed run -------------------------------------------------------------------


@pytest.fixture(scope="module")
def kept(tmp_path_factory: pytest.TempPathFactory) -> FilePath:
    """A run of one training step."""
    folder = tmp_path_factory.mktemp("every")
    (folder / "text.txt").write_text(made_up_text(400), encoding="utf-8")
    experiment = Experiment("text", data=folder / "text.txt", state_size=3, batch_size=4)
    experiment.train(5, updates=1, out=folder / "run", callbacks=())
    return folder / "run"


def other(option: Option, before: Any) -> list[Example]:
    """An allowed value other than the one of the run, if it can be typed."""
    found = [example for example in good(option) if example.words is not None]
    return [example for example in found if option.check(example.value) != before][:1]


def test_a_resumed_run_keeps_what_must_stay(kept: FilePath, capsys: pytest.CaptureFixture[str]) -> None:
    config = json.loads((kept / "config.json").read_text(encoding="utf-8"))
    started_with, before = options_of_run(config), files(kept)
    for name, option in RUN_OPTIONS.items():
        if option.may_change:
            assert name not in started_with, name
            if name not in ("data", "encoding", "batch_size", "num_steps"):  # which the data have to allow
                for value, _ in good(option):
                    assert prepared_resume(kept, {name: value}).folder == kept, (name, value)
            continue
        if name in started_with and name != "tied":
            prepared_resume(kept, {name: started_with[name]})
        for value, words in other(option, started_with.get(name)):
            problem = refusal(lambda: tf_rnn.resume(kept, **{name: value}))  # noqa: B023
            must = f"stay {started_with[name]!r} in" if name in started_with else "be left out with"
            assert problem.startswith(f"{name} must {must} "), problem
            line = assert_fails(["train", "--resume", str(kept), *typed(option, words or "")], 2, capsys)
            shown = problem.removeprefix(name).replace(" with resume", " with --resume")
            assert line == f"tf_rnn train: error: {option.flag}{shown}"
    assert files(kept) == before
