"""What every command promises: its files, their keys, the same again, and how it ends.

Each command runs once, in one process, on a few tokens. All names of files and
folders hold blanks, quotes and brackets, which shells and terminals treat specially.
"""

from __future__ import annotations

import contextlib
import csv
import io
import json
import os
import re
import resource
import shlex
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, NoReturn

import pytest
from command_helpers import (
    assert_light,
    command,
    ended,
    files,
    finished,
    run_main,
    workers_here,
)
from model_helpers import keep_run, made_up_text
from workplace import Ended, copied, is_remembered, listing, touched

from tf_rnn.__main__ import COMMANDS
from tf_rnn.cells import VanillaCell
from tf_rnn.cli.parser import Parser
from tf_rnn.options import LARGEST_WIDTH
from tf_rnn.reporting.page import REPORTS
from tf_rnn.tasks import Text

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Sequence

TEXT, RUN, MODEL, AGAIN = "it's a [text].txt", 'a "run" [/b]', "[old] model", "it's $back"
SIZES = ["--state-size", "3", "--batch-size", "10"]
# Learnt in so little training that there is an answer.
EASY = ["--lags", "1", "--effects", "0.5", "--learning-rate", "0.3", "--amount", "20000"]
ONE = ["--workers", "1"]
CARRIED = ["--state", "carry", "--seeds", "1"]
ECHO = [*SIZES, "--num-steps", "3", "--tokens", "600"]
SUMMARIES = {
    "summaries/events",
    "summaries/samples/events",
    "summaries/gradient_by_lag/update_00000000/events",
    "summaries/gradient_by_lag/update_00000005/events",
}
SAVED_MODEL = {
    "saved_model.pb",
    "variables/variables.data-00000-of-00001",
    "variables/variables.index",
}


class Line(NamedTuple):
    """A good command line.

    Attributes:
        words: The line, but for the folder that is written.
        out: That folder, None if nothing is written; the last word.
        files: What is in the folder afterwards.
        other: Options that make another configuration, which may not be written to the same folder.
        middle: A function that is called in the middle of the work.
        is_repeatable: Whether the same line may be given again.
        aside: What is in the folder for a repeated command only, and is not printed.
    """

    words: list[str]
    out: str | None = None
    files: Collection[str] = ()
    other: Sequence[str] = ()
    middle: str = ""
    is_repeatable: bool = True
    aside: Collection[str] = ("config.json",)

    @property
    def typed(self) -> list[str]:
        """All words."""
        return [*self.words, *([self.out] if self.out else [])]


# In the order in which they need each other.
LINES = {
    "train": Line(
        ["train", "--task", "text", "--data", TEXT, *SIZES, "--num-steps", "4", "--updates", "5", "--out"],
        RUN,
        {"config.json", "metrics.jsonl", "curve.csv", "curve.png", "run.toml", *REPORTS, *SUMMARIES}
        | {f"checkpoints/checkpoint-00000{number}.npz" for number in (1, 2)},
        middle="tf_rnn.training.loop.Evaluator",
        is_repeatable=False,
    ),
    "evaluate": Line(
        ["evaluate", RUN, "--json", "--split", "test"],
        middle="tf_rnn.inference.evaluation.ModelEvaluator.on",
    ),
    "sample": Line(["sample", RUN, "--length", "9", "--seed", "1"], middle="tf_rnn.inference.sampling._draw"),
    "export": Line(
        ["export", RUN],
        MODEL,
        {"README.md", "config.json", "signature.json", "vocabulary.json"}
        | {"model.keras", "model.safetensors", "model.weights.h5"}
        | {f"saved_model/{name}" for name in SAVED_MODEL},
        middle="tf_rnn.inference.exporting.write_saved_model",
        is_repeatable=False,
    ),
    "import": Line(
        ["import", MODEL],
        AGAIN,
        {"config.json", "metrics.jsonl", "checkpoints/checkpoint-000001.npz"},
        middle="tf_rnn.inference.keras_import.weights_of_keras",
        is_repeatable=False,
    ),
    "lags": Line(
        ["lags", *ECHO, "--out"],
        "lags '1' [b]",
        {"config.json", "lags.csv", "lags.json", "lags.png", *REPORTS, "run.toml"},
        ["--seed", "1"],
        "tf_rnn.analysis.study.measure_lags",
    ),
    "recommend": Line(
        ["recommend", *SIZES, *EASY, "--num-steps", "2", "3", "--seeds", "1", *ONE, "--out"],
        "advice [bold]",
        {f"recommendation.{kind}" for kind in ("csv", "json", "png")}
        | {"config.json", "results.json", *REPORTS, "run.toml"},
        ["--cell", "lstm"],
        "tf_rnn.comparison.recommending.completed",
        aside=("config.json", "results.json"),
    ),
    "compare": Line(
        ["compare", *SIZES, *CARRIED, "--num-steps", "2", "3", "--amount", "600", *ONE, "--out"],
        "[/] 'sweep'",
        {"config.json", "run.toml", *REPORTS, "results.csv", "results.json"}
        | {"cost.png", "curves.png", "loss.png"},
        ["--cell", "lstm"],
        "tf_rnn.comparison.comparing.completed",
    ),
}
WRITERS = [name for name, line in LINES.items() if line.out]
REPEATABLE = [name for name, line in LINES.items() if line.is_repeatable]


def below(folder: Path) -> set[str]:
    """The files of a folder; times and hosts left out of names."""
    return {re.sub(r"events\.out.*", "events", name) for name in files(folder)}


def is_within(path: str, out: str | None) -> bool:
    """Whether a path, seen from above the current folder, is in the folder to be written, or leads to it."""
    folder = Path("place", out) if out else None
    return folder is not None and (Path(path).is_relative_to(folder) or folder.is_relative_to(path))


class Done(NamedTuple):
    """How a line ended, and what it changed in the folder that holds the current one, homes and all."""

    ended: Ended
    changed: list[str]


def done_here(line: list[str]) -> Done:
    """Runs a line in this process."""
    around = Path.cwd().parent
    before = listing(around)
    shown, errors = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(shown), contextlib.redirect_stderr(errors):
        status = ended(line)
    found = Ended(status, shown.getvalue(), errors.getvalue().splitlines())
    changed = [name for name in touched(before, listing(around)) if not is_remembered(Path(name))]
    return Done(found, changed)


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """The current folder, with a text in it."""
    folder = tmp_path_factory.mktemp("contract")
    (folder / TEXT).write_text(made_up_text(900), encoding="utf-8")
    with copied(folder) as place, workers_here():
        yield place


@pytest.fixture(scope="module")
def done(place: Path) -> dict[str, Done]:
    """Every command, done once."""
    return {name: done_here(line.typed) for name, line in LINES.items()}


def test_every_command_is_here() -> None:
    """All but `launch`, which starts others, and those that write files, not folders: tested elsewhere."""
    assert {*LINES} == {*COMMANDS} - {"launch", "forecast", "label", "audit"}


# --- files -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINES)
def test_a_command_writes_its_files_and_nothing_else(name: str, place: Path, done: dict[str, Done]) -> None:
    (status, shown, errors), changed = done[name]
    assert (status, "Traceback" in "\n".join(errors)) == (0, False), errors
    out = LINES[name].out
    assert all(is_within(path, out) for path in changed), changed
    if out:
        assert below(place / out) == LINES[name].files
        for path in (place / out).rglob("*.png"):
            assert path.read_bytes().startswith(b"\x89PNG")
    if "written:" in shown:
        told = [Path(path) for path in re.split(r"written:\s+", shown)[1].split("\n  ")]
        told[-1] = Path(str(told[-1]).splitlines()[0])
        top = {Path(str(out), Path(path).parts[0]) for path in LINES[name].files}
        told[-1] = Path(str(told[-1]).split("; ")[0])
        aside = {Path(str(out), path) for path in LINES[name].aside}
        assert {*told} in ({Path(str(out))}, top, top - aside), shown


def test_printed_commands_can_be_pasted_into_a_shell(done: dict[str, Done]) -> None:
    """Whatever characters their folders have."""
    lines = [*done["train"].ended.errors, *done["import"].ended.shown.splitlines()]
    printed = [line.split("python -m tf_rnn ")[1] for line in lines if "python -m tf_rnn " in line]
    assert [shlex.split(words) for words in printed] == [["sample", RUN], ["train", "--resume", AGAIN]]
    for name in ("compare", "recommend", "lags"):
        page = Path(str(LINES[name].out), "report.md").read_text(encoding="utf-8")
        (typed,) = re.findall(r"^\s*`*python -m tf_rnn (.*?)`*$", page, re.MULTILINE)
        assert shlex.split(typed) == LINES[name].typed


# --- keys that other programs rely on ----------------------------------------------------------------

NUMBERS = (list, float)
RUN_KEYS: dict[str, Any] = dict.fromkeys(
    ("loss", "build_seconds", "first_run_seconds", "step_milliseconds", "tokens_per_second"), float
)
RUN_KEYS |= dict.fromkeys(("num_steps", "seed", "parameters", "operations", "graph_bytes"), int)
KEYS: dict[str, dict[str, Any]] = {
    "train": {"epoch": int, "step": int}
    | dict.fromkeys(("train_loss", "valid_loss", "perplexity", "seconds"), float),
    "evaluate": {"split": str, "loss": float, "perplexity": float, "bits": float, "tokens": int},
    "lags": {"lags": (list, int), "gradient_norm": NUMBERS, "decay": float, "half_life": float}
    | {"relative_bias": NUMBERS},
    "recommend": {
        "num_steps": {int, type(None)},
        "step_milliseconds": {float, type(None)},
        "reason": str,
        "relative_bias": NUMBERS,
        "race": (list, dict),
        "answer": dict,
    },
    "compare": {"task": str, "cell": str, "budget": dict, "runs": (list, dict), "verdict": dict},
    "a run of compare": RUN_KEYS | {"state": str},
    "the verdict of compare": {"num_steps": {int, type(None)}, "sentence": str},
}


def refuse(constant: str) -> NoReturn:
    raise AssertionError(f"{constant} is not in the JSON standard")


def read(text: str) -> dict[str, Any]:
    """JSON as strict readers read it."""
    value = json.loads(text, parse_constant=refuse)
    assert isinstance(value, dict)
    return value


@pytest.fixture
def records(place: Path, done: dict[str, Done]) -> dict[str, dict[str, Any]]:
    """The JSON that commands have written."""
    (line,) = (place / RUN / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    (shown,) = done["evaluate"].ended.shown.splitlines()
    found = {"train": read(line), "evaluate": read(shown)}
    for name, file in {"lags": "lags", "recommend": "recommendation", "compare": "results"}.items():
        found[name] = read((place / str(LINES[name].out) / f"{file}.json").read_text(encoding="utf-8"))
    runs, verdict = found["compare"]["runs"], found["compare"]["verdict"]
    return found | {"a run of compare": runs[-1], "the verdict of compare": verdict}


def test_keys_that_other_programs_rely_on(records: dict[str, dict[str, Any]]) -> None:
    for record, keys in KEYS.items():
        for key, kind in keys.items():
            value, place = records[record][key], f"{key} of {record}"
            values, element = (value, kind[1]) if isinstance(kind, tuple) else ([value], kind)
            assert values, place
            allowed = element if isinstance(element, set) else {element}
            assert {type(each) for each in values} <= allowed, f"{place}: {value}"


def rows(place: Path, name: str, file: str) -> list[dict[str, str]]:
    with (place / str(LINES[name].out) / file).open(encoding="utf-8", newline="") as opened:
        return list(csv.DictReader(opened))


def test_csv_is_json(place: Path, records: dict[str, dict[str, Any]]) -> None:
    """Digit by digit."""
    compared = rows(place, "compare", "results.csv")
    for row, run in zip(compared, records["compare"]["runs"], strict=True):
        for name, kind in KEYS["a run of compare"].items():
            assert kind(row[name]) == run[name], name
        assert {float(row[f"dependency_score_{lag}"]) for lag in (3, 8)} == {
            *run["dependency_scores"].values()
        }
    measured, found = rows(place, "lags", "lags.csv"), records["lags"]
    assert [(row["weights"], int(row["lag"]), int(row["truncation"])) for row in measured] == [
        (weights, lag, lag + 1) for weights in ("untrained", "trained") for lag in range(3)
    ]
    for weights, analysis in (("untrained", found["untrained"]), ("trained", found)):
        for key in ("gradient_norm", "relative_bias", "block_bias", "cosine"):
            values = [float(row[key]) for row in measured if row["weights"] == weights]
            assert values == analysis[key], (weights, key)
        for key in ("mean_bias", "mean_block_bias"):  # none where the mean gradient is lost in its noise
            cells = [row[key] for row in measured if row["weights"] == weights]
            assert [float(cell) if cell else None for cell in cells] == analysis[key], (weights, key)
    race = records["recommend"]["race"]
    for row, standing in zip(rows(place, "recommend", "recommendation.csv"), race, strict=True):
        assert row == {name: "" if value is None else str(value) for name, value in standing.items()}


# --- again -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", REPEATABLE)
def test_the_same_again_gives_the_same(name: str, place: Path, done: dict[str, Done]) -> None:
    """What is measured on the clock apart. `compare` and `recommend` do not even do it again."""
    line = LINES[name]
    before = files(place / line.out) if line.out else {}
    again = done_here(line.typed)
    assert again.ended.status == 0, again.ended.errors
    assert again.ended.shown == done[name].ended.shown
    after = files(place / line.out) if line.out else {}
    assert {name: after[name] for name in before} == before
    if name == "compare":
        assert again.ended.errors == []
    if name == "recommend":
        assert not any(", seed " in line for line in again.ended.errors), "a run was trained again"


@pytest.mark.parametrize("name", WRITERS)
def test_another_configuration_in_the_same_folder_is_refused(
    name: str, place: Path, done: dict[str, Done]
) -> None:
    """And the same where a folder must be new. Nothing is changed."""
    line = LINES[name]
    found = done_here([*line.words, str(line.out), *line.other])
    refusal = (
        "must hold results of the same configuration; " if line.is_repeatable else "must be a new folder"
    )
    assert (found.ended.status, found.ended.shown, found.changed) == (2, "", [])
    assert found.ended.errors[-1].startswith(
        f"tf_rnn {name}: error: {'--out' if '--out' in line.words else 'OUT' if name == 'export' else 'DIR'} "
        f"{refusal}"
    ), found.ended.errors


# --- how it ends -------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", LINES)
def test_an_interrupt_is_one_line_and_status_130(
    name: str, place: Path, done: dict[str, Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of the work: nothing is left behind but what the repeated command needs."""

    def interrupt(*_: object, **__: object) -> NoReturn:
        raise KeyboardInterrupt

    line = LINES[name]
    monkeypatch.setattr(line.middle, interrupt)
    words = [*line.words, f"{line.out} 2"] if line.out else line.words
    if name == "compare":  # where costs are known already
        words = [*line.typed, "--seeds", "2"]
    found = done_here(words)
    assert (found.ended.status, found.ended.shown) == (130, "")
    assert found.ended.errors[-1] == (
        f"tf_rnn {name}: interrupted; finished runs are kept; the same command continues from there"
    )
    assert "Traceback" not in "\n".join(found.ended.errors)
    left = {Path(path).name for path in found.changed if Path(path).suffix}
    assert left <= {"config.json", "results.json"}, found.changed


BAD: dict[str, tuple[list[str], str]] = {
    "no command": ([], "the following arguments are required: COMMAND"),
    "another command": (["comprae"], "argument COMMAND: invalid choice: 'comprae'"),
    "no place": (["evaluate"], "the following arguments are required: DIR"),
    "half an option": (["train", "--epoch", "2"], "unrecognized arguments: --epoch 2"),
    "two amounts": (
        ["train", "--epochs", "1", "--tokens", "5"],
        "argument --tokens: not allowed with argument --epochs",
    ),
    "a new folder and an old one": (
        ["train", "--resume", RUN, "--out", "new"],
        "--out must be left out with --resume, unless it is auto",
    ),
    "no run": (["evaluate", "missing"], "DIR must be the folder of a training run, got 'missing'"),
    "no model": (["import", "missing", "new"], "EXPORTED must be a folder that export wrote, got 'missing'"),
    "a file to write to": (
        ["lags", *ECHO, "--out", TEXT],
        f"--out must be a folder that can be written, got {TEXT!r} (File exists)",
    ),
    "no data": (
        ["compare", "--task", "text", "--data", "missing"],
        (
            "--data must be the path of a text file or a directory, or one of shakespeare, ptb; "
            "there is nothing at 'missing'"
        ),
    ),
    "no text": (
        ["lags", "--task", "words", "--data", "pixels"],
        "--data must be utf-8 text, but 'pixels' has the byte 0xe9 at position 3 (",
    ),
    "a start that the model does not know": (
        ["sample", RUN, "--prime", "abQ"],
        "--prime must hold only the 6 characters of the vocabulary, got 'Q' at position 2",
    ),
    "other data": (
        ["train", "--resume", RUN, "--data", "quarks"],
        "--data must be those that the run was started with; these are others",
    ),
    "a width larger than a row": (
        ["lags", "--num-steps", "201"],
        (
            "--num-steps must be at most 200 (the 40000 tokens of split 'train' cut into 200 rows), "
            "got 201; it fits with a --batch-size of at most 199"
        ),
    ),
    "rows too long for one graph": (
        ["recommend", "--style", "full", "--num-steps", "5", "--batch-size", "2"],
        "--style must be another than 'full' where a row has more than 10000 steps; here it has 20000",
    ),
    "a style for losses at every step": (
        ["lags", "--task", "adding", "--style", "random"],
        "--style must be block or full where not every step has a target, got 'random'",
    ),
    "a range that is none": (
        ["recommend", "--num-steps", "5:2"],
        f"--num-steps must be a range such as 5:50:5 or 1:64:log2, from 1 to {LARGEST_WIDTH}, got '5:2'",
    ),
    "several widths that are all the row": (
        ["compare", "--style", "full", "--num-steps", "5", "3"],
        (
            "--num-steps must be a single width where --style is full, which trains whole rows whatever the "
            "width, got 3, 5"
        ),
    ),
    "more lags than effects": (
        ["compare", "--lags", "2", "4", "6"],
        "--effects must be as many as lags, 3, got 2: [0.5, -0.25]",
    ),
    "an option of another task": (
        ["recommend", "--delay", "5"],
        "--delay must be left out unless --task is copy",
    ),
    "a cell of another task": (
        ["lags", "--cell", "influence"],
        "--cell must be vanilla or gru or gru_reset_before or lstm for the task echo, got 'influence'",
    ),
    "a cell without layers": (
        ["lags", "--task", "influence", "--num-layers", "2"],
        "--num-layers must be left out where --cell is influence, got 2",
    ),
    "an option of another schedule": (
        ["train", "--schedule", "cosine", "--decay-after", "3"],
        "--decay-after must be left out unless --schedule is step or plateau, got 'cosine'",
    ),
    "two scales": (
        ["train", "--init-scale", "0.1", "--recurrent-gain", "2"],
        "--recurrent-gain must be left out where --init-scale is given",
    ),
    "classes that cannot be tied": (
        ["train", "--task", "memory", "--tied"],
        "--tied must be left out for the task memory, which has 16 classes of inputs and 8 of targets",
    ),
    "too much held out": (
        ["train", "--task", "text", "--valid-fraction", "0.6", "--test-fraction", "0.5"],
        "--test-fraction must be below 0.4, what --valid-fraction leaves, got 0.5",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_one_line_that_names_the_option(case: str, place: Path, done: dict[str, Done]) -> None:
    """With status 2, and nothing is written."""
    (place / "pixels").write_bytes(b"caf\xe9 au lait")
    (place / "quarks").write_text("Quark " * 20, encoding="utf-8")
    words, message = BAD[case]
    (status, shown, errors), changed = done_here(words)
    assert (status, shown, changed) == (2, "", []), errors
    assert errors[-1].partition(": error: ")[2].startswith(message), errors
    assert sum(line.startswith("tf_rnn") for line in errors) == 1


def test_a_closed_standard_output_is_no_error(
    place: Path, done: dict[str, Done], monkeypatch: pytest.MonkeyPatch
) -> None:
    """As of `| head`, whether a table is printed or a text is written piece by piece."""
    for words in ([*LINES["compare"].typed, "--dry-run"], LINES["sample"].typed):
        read, write = os.pipe()
        stdout = os.fdopen(write, "w", encoding="utf-8")
        monkeypatch.setattr(sys, "stdout", stdout)
        os.close(read)
        assert ended(words) == 0, words
        stdout.close()  # into nowhere, where it was turned


# --- in processes of their own -------------------------------------------------------------------------


def test_help_and_bad_input_load_nothing_heavy(tmp_path: Path) -> None:
    """Nor does a line that only the data or the folder refuse, nor `audit` at all."""
    for folder in ("run/checkpoints", "full/something", "empty", "exported"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "exported" / "config.json").touch()
    helps = [["--help"], *([name, "--help"] for name in COMMANDS)]
    bad = [[], ["train", "--epochs", "0"], ["train", "--task", "text", "--data", "missing.txt"]]
    bad += [["train", "--resume", "missing"], ["compare", "--num-steps", "20000"], ["lags", "--seed", "x"]]
    bad += [["recommend", "--num-steps", "5:1:2"], ["sample", "missing"]]
    bad += [["evaluate", "missing"], ["export", "empty", "new"], ["export", "run", "full"]]
    bad += [["import", "empty", "new"], ["import", "exported", "full"]]
    bad += [["launch"], ["launch", "--", "train", "--no-such"], ["launch", "--workers", "0", "--", "train"]]
    bad += [["audit", "--read", "a.npz"], ["audit", "--write", "a.npz"]]
    audits = [["audit", *words] for words in (["--write", "a.npz"], ["--export-echo", "b.npz"])]
    assert_light({0: [*helps, *audits, ["audit", "--read-loss", "0.5"]], 2: bad}, tmp_path)
    assert not (tmp_path / "new").exists()


def test_help_takes_less_than_a_second(tmp_path: Path) -> None:
    """Of one processor, whatever else the machine does."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    shown = finished(["compare", "--help"], tmp_path).stdout
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 1
    assert "--num-steps" in shown


@pytest.mark.parametrize("name", COMMANDS)
def test_help_lists_all_options(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    status, shown, errors = run_main([name, "--help"], capsys)
    assert (status, errors) == (0, "")
    assert " ".join(COMMANDS[name].HELP.split()) in " ".join(shown.split())
    parser = Parser()
    COMMANDS[name].add_options(parser)
    for action in parser._actions:
        assert (action.option_strings or [str(action.metavar)])[-1] in shown, action


def test_bad_input_at_the_command_line_ends_with_status_2(tmp_path: Path) -> None:
    """One through the whole program: the status, one line, and nothing of Python in it."""
    words = command(["compare", "--lags", "0", "--effects", "1"])
    done = subprocess.run(words, capture_output=True, text=True, check=False, cwd=tmp_path)
    message = "tf_rnn compare: error: --lags must be a whole number of at least 1, got 0\n"
    assert (done.returncode, done.stdout, done.stderr) == (2, "", message)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_what_new_processes_write_lies_in_their_folders(tmp_path: Path) -> None:
    """Theirs, or what Keras and matplotlib remember in a home folder: of those that load these first."""
    folder = tmp_path / "furnished"
    folder.mkdir()
    (folder / TEXT).write_text(made_up_text(900), encoding="utf-8")
    keep_run(folder / RUN, Text(folder / TEXT), VanillaCell(3))
    with copied(folder) as place:
        for name in ("export", "compare"):
            line, before = LINES[name], listing(place.parent)
            finished(line.typed, place)
            changed = touched(before, listing(place.parent))
            strange = [path for path in changed if not is_remembered(Path(path))]
            assert all(is_within(path, line.out) for path in strange), f"{name}: {strange}"
