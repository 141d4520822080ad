"""The gradient by lag, to be shown and written; of a network that is trained for the purpose."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tf_rnn.analysis.at import InputGradients, check_at, measure_at
from tf_rnn.analysis.lags import LagAnalysis, check_lags, measure_lags
from tf_rnn.analysis.plots import at_figure, lag_figure
from tf_rnn.analysis.report import describe, lag_page, lag_records, lag_table, reference_sentence
from tf_rnn.console import say
from tf_rnn.files import plain, those_there, write_json, write_text
from tf_rnn.graph import make_graph
from tf_rnn.options import require_choice, require_whole
from tf_rnn.options.declared import LAGS_OPTIONS
from tf_rnn.options.file import RUN_FILE
from tf_rnn.options.words import REFERENCES
from tf_rnn.processor import precision_lines
from tf_rnn.reporting import Table
from tf_rnn.reporting.folder import results_folder
from tf_rnn.reporting.page import REPORTS
from tf_rnn.setup import options_file, setup_identity, setup_line
from tf_rnn.training import Evaluation, Truncation, train
from tf_rnn.training.callbacks import checked_callbacks
from tf_rnn.training.plan import require_usable

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task
    from tf_rnn.training import Callback

FILES = (*REPORTS, "lags.json", "lags.csv", "lags.png", "at.csv", "at.png", RUN_FILE)
COLUMNS = (
    *("weights", "lag", "gradient_norm", "truncation", "relative_bias", "block_bias", "cosine"),
    *("mean_bias", "mean_block_bias"),
)
AT_COLUMNS = ("position", "lag", "input", "gradient_norm")


@dataclasses.dataclass(frozen=True, kw_only=True)
class Study:
    """The gradient by lag of a network, in a form to be shown and written.

    Attributes:
        evaluation: On held-out data, of the last weights; None without training.
        identity: The configuration, ready for JSON.
        line: The configuration in words.
        lags: The lags at which the task has a dependency.
        at: What one prediction owes to each input, at the last weights; None unless a position was given.
        file: The content of `run.toml`; None for a task that has no name.
        files: The files that were written.
    """

    evaluation: Evaluation | None = dataclasses.field(repr=False)
    identity: dict[str, Any] = dataclasses.field(repr=False)
    line: str
    lags: tuple[int, ...]
    at: InputGradients | None = dataclasses.field(default=None, repr=False)
    file: str | None = dataclasses.field(default=None, repr=False)
    files: Sequence[Path] = dataclasses.field(default=(), repr=False)

    @property
    def analyses(self) -> dict[str, LagAnalysis]:
        """The analyses by name, that of the last weights last."""
        raise NotImplementedError

    @property
    def last(self) -> LagAnalysis:
        """The analysis of the last weights."""
        *_, last = self.analyses.values()
        return last

    @property
    def more_sentences(self) -> list[str]:
        """What else was found, without full stops."""
        return []

    @property
    def more_sections(self) -> list[Any]:
        """Further parts of the report."""
        return []

    @property
    def sentences(self) -> list[str]:
        """What happens to the gradient, how much truncation loses of it, and what one prediction owes."""
        said = [describe(name, analysis) for name, analysis in self.analyses.items()]
        said += [reference_sentence(name, analysis) for name, analysis in self.analyses.items()]
        said += self.more_sentences
        found = [f"{sentence}." for sentence in said if sentence]
        return [*found, self.at.sentence] if self.at else found

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each lag, of the untrained network first; as in `lags.csv`."""
        return [record for name, analysis in self.analyses.items() for record in lag_records(name, analysis)]

    def table(self) -> Table:
        """Some of the lags, at the last weights."""
        return lag_table(self.last)

    def figure(self) -> Any:
        """The gradient's norm by lag, and the bias of truncation: a `matplotlib.figure.Figure`."""
        return lag_figure(self.analyses, self.lags, f"Where the gradient goes\n{self.line}")

    def at_figure(self) -> Any:
        """What one prediction owes to each input, a `matplotlib.figure.Figure`; None without a position."""
        return at_figure(self.at, f"What one prediction owes to its inputs\n{self.line}") if self.at else None

    def as_json(self) -> dict[str, Any]:
        """The content of `lags.json`."""
        content = {
            "task": self.identity["task"],
            "cell": self.identity["cell"],
            "config": self.identity,
            **dataclasses.asdict(self.last),
            "loss": self.evaluation.loss if self.evaluation else None,
        }
        content |= {"at": dataclasses.asdict(self.at)} if self.at else {}
        plain_content: dict[str, Any] = plain(content)
        return plain_content

    def write(self, out: str | os.PathLike[str], command: Sequence[str] = ()) -> list[Path]:
        """Writes the page, `lags.json`, `lags.csv` and `lags.png`; with a position `at.csv` and `at.png`.

        Args:
            out: The folder.
            command: The command line to show in the report, without `python -m tf_rnn`.

        Returns:
            The files.

        Raises:
            OptionError: For `out`, if it cannot be written or holds other results.
        """
        with results_folder(out, self.identity) as folder:
            self.write_files(folder, command)
        return those_there(folder, FILES, out)

    def write_files(self, folder: Path, command: Sequence[str]) -> None:
        """Writes the files to a folder that is claimed and locked; see `write`."""
        write_json(folder / "lags.json", self.as_json())
        if self.file:
            write_text(folder / RUN_FILE, self.file)
        write_text(folder / "lags.csv", Table.of_records("", self.records, COLUMNS).csv())
        if self.at:
            write_text(folder / "at.csv", Table.of_records("", self.at.records, AT_COLUMNS).csv())
        lag_page(self, command).write(folder)


@dataclasses.dataclass(frozen=True, kw_only=True)
class LagStudy(Study):
    """The gradient by lag before and after training.

    Attributes:
        untrained: At the initial weights.
        trained: After training; None without training.
    """

    untrained: LagAnalysis = dataclasses.field(repr=False)
    trained: LagAnalysis | None = dataclasses.field(repr=False)

    @property
    def analyses(self) -> dict[str, LagAnalysis]:
        """The analyses by name: "untrained" and, if there is one, "trained"."""
        found = {"untrained": self.untrained, "trained": self.trained}
        return {name: analysis for name, analysis in found.items() if analysis is not None}

    def as_json(self) -> dict[str, Any]:
        """The content of `lags.json`."""
        untrained: dict[str, Any] = plain(dataclasses.asdict(self.untrained))
        return super().as_json() | {"untrained": untrained}


def study_lags(
    setup: Setup,
    task: Task,
    num_steps: int,
    *,
    tokens: float,
    state: str = "carry",
    reference: str = "widest",
    at: int | None = None,
    seed: int = 0,
    callbacks: Sequence[Callback] | None = None,
    threads: int | None = None,
    out: str | os.PathLike[str] | None = None,
    command: Sequence[str] = (),
) -> LagStudy:
    """Trains one network at a width, and measures the gradient over that width before and after.

    Args:
        setup: The network and its training.
        task: What is learnt.
        num_steps: The width to train at, and how far back to look.
        tokens: How long to train, in examples times steps; 0 for no training.
        state: "carry" or "reset".
        reference: See `measure_lags`.
        at: A position in the held-out data whose prediction is looked at, see `measure_at`; None for none.
        seed: For weights and dropout.
        callbacks: Called during training; None shows a progress line, () nothing.
        threads: See `UnrolledGraph.session`.
        out: A folder to write the results to, see `LagStudy.write`; it is claimed before training.
        command: The command line to show in the report, without `python -m tf_rnn`.

    Raises:
        OptionError: If an option is not allowed.
        DivergedError: If the loss is not finite.
    """
    require_whole("seed", seed, at_least=0)
    require_choice("reference", reference, REFERENCES)
    check_lags(setup, task, num_steps, reference)
    require_usable(task)
    if at is not None:
        check_at(task, num_steps, at)
    callbacks = checked_callbacks(callbacks)
    identity = lag_identity(
        setup, task, num_steps, tokens=tokens, state=state, reference=reference, seed=seed, at=at
    )
    if out is not None:
        with results_folder(out, identity) as folder:
            study = _study(setup, task, identity, callbacks, threads)
            study.write_files(folder, command)
        return dataclasses.replace(study, files=those_there(folder, FILES, out))
    return _study(setup, task, identity, callbacks, threads)


def _study(
    setup: Setup,
    task: Task,
    identity: dict[str, Any],
    callbacks: Sequence[Callback] | None,
    threads: int | None,
) -> LagStudy:
    num_steps, tokens, state, seed = (identity[name] for name in ("num_steps", "tokens", "state", "seed"))
    graph = make_graph(setup, task, num_steps, seed)
    measure = functools.partial(measure_lags, reference=identity["reference"])
    trained = evaluation = None
    for line in precision_lines(setup.precision) if callbacks is None else ():
        say(line)
    with graph.session(threads=threads) as session:
        untrained = measure(graph, session, task, num_steps)
        if tokens:
            result = train(
                graph,
                task,
                tokens=tokens,
                state=state,
                evaluations=1,
                truncation=Truncation(setup.style, setup.stride, setup.tolerance, seed),
                seed=seed,
                session=session,
                callbacks=callbacks,
            )
            trained, evaluation = measure(graph, session, task, num_steps), result.evaluation
        position = identity.get("at")
        at = None if position is None else measure_at(graph, session, task, num_steps, position, state)
    line = setup_line(setup, f"{tokens:,.10g} tokens")
    own = {name: identity[name] for name in LAGS_OPTIONS if name in identity}
    return LagStudy(
        untrained=untrained,
        trained=trained,
        evaluation=evaluation,
        identity=identity,
        line=line,
        lags=task.lags,
        at=at,
        file=options_file("lags", setup, task, **own),
    )


def lag_identity(
    setup: Setup,
    task: Task,
    num_steps: int,
    *,
    tokens: float,
    state: str,
    reference: str,
    seed: int,
    at: int | None = None,
) -> dict[str, Any]:
    """Everything that the results of `study_lags` depend on, ready for JSON."""
    run = {"num_steps": num_steps, "tokens": tokens, "state": state, "reference": reference, "seed": seed}
    run |= {} if at is None else {"at": at}
    return setup_identity(setup, task) | {"task": task.name} | run
