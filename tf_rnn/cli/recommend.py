"""`recommend`: trains briefly, measures, names a width and says why."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from rich.console import Console

from tf_rnn.cli.options import (
    add_setup_options,
    add_worker_options,
    measurement,
    path,
    positive,
    results_folder,
    setup_options,
    share,
    whole,
)
from tf_rnn.comparison import (
    Comparison,
    Results,
    RunKey,
    Workers,
    open_workers,
    require_no_failures,
    study_seeds,
    sweep,
)
from tf_rnn.comparison.report import setup_line
from tf_rnn.comparison.screen import Screen
from tf_rnn.comparison.verify import verification, widths_to_verify
from tf_rnn.options import MOST, require_whole
from tf_rnn.tasks import TASKS, setup_identity

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.cli.options import Measurement

NAME = "recommend"
HELP = "which width to use, from the gradients of networks that are trained briefly"


def add_options(parser: argparse.ArgumentParser) -> None:
    """Adds the options of this command."""
    group = parser.add_argument_group("what is recommended")
    group.add_argument(
        "--num-steps",
        type=whole,
        metavar="N",
        help="the widest graph to think of, at which networks are trained; default for echo 40",
    )
    group.add_argument(
        "--tolerance",
        type=share,
        default=0.1,
        metavar="P",
        help="the part of the gradient that may be missing, default 0.1",
    )
    group.add_argument("--seeds", type=whole, default=3, metavar="N", help="networks to train, default 3")
    group.add_argument(
        "--tokens", type=positive, metavar="N", help="for each; default a fifth of what compare trains"
    )
    group.add_argument(
        "--verify",
        action="store_true",
        help="train at the width, its half and its double as compare does, and say whether it held",
    )
    add_setup_options(parser)
    group = parser.add_argument_group("how it runs")
    add_worker_options(group)
    group.add_argument(
        "--out", type=path, metavar="DIR", help="default results/recommend-..., named after the options"
    )


def run(arguments: argparse.Namespace, words: Sequence[str]) -> None:
    """Runs the command.

    Args:
        arguments: What the parser made of `words`.
        words: The command line, for the report.

    Raises:
        OptionError: If a value is not allowed.
        WorkerDiedError: If runs failed; what was found without them is written nonetheless.
    """
    measured = measurement(arguments)
    require_whole("seeds", arguments.seeds, at_most=MOST)
    identity = setup_identity(measured.setup, measured.task) | {
        "num_steps": measured.num_steps,
        "tokens": measured.tokens,
        "seeds": arguments.seeds,
        "tolerance": arguments.tolerance,
    }
    screen = Screen(Console(stderr=True))
    with (
        open_workers(arguments.scheduler, arguments.workers, screen) as workers,
        results_folder(NAME, arguments.out, identity) as folder,
    ):
        check = _recommend(folder, arguments, measured, identity, words, screen, workers)
    if check:
        require_no_failures(check.results, check.keys)


def _recommend(
    folder: Path,
    arguments: argparse.Namespace,
    measured: Measurement,
    identity: dict[str, Any],
    words: Sequence[str],
    screen: Screen,
    workers: Workers,
) -> _Check | None:
    # TensorFlow takes seconds to load, which --help and bad input need not wait for.
    from tf_rnn.analysis import priced_advice  # noqa: PLC0415
    from tf_rnn.analysis.report import write_advice  # noqa: PLC0415

    setup, task, num_steps, tokens = measured
    with screen:
        studies = study_seeds(setup, task, num_steps, tokens, arguments.seeds, screen, workers)
    advice = priced_advice(setup, task, studies, arguments.tolerance)
    _say(advice.reason)
    check = _verify(arguments, advice.num_steps, folder, screen, workers) if arguments.verify else None
    if check:
        _say(check.sentence)
    line = setup_line(setup, f"{tokens:,.10g} tokens")
    files = write_advice(folder, advice, studies, identity, line, words, check and check.sentence)
    _say(f"written: {', '.join(map(str, files))}")
    return check


def _say(line: str) -> None:
    Console().print(line, highlight=False, soft_wrap=True)


class _Check(NamedTuple):
    """What came of verifying: in a sentence, and the runs it is from."""

    sentence: str
    results: Results
    keys: list[RunKey]


def _verify(
    arguments: argparse.Namespace, num_steps: int, folder: Path, screen: Screen, workers: Workers
) -> _Check:
    fields: dict[str, Any] = setup_options(arguments)
    comparison = Comparison(
        **fields,
        num_steps=widths_to_verify(num_steps),
        state=("carry",),
        seeds=arguments.seeds,
        budget="tokens",
        amount=TASKS[arguments.task].defaults.tokens,
    )
    lasting = comparison.make_task()
    comparison.check_data(lasting)
    results = Results(folder / "verify", comparison.identity(lasting))
    with screen:
        summaries, _ = sweep(comparison, results, lasting, screen, workers)
    return _Check(verification(summaries, num_steps), results, comparison.keys)
