"""`python -m benchmarks.overhead`: time `train` spends outside session runs, and command-line latency."""

from __future__ import annotations

import contextlib
import functools
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple
from unittest import mock

from benchmarks.side_by_side import targets
from benchmarks.side_by_side.command import exit_status, output
from tf_rnn.cli.parser import Parser, typed
from tf_rnn.options.rules import Choice, Number, Whole
from tf_rnn.reporting import Table

if TYPE_CHECKING:
    import argparse
    from collections.abc import Callable, Iterator, Sequence

NAME = "overhead"
ROOT = Path(__file__).resolve().parent.parent
ANSWERS = {
    "help": ["--help"],
    "bad option": ["train", "--num-steps", "0"],
}


class SessionClock:
    """Adds up the time spent inside session runs.

    Attributes:
        seconds: Total time so far.
        step_seconds: The part of it in training steps.
        runs: Number of runs so far.
    """

    def __init__(self) -> None:
        self.seconds = self.step_seconds = 0.0
        self.runs = 0

    @contextlib.contextmanager
    def watching(self, kind: Any) -> Iterator[None]:
        """Times every session run, prepared ones included, while the context is open.

        Args:
            kind: `tf.Session`.
        """
        prepare = kind._make_callable_from_options  # noqa: SLF001 (called by `make_callable`)

        def prepare_timed(session: Any, options: Any) -> Callable[..., Any]:
            updates = bool(options.target)  # it runs an operation: no evaluation does
            return self._timed(prepare(session, options), is_step=updates)

        timed: dict[str, Any] = {
            "run": self._timed(kind.run),
            "_make_callable_from_options": prepare_timed,
        }
        with mock.patch.multiple(kind, **timed):
            yield

    def _timed(self, function: Callable[..., Any], *, is_step: bool = False) -> Callable[..., Any]:
        @functools.wraps(function)
        def timed(*given: Any, **options: Any) -> Any:
            started = time.perf_counter()
            try:
                return function(*given, **options)
            finally:
                spent = time.perf_counter() - started
                self.seconds += spent
                self.step_seconds += spent * is_step
                self.runs += 1

        return timed


class Share(NamedTuple):
    """Time spent in a training run.

    Attributes:
        seconds: Duration of the call of `tf_rnn.train`.
        session_seconds: The part of it inside session runs.
        training_seconds: Its training time, which evaluations, checkpoints and summaries are no part of.
        step_seconds: The part of that inside session runs.
        updates: Training steps.
    """

    seconds: float
    session_seconds: float
    training_seconds: float
    step_seconds: float
    updates: int

    @property
    def share(self) -> float:
        """Fraction of the time spent inside session runs."""
        return self.session_seconds / self.seconds

    @property
    def step_share(self) -> float:
        """Fraction of the training time spent inside session runs."""
        return self.step_seconds / self.training_seconds


def _text() -> Any:
    from tf_rnn.tasks import Text  # noqa: PLC0415 (bad options are refused without TensorFlow and pandas)

    return Text()


def _series() -> Any:
    from tf_rnn.tasks import Series  # noqa: PLC0415

    return Series()


def _long_series() -> Any:
    """A table of 200,000 hours: a daily cycle, a random walk and noise."""
    import numpy as np  # noqa: PLC0415
    import pandas as pd  # noqa: PLC0415

    from tf_rnn.tasks import Series  # noqa: PLC0415

    walk, noise = np.random.default_rng(0).normal(scale=[[0.01], [0.3]], size=(2, 200_000))
    times = pd.date_range("2000-01-01", periods=len(walk), freq="h")
    values = np.sin(2 * np.pi * np.arange(len(walk)) / 24) + np.cumsum(walk) + noise
    return Series(pd.DataFrame({"time": times, "value": values}), target=["value"])


DATA: dict[str, Callable[[], Any]] = {"text": _text, "series": _series, "long-series": _long_series}


def session_share(data: str, seconds: float, state_size: int | None = None) -> Share:
    """Trains as `tf_rnn train` does, including checkpoints, summaries and progress.

    Args:
        data: A name in `DATA`.
        seconds: Training time.
        state_size: Units of the layer; None for the command's default.
    """
    from tf_rnn._tensorflow import tf  # noqa: PLC0415
    from tf_rnn.graph import make_graph  # noqa: PLC0415
    from tf_rnn.setup import Setup  # noqa: PLC0415
    from tf_rnn.training import ProgressLine, train  # noqa: PLC0415

    task = DATA[data]()
    setup = Setup(task=task) if state_size is None else Setup(task=task, state_size=state_size)
    graph = make_graph(setup, task, max(setup.defaults.num_steps), seed=0)
    clock = SessionClock()
    with tempfile.TemporaryDirectory() as folder, graph.session() as session, clock.watching(tf.Session):
        started = time.perf_counter()
        result = train(
            graph,
            task,
            seconds=seconds,
            out=Path(folder) / "run",
            session=session,
            callbacks=[ProgressLine()],
        )
        spent = time.perf_counter() - started
        return Share(spent, clock.seconds, result.seconds, clock.step_seconds, result.updates)


def answer_seconds(words: Sequence[str], repeats: int) -> float:
    """Median duration of `python -m tf_rnn` with the given arguments, in seconds."""
    times = []
    for _ in range(repeats):
        started = time.perf_counter()
        command = [sys.executable, "-m", "tf_rnn", *words]
        subprocess.run(command, capture_output=True, check=False, cwd=ROOT)
        times.append(time.perf_counter() - started)
    return statistics.median(times)


def overhead_table(share: Share, answers: dict[str, float]) -> Table:
    """Tabulates the measurements beside their targets."""
    milliseconds = 1000 * share.seconds / max(1, share.updates)
    rows = [
        ["training, inside session runs", f"{share.step_share:.1%}", f"at least {targets.SESSION_SHARE:.0%}"],
        ["train, inside session runs", f"{share.share:.1%}", "with evaluations, checkpoints and summaries"],
        ["train, total", f"{share.seconds:.1f} s", f"{share.updates} updates of {milliseconds:.2f} ms"],
    ]
    for name, seconds in answers.items():
        rows.append([f"latency, {name}", f"{seconds:.2f} s", f"at most {targets.START_SECONDS:g} s"])
    return Table("Overhead outside session runs", ["", "measured", ""], rows)


def parser() -> Parser:
    """Builds the argument parser."""
    made = Parser(
        argument_default=None,
        prog=NAME,
        description="Measures the fraction of a training run spent inside session runs, and how long the "
        "command line takes to answer without loading TensorFlow.",
        allow_abbrev=False,
    )
    made.add_argument(
        "--data",
        type=typed(Choice(tuple(DATA))),
        default="text",
        metavar="NAME",
        help=f"{', '.join(DATA)}; default text",
    )
    made.add_argument(
        "--seconds", type=typed(Number(above=0)), default=20.0, metavar="S", help="training time, default 20"
    )
    made.add_argument(
        "--state-size", type=typed(Whole()), metavar="N", help="units, default as in `tf_rnn train`"
    )
    made.add_argument(
        "--repeats", type=typed(Whole()), default=5, metavar="N", help="runs of each command line, default 5"
    )
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Runs the command.

    Args:
        words: Command-line arguments, by default `sys.argv[1:]`.

    Returns:
        The exit status; see `exit_status`.
    """
    return exit_status(NAME, functools.partial(_run, parser().parse_args(words)))


def _run(arguments: argparse.Namespace) -> None:
    answers = {name: answer_seconds(words, arguments.repeats) for name, words in ANSWERS.items()}
    share = session_share(arguments.data, arguments.seconds, arguments.state_size)
    output().print(overhead_table(share, answers).rich())


if __name__ == "__main__":
    sys.exit(main())
