"""`train`: trains one network, keeps it in a folder, and goes on with it after a stop."""

from __future__ import annotations

import argparse
import shlex
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from tf_rnn.cli.options import add_setup_options, path, positive, setup_options, share, whole
from tf_rnn.cli.presets import PRESETS, preset_options
from tf_rnn.cli.resume import require_kept
from tf_rnn.files import SUMMARIES, folder_name, read_config, require_new
from tf_rnn.options import SCHEDULES, STATES, OptionError, Setup, require_schedule, require_whole
from tf_rnn.tasks import Language, Task, check_setup, described_task, make_task, setup_identity
from tf_rnn.text import loss_text, loss_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.training import TrainingResult

NAME = "train"
HELP = "train one network, keep it in a folder, go on with it after a stop"
EPOCHS = 10.0
# What may be another in a graph that is gone on with.
MAY_CHANGE = ("num_steps", "batch_size", "recompute", "learning_rate", "clip_norm")
AMOUNTS = ("epochs", "tokens", "updates", "seconds")


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    group = parser.add_argument_group("where the run is kept")
    kept = group.add_mutually_exclusive_group()
    kept.add_argument("--out", type=path, metavar="DIR", help="a new folder; default results/train-...")
    kept.add_argument(
        "--resume",
        type=path,
        metavar="DIR",
        help="go on with the run in this folder; of its options, --num-steps, --batch-size, --learning-rate, "
        "--clip-norm, --patience and how long to train may be others",
    )
    group.add_argument(
        "--preset",
        choices=PRESETS,
        help="settings that work well together; what else is given comes before them",
    )
    group = parser.add_argument_group("how long, from the very beginning (give one)")
    amounts = group.add_mutually_exclusive_group()
    for name, unit in zip(AMOUNTS, ("default 10", "examples times steps", "", "of training"), strict=True):
        amounts.add_argument(f"--{name}", type=positive, metavar="N", help=unit)
    group.add_argument(
        "--patience", type=whole, metavar="N", help="stop after N epochs without a lower held-out loss"
    )
    group = parser.add_argument_group("how")
    group.add_argument(
        "--num-steps", type=whole, metavar="N", help="width of the graph; default for text 50, for words 35"
    )
    group.add_argument("--state", choices=STATES, default="carry", help="at a block's end, default carry")
    group.add_argument(
        "--schedule", choices=SCHEDULES, default="constant", help="of the learning rate, default constant"
    )
    group.add_argument(
        "--decay", type=share, default=0.5, metavar="P", help="step, plateau: its factor, default 0.5"
    )
    group.add_argument(
        "--decay-after",
        type=whole,
        metavar="N",
        help="step: epochs at the full rate, default 4; plateau: epochs to wait, default 1",
    )
    group.add_argument("--seed", type=int, default=0, metavar="N", help="of all that is random, default 0")
    group.add_argument(
        "--threads",
        type=whole,
        metavar="N",
        help="default one a core; with 1, a run that was stopped gives the same bit for bit",
    )
    add_setup_options(parser)


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line.

    Raises:
        OptionError: If a value is not allowed.
        KeyboardInterrupt: After an interrupt, when the run is saved; it says how to go on.
    """
    settled, given = settle(arguments, words[1:])
    console = Console(stderr=True)
    start = _resumed(settled, given) if settled.resume else _new(settled)
    for line in described_data(start.task):
        _say(console, line)
    result, options = _train(start, console, settled)
    if result.updates == start.updates:
        _say(console, nothing_left(result, options))
    _say(console, f"kept in {start.folder}: {best_line(result, start.task.unit)}")
    if isinstance(start.task, Language):
        _say(console, f"to read what it writes: {command('sample', start.folder)}")


def settle(arguments: argparse.Namespace, words: Sequence[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Returns the options with those of the preset where none were given, and those that were given.

    Args:
        arguments: What the parser made of `words`.
        words: The command line after the command.
    """
    parser = argparse.ArgumentParser(allow_abbrev=False)
    add_options(parser)
    untouched = object()
    blank = argparse.Namespace(**dict.fromkeys(vars(arguments), untouched))
    parsed = vars(parser.parse_args(words, blank))
    given = {name: value for name, value in parsed.items() if value is not untouched}
    preset = preset_options(arguments.preset, given)
    if arguments.resume:  # a run is changed by what was typed alone
        preset = {name: value for name, value in preset.items() if name not in MAY_CHANGE}
    parser.set_defaults(**preset)
    return parser.parse_args(words), preset | given


class Start(NamedTuple):
    """A run that is ready to begin, or to go on.

    Attributes:
        task: What is learnt.
        folder: Where it is kept.
        updates: How many there have been already.
        prepare: Makes the graph and the further arguments of `tf_rnn.train`; TensorFlow, which takes
            seconds to load, is loaded only then.
    """

    task: Task
    folder: Path
    updates: int
    prepare: Callable[[], tuple[UnrolledGraph, dict[str, Any]]]


def _new(arguments: argparse.Namespace) -> Start:
    setup = Setup(**setup_options(arguments))
    require_whole("seed", arguments.seed, at_least=0)
    require_schedule(arguments.schedule, arguments.decay, arguments.decay_after)
    task = make_task(setup.task, **setup.task_options)
    num_steps = arguments.num_steps or max(task.defaults.num_steps)
    check_setup(setup, task, [num_steps])
    amount = _amount(arguments) or {"epochs": EPOCHS}
    names = ("state", "schedule", "decay", "decay_after", "patience", "seed")
    chosen = {name: getattr(arguments, name) for name in names} | amount | {"num_steps": num_steps}
    folder = arguments.out or Path("results") / folder_name(NAME, setup_identity(setup, task) | chosen)
    require_new(folder)

    def prepare() -> tuple[UnrolledGraph, dict[str, Any]]:
        from tf_rnn.graph import make_graph  # noqa: PLC0415
        from tf_rnn.training import Schedule, Truncation  # noqa: PLC0415

        return make_graph(setup, task, num_steps, arguments.seed), {
            **amount,
            "state": arguments.state,
            "truncation": Truncation(setup.style, setup.stride, setup.tolerance, arguments.seed),
            "schedule": Schedule(arguments.schedule, arguments.decay, arguments.decay_after),
            "patience": arguments.patience,
            "seed": arguments.seed,
            "out": folder,
        }

    return Start(task, folder, 0, prepare)


def _resumed(arguments: argparse.Namespace, given: dict[str, Any]) -> Start:
    folder = arguments.resume
    config = read_config(folder)
    require_kept(config, given)
    from tf_rnn.training.run_folder import find_start  # noqa: PLC0415 (TensorFlow takes seconds to load)

    # It may have been gone on with before, and otherwise than it was begun.
    kept = find_start(folder, warn=_ignore)
    config = kept.state.config if kept else config
    task = _same_task(config["task"], arguments.data)
    changed = {name: given[name] for name in MAY_CHANGE if name in given}
    training = config["training"]
    graph = config["graph"] | changed
    task.blocks(graph["batch_size"], graph["num_steps"])  # a graph that is much too wide takes long to make

    def prepare() -> tuple[UnrolledGraph, dict[str, Any]]:
        from tf_rnn.graph.describe import described_graph  # noqa: PLC0415
        from tf_rnn.training import Schedule, Truncation  # noqa: PLC0415

        return described_graph(config, **changed), {
            **(_amount(arguments) or {training["budget"]["kind"]: training["budget"]["amount"]}),
            "state": training["state"],
            "evaluations": training["evaluations"],
            "truncation": Truncation(**training["truncation"]),
            "schedule": Schedule(**training["schedule"]),
            "patience": given.get("patience", training["patience"]),
            "seed": training["seed"],
            "resume": folder,
        }

    return Start(task, folder, kept.state.history.updates if kept else 0, prepare)


def _ignore(line: str) -> None:
    """What is damaged is told when the run is opened."""


def _same_task(kept: dict[str, Any], data: str | None) -> Task:
    """The task of a run that is gone on with.

    Raises:
        OptionError: For `data`, if the text is not the one that the run was begun with.
    """
    task = described_task(kept, **({"data": data} if data else {}))
    if getattr(task, "sha256", None) != kept.get("sha256"):
        raise OptionError("data", "must be the text that the run was begun with; this is another one")
    return task


def _amount(arguments: argparse.Namespace) -> dict[str, float]:
    amounts = {name: getattr(arguments, name) for name in AMOUNTS}
    return {name: amount for name, amount in amounts.items() if amount is not None}


def _train(
    start: Start, console: Console, arguments: argparse.Namespace
) -> tuple[TrainingResult, dict[str, Any]]:
    """What training gives, and the options that it was given."""
    graph, options = start.prepare()
    from tf_rnn.inference.narrator import Narrator  # noqa: PLC0415
    from tf_rnn.training import ProgressLine, SavedInterrupt, train  # noqa: PLC0415

    callbacks: list[Any] = [ProgressLine(console)]
    if isinstance(start.task, Language):
        folder = start.folder / SUMMARIES / "samples"
        callbacks.append(Narrator(graph, start.task.vocabulary, folder))
    try:
        with graph.session(arguments.threads) as session:
            result = train(graph, start.task, **options, session=session, callbacks=callbacks)
            return result, options
    except SavedInterrupt as error:
        how = command(f"{NAME} --resume", start.folder)
        raise KeyboardInterrupt(f"interrupted; the run is saved, resume with: {how}") from error


def command(words: str, folder: Path) -> str:
    """A command about a run, to be copied to a shell."""
    return f"python -m tf_rnn {words} {shlex.quote(str(folder))}"


def described_data(task: Task) -> list[str]:
    """What was read, and the losses to compare with."""
    read = [task.summary()] if isinstance(task, Language) else []
    baselines = [f"{name} {loss_words(loss, task.unit)}" for name, loss in task.baselines().items()]
    return [*read, *([f"baselines: {', '.join(baselines)}"] if baselines else [])]


def best_line(result: TrainingResult, unit: str) -> str:
    """The lowest held-out loss of trained weights, and where it was."""
    best = min((point for point in result.curve if point.updates), key=lambda point: point.valid_loss)
    loss = loss_text(best.valid_loss, unit)
    return f"lowest held-out loss {loss} after epoch {best.epoch} (step {best.updates})"


def nothing_left(result: TrainingResult, options: dict[str, Any]) -> str:
    """Why a run that was gone on with has ended at once, and what to do about it."""
    losses = [point.valid_loss for point in result.curve if point.updates]
    waited = len(losses) - 1 - losses.index(min(losses))
    if options["patience"] is not None and waited >= options["patience"]:
        reason, option = f"the held-out loss was at its lowest {waited} evaluations ago", "patience"
    else:
        option = next(name for name in AMOUNTS if name in options)
        reason = f"the run has had its {options[option]:,.10g} {option}"
    return f"nothing left to do: {reason}; with a larger --{option} it goes on"


def _say(console: Console, line: str) -> None:
    console.print(line, highlight=False, markup=False, soft_wrap=True)
