"""`train`: trains one network, or resumes a run."""

from __future__ import annotations

import math
import operator
from typing import TYPE_CHECKING, Any

import tf_rnn
from tf_rnn.cli.cluster import continued, joined, resuming
from tf_rnn.cli.groups import add_setup
from tf_rnn.cli.parser import chosen, command
from tf_rnn.console import say
from tf_rnn.files import NAMED
from tf_rnn.options import OptionError
from tf_rnn.options.declared import (
    CLUSTER_OPTIONS,
    DRY_RUN,
    LENGTH_OPTIONS,
    OUT,
    PATIENCE,
    SETUP_OPTIONS,
    START_FROM,
    THREADS,
    TRAINING_OPTIONS,
)
from tf_rnn.options.option import Option
from tf_rnn.options.presets import PRESETS, preset_options
from tf_rnn.options.rules import Choice, Path
from tf_rnn.parallel import cluster_task
from tf_rnn.parallel.parent_watch import watch_parent
from tf_rnn.run_config import RUN_OPTIONS
from tf_rnn.text import counted, loss_text, loss_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.cli.parser import Parser
    from tf_rnn.training import Worker
    from tf_rnn.training_run import PreparedRun, Run

NAME = "train"
HELP = "train one network; save checkpoints, resume"
RESUME = Option(name="resume", rule=Path(), help="resume the run in this folder; auto: that in --out, if any")
AUTO = "auto"
DRY_RUN_HELP = (
    "check all options and print them, those of a preset too, as a file for --config; train nothing"
)
PRESET = Option(
    name="preset",
    rule=Choice(tuple(PRESETS)),
    help="start from a published configuration; explicit options override it",
)
# What of a run is given beside its setup.
RUN = (*LENGTH_OPTIONS, *TRAINING_OPTIONS, "patience", "start_from", "out")


def add_options(parser: Parser) -> None:
    """Adds the options of this command."""
    out = OUT.but(help="new folder for the run (default: results/train-..., named after the options)")
    names = ", ".join(option.flag for option in RUN_OPTIONS.values() if option.may_change)
    resume = RESUME.but(help=f"{RESUME.help}; of its options these may change: {names}")
    parser.add_declared("where the run is kept", [out, resume, DRY_RUN.but(help=DRY_RUN_HELP)])
    parser.add_declared("starting point", [PRESET, START_FROM])
    parser.add_declared(
        "total training length, counted from the start of the run (choose one)",
        LENGTH_OPTIONS.values(),
        one_of=True,
    )
    parser.add_declared("how it is trained", [PATIENCE, *TRAINING_OPTIONS.values(), THREADS])
    parser.add_declared("several machines (on one machine see launch)", CLUSTER_OPTIONS.values())
    add_setup(parser, NAME)


def run(given: dict[str, Any], words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        given: The options that were given, by name.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
        KeyboardInterrupt: After an interrupt, with the command that resumes the run.
    """
    watch_parent()
    given = settled(given)
    if given.pop("dry_run", False):
        print(planned(given), end="")
        return
    with joined(given, prepare) as (prepared, worker):
        if worker is None or worker.is_chief:
            train_and_report(prepared, given.get("threads"), worker, words)
            return
        try:
            prepared.start((), given.get("threads"), worker)
        except tf_rnn.training.SavedInterrupt as error:
            raise KeyboardInterrupt("interrupted; worker 0 has saved the run") from error
        except tf_rnn.DivergedError as error:
            raise FloatingPointError("training has diverged; worker 0 reports where") from error


def train_and_report(
    prepared: PreparedRun, threads: int | None, worker: Worker | None, words: Sequence[str]
) -> None:
    """Trains, writes the report, and says what was read and learnt.

    Args:
        prepared: The run.
        threads: CPU threads.
        worker: This process, if several train together.
        words: The command line, for the report.

    Raises:
        KeyboardInterrupt: After an interrupt, with the command that resumes the run.
    """
    assert prepared.folder is not None
    for line in data_lines(prepared):
        say(line)
    try:
        trained = prepared.start(threads=threads, worker=worker)
    except tf_rnn.training.SavedInterrupt as error:
        how = command(resuming(worker), prepared.folder)
        raise KeyboardInterrupt(f"interrupted; the run is saved, resume with: {how}") from error
    if trained.new_updates:
        trained.write(prepared.folder, words)
    else:
        say(nothing_left(prepared, trained))
    if line := worse_line(trained):
        say(line)
    say(f"saved in {prepared.folder}: {best_line(trained)}")
    if prepared.is_language:
        say(f"to sample from it: {command('sample', prepared.folder)}")


def settled(given: dict[str, Any]) -> dict[str, Any]:
    """The options with `--resume auto` decided: a run that exists is resumed.

    Raises:
        OptionError: If options do not go together.
    """
    if str(given.get("resume")) != AUTO:
        if "resume" in given and "out" in given:
            raise OptionError("out", f"must be left out with resume, unless it is {AUTO}")
        return given
    if cluster_task(given.get("cluster"), given.get("task_type"), given.get("task_index")):
        raise OptionError(
            "resume", f"must be the folder of a run where several processes train, got {AUTO!r}"
        )
    if "out" not in given:
        raise OptionError("out", f"must be given with resume {AUTO}")
    return continued({name: value for name, value in given.items() if name != "resume"})


def planned(given: dict[str, Any]) -> str:
    """The options that a run would have, as a file for `--config`; of data only tables are read.

    Raises:
        OptionError: If a value is not allowed.
    """
    from tf_rnn.experiment import verb_defaults  # noqa: PLC0415 (it takes longer than help may)
    from tf_rnn.setup import options_file  # noqa: PLC0415

    for name in ("resume", "start_from"):
        if name in given:
            raise OptionError("dry_run", f"must be left out with {name}")
    options = preset_options(given.get("preset"), given) | given
    experiment = tf_rnn.Experiment(**chosen(options, SETUP_OPTIONS))
    setup, is_table = experiment.setup, experiment.setup.task in tf_rnn.tasks.TABLES
    task, suits = (experiment.task, experiment.defaults) if is_table else (None, setup.defaults)
    suited = verb_defaults(NAME, suits)
    if any(name in options for name in LENGTH_OPTIONS):
        del suited["epochs"]
    if "schedule_width" in options:
        del suited["num_steps"]
    usual = {name: option.default for name, option in TRAINING_OPTIONS.items()} | suited
    typed = usual | chosen(options, [name for name in RUN if name != "out"])
    return options_file(NAME, setup, task, **typed) or ""


def prepare(given: dict[str, Any], config: dict[str, Any] | None = None) -> PreparedRun:
    """The run that options describe, checked.

    Args:
        given: The options, by name.
        config: The configuration of a run that is resumed, if another process has its folder.

    Raises:
        OptionError: If a value is not allowed.
    """
    preset = preset_options(given.get("preset"), given)
    if "resume" in given and "start_from" in given:
        raise OptionError("start_from", "must be left out with resume")
    if "resume" in given:  # a preset changes nothing of a run
        preset = {name: value for name, value in preset.items() if not RUN_OPTIONS[name].may_change}
        options = chosen(preset | given, (*RUN, *SETUP_OPTIONS))
        return tf_rnn.training_run.prepared_resume(given["resume"], options, config=config)
    options = preset | given
    setup = chosen(options, SETUP_OPTIONS)
    if "start_from" in options:
        options["start_from"] = origin = tf_rnn.training.origin.find_origin(options["start_from"])
        setup = origin.options({"task": origin.config["task"]["name"]} | setup)
    experiment = tf_rnn.Experiment(**setup)
    return experiment.prepare(**({"out": NAMED} | chosen(options, RUN)))


def data_lines(prepared: PreparedRun) -> list[str]:
    """What was read, and the losses to compare with."""
    task = prepared.task
    baselines = [f"{name} {loss_words(loss, task.unit)}" for name, loss in task.baselines().items()]
    read = [*task.lines(), *([prepared.origin.line()] if prepared.origin else [])]
    return [*read, *([f"baselines: {', '.join(baselines)}"] if baselines else [])]


def best_line(trained: Run) -> str:
    """The lowest validation loss of trained weights, and where it was."""
    best = trained.best
    loss = loss_text(best.valid_loss, trained.task.unit)
    return f"lowest validation loss {loss} after epoch {best.epoch} (step {best.updates})"


def worse_line(trained: Run) -> str:
    """That the last loss is above that of every baseline; "" if it is not, or there is none."""
    task, loss = trained.task, trained.evaluation.loss
    name, nothing = max(task.baselines().items(), key=operator.itemgetter(1), default=("", math.inf))
    if loss <= nothing:
        return ""
    last, lowest = loss_text(loss, task.unit), loss_text(nothing, task.unit)
    return f"the last loss, {last}, is worse than with nothing learnt, {lowest} ({name})"


def nothing_left(prepared: PreparedRun, trained: Run) -> str:
    """Why a resumed run has ended at once, and how to continue."""
    losses = [point.valid_loss for point in trained.curve if point.updates]
    waited = len(losses) - 1 - losses.index(min(losses))
    patience = prepared.options["patience"]
    if patience is not None and waited >= patience:
        vain = counted(waited, "evaluation")
        return f"nothing left to do: no improvement for {vain}; raise --patience to continue"
    option = next(name for name in LENGTH_OPTIONS if name in prepared.options)
    amount = counted(prepared.options[option], option.removesuffix("s"), ",.10g")
    done = f"nothing left to do: already trained for {amount}"
    return done if prepared.is_over else f"{done}; raise --{option} to continue"
