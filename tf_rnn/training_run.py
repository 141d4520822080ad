"""Training runs: checked before they start, and values when they are done."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, Self

from tf_rnn.console import busy, say
from tf_rnn.files import CONFIG, SUMMARIES, as_path, is_own_file, is_there, read_config, write_text
from tf_rnn.options import SCHEDULES_OVER_BUDGET, OptionError, call_text, unexpected
from tf_rnn.options.declared import LENGTH_OPTIONS, START_FROM
from tf_rnn.options.file import RUN_FILE, options_text, overridden, read_options
from tf_rnn.processor import precision_lines
from tf_rnn.run_config import RUN_OPTIONS, SCHEDULE, changed_graph, changed_task, require_resumable
from tf_rnn.setup import options_file
from tf_rnn.tasks import TASKS, Language, described_task
from tf_rnn.tasks.language import require_text
from tf_rnn.text import counted
from tf_rnn.training.callbacks import Callback, checked_callbacks

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.inference import Model
    from tf_rnn.reporting import Table
    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task
    from tf_rnn.training import CurvePoint, Evaluation, TrainingResult, Worker
    from tf_rnn.training.callbacks import Progress
    from tf_rnn.training.origin import Origin
    from tf_rnn.training.schedules import Schedule


@dataclasses.dataclass(frozen=True)
class Run:
    """A finished training run.

    Attributes:
        task: What was learnt.
        folder: Where the run is kept; None if nowhere.
        result: Curve, final evaluation, state and weights.
        new_updates: Training steps since the run was started or resumed.
    """

    task: Task
    folder: Path | None
    result: TrainingResult
    new_updates: int

    def __repr__(self) -> str:
        facts: dict[str, Any] = {"task": self.task, "folder": self.folder and str(self.folder)}
        facts |= {"updates": self.result.updates, "valid_loss": round(self.evaluation.loss, 4)}
        return call_text(Run, facts)

    @property
    def curve(self) -> list[CurvePoint]:
        """The evaluations, the first before any training step."""
        return self.result.curve

    @property
    def evaluation(self) -> Evaluation:
        """The last evaluation in full."""
        return self.result.evaluation

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for each evaluation after training began: the lines of `metrics.jsonl`."""
        return self.result.records

    def table(self) -> Table:
        """The learning curve as a table."""
        return self.result.table()

    def figure(self) -> Any:
        """The learning curve: a `matplotlib.figure.Figure`."""
        return self.result.figure(self.task.baselines())

    def write(self, out: str | os.PathLike[str], command: Sequence[str] = ()) -> list[Path]:
        """Writes the learning curve; see `TrainingResult.write`."""
        return self.result.write(out, command, self.task.baselines())

    @property
    def best(self) -> CurvePoint:
        """The evaluation with the lowest validation loss of trained weights."""
        return min((point for point in self.curve if point.updates), key=lambda point: point.valid_loss)

    def load(self, checkpoint: str = "best") -> Model:
        """Loads the trained model from the run's folder.

        Raises:
            OptionError: If the run is not kept in a folder.
        """
        from tf_rnn.inference import load  # noqa: PLC0415

        if self.folder is None:
            raise OptionError("out", "must be given to train to load the model from it, got None")
        return load(self.folder, checkpoint, task=self.task)


@dataclasses.dataclass(frozen=True)
class PreparedRun:
    """A training run that is checked and can be started.

    Attributes:
        task: What is learnt.
        folder: Where the run is kept; None for nowhere.
        updates: Training steps so far.
        batch_size: Rows of a batch, of all workers.
        style: The truncation style.
        options: The further arguments of `tf_rnn.train`, those that need TensorFlow apart.
        build: Makes the graph of a worker and the rest of the arguments.
        config: The configuration of a run that is resumed; None of a new one.
        origin: The trained run whose weights a new one begins with; None for random ones.
        file: The content of `run.toml`; None where the run cannot be typed.
    """

    task: Task
    folder: Path | None
    updates: int
    batch_size: int
    style: str
    options: dict[str, Any]
    build: Callable[[Worker], tuple[UnrolledGraph, dict[str, Any]]] = dataclasses.field(repr=False)
    config: dict[str, Any] | None = dataclasses.field(default=None, repr=False)
    origin: Origin | None = None
    file: str | None = dataclasses.field(default=None, repr=False)

    @property
    def is_language(self) -> bool:
        """Whether the task is text."""
        return isinstance(self.task, Language)

    @property
    def is_kept(self) -> bool:
        """Whether there is something in the folder to resume."""
        return self.folder is not None and is_there(self.folder, CONFIG)

    @property
    def is_over(self) -> bool:
        """Whether a run that is resumed may not be lengthened, as a schedule depends on its budget."""
        if self.config is None:
            return False
        training = self.config["training"]
        return bool(training["schedule_width"]) or training["schedule"]["name"] in SCHEDULES_OVER_BUDGET

    @classmethod
    def new(
        cls,
        setup: Setup,
        task: Task,
        training: dict[str, Any],
        amount: dict[str, float],
        folder: Path | None,
        origin: Origin | None = None,
    ) -> PreparedRun:
        """Prepares a new run; all values are checked.

        Args:
            setup: What is trained.
            task: The setup's task.
            training: The options of `TRAINING_OPTIONS`, and `patience`.
            amount: How long to train, under "epochs", "tokens", "updates" or "seconds".
            folder: Where the run is kept; None for nowhere.
            origin: The trained run whose weights it begins with; None for random ones.
        """
        seed = training["seed"]

        def build(worker: Worker) -> tuple[UnrolledGraph, dict[str, Any]]:
            from tf_rnn.graph import make_graph, remake_graph  # noqa: PLC0415
            from tf_rnn.training import Schedule, Truncation  # noqa: PLC0415

            how = task, training["num_steps"], seed, worker.num_workers, worker.reduce_gradients
            graph = remake_graph(origin.config, setup, *how) if origin else make_graph(setup, *how)
            return graph, {
                "truncation": Truncation(setup.style, setup.stride, setup.tolerance, seed),
                "schedule": Schedule(training["schedule"], **{name: training[name] for name in SCHEDULE}),
            }

        names = ("state", "evaluations", "schedule_width", "patience", "seed")
        options = {name: training[name] for name in names} | amount | {"out": folder, "start_from": origin}
        typed = training | amount | ({"start_from": str(origin.folder)} if origin else {})
        if training["schedule_width"]:
            del typed["num_steps"]
        file = options_file("train", setup, task, **typed)
        return cls(task, folder, 0, setup.batch_size, setup.style, options, build, origin=origin, file=file)

    def start(
        self,
        callbacks: Sequence[Any] | None = None,
        threads: int | None = None,
        worker: Worker | None = None,
    ) -> Run:
        """Trains.

        Args:
            callbacks: What is called during training; None shows a progress line, () nothing.
            threads: CPU threads; None for one per core.
            worker: This process, if several train together; see `tf_rnn.train`.

        Raises:
            OptionError: If callbacks are not `Callback` objects.
            DivergedError: If the loss or its gradient is not finite.
            KeyboardInterrupt: After an interrupt.
        """
        from tf_rnn.training import ProgressLine, Worker, train  # noqa: PLC0415

        given = checked_callbacks(callbacks)
        called: list[Any] = [ProgressLine()] if given is None else given
        worker = worker or Worker()
        with busy("starting TensorFlow", shown=given is None):
            graph, more = self.build(worker)
        if given is None:
            for line in (_network_line(graph), *precision_lines(graph.options.precision)):
                say(line)
        if worker.is_chief and self.folder is not None and isinstance(self.task, Language):
            from tf_rnn.inference.narrator import Narrator  # noqa: PLC0415

            separator = getattr(self.task, "document_separator", None)
            place = self.folder / SUMMARIES / "samples"
            called.append(Narrator(graph, self.task.vocabulary, place, separator, self.updates))
        if worker.is_chief and self.folder is not None and self.file is not None:
            called.append(OptionsFile(self.folder.absolute() / RUN_FILE, self.file))
        with graph.session(threads) as session:
            result = train(
                graph, self.task, **self.options, **more, session=session, callbacks=called, worker=worker
            )
        if given is None and (line := _warm_up_line(more["schedule"], result)):
            say(line)
        return Run(self.task, self.folder, result, result.updates - self.updates)


def _network_line(graph: UnrolledGraph) -> str:
    """Cell, size and number of parameters, for people."""
    layers, sizes = getattr(graph.cell, "layers", (graph.cell,)), graph.options
    network = (
        f"{counted(len(layers), 'layer')} of {counted(layers[0].output_size, 'unit')} ({layers[0].name})"
    )
    block = f"{counted(sizes.num_steps, 'step')}, batch {sizes.batch_size}"
    return f"network: {network}, {counted(graph.num_parameters, 'parameter', ',')}; graph of {block}"


def _warm_up_line(schedule: Schedule, result: TrainingResult) -> str:
    """That the learning rate has not risen to that of the schedule; "" if it has."""
    if result.updates >= schedule.warm_up_updates:
        return ""
    return (
        f"the learning rate was still rising at the end: its warm-up is {schedule.warm_up_updates} updates "
        f"long, the run {result.updates}"
    )


class OptionsFile(Callback):
    """Writes `run.toml`: of a new run at once, of a resumed one if it is trained further.

    Args:
        path: The file.
        text: Its content.
    """

    def __init__(self, path: Path, text: str) -> None:
        self._path, self._text, self._is_written = path, text, False

    def __enter__(self) -> Self:
        if not is_there(self._path):
            self._write()
        return self

    def on_progress(self, progress: Progress) -> None:
        """Writes the file at the first call."""
        if not self._is_written:
            self._write()

    def _write(self) -> None:
        write_text(self._path, self._text)
        self._is_written = True


def prepared_resume(
    folder: str | os.PathLike[str],
    given: Mapping[str, Any],
    task: Task | None = None,
    config: dict[str, Any] | None = None,
) -> PreparedRun:
    """Checks everything about a run that is to be resumed.

    Args:
        folder: Where it is kept.
        given: Options, by name; see `tf_rnn.resume`.
        task: The task; None for the one that the run names.
        config: The run's configuration, where another process has the folder; None to read the folder.

    Raises:
        OptionError: If there is no run, or it cannot be resumed with these options.
    """
    folder = as_path("resume", folder)
    for name in given:
        if name not in RUN_OPTIONS:
            raise unexpected("resume", name, RUN_OPTIONS)
    given = {name: RUN_OPTIONS[name].check(value) for name, value in given.items()}
    amounts = one_amount(given)
    updates = 0
    if config is None:
        from tf_rnn.training.run_folder import find_start, kept_config  # noqa: PLC0415

        kept = kept_config(folder)
        if kept is not None:
            require_resumable(kept, given)
        start = find_start(folder, warn=lambda _: None)  # damage is reported when the run is opened
        config = start.state.config if start else read_config(folder)  # an earlier resume may have changed it
        if kept is None:
            require_resumable(config, given)
        updates = start.state.history.updates if start else 0
    task = _same_task(folder, config["task"], changed_task(given)) if task is None else task
    training, changes = config["training"], changed_graph(given)
    graph = config["graph"] | changes
    task.blocks(graph["batch_size"], graph["num_steps"])

    def build(worker: Worker) -> tuple[UnrolledGraph, dict[str, Any]]:
        from tf_rnn.graph.describe import described_graph  # noqa: PLC0415
        from tf_rnn.training import Schedule, Truncation  # noqa: PLC0415

        own = changes | {"batch_size": graph["batch_size"] // worker.num_workers}
        return described_graph(config, worker.reduce_gradients, **own), {
            "truncation": Truncation(**training["truncation"]),
            "schedule": Schedule(**training["schedule"]),
        }

    budget = training["budget"]
    options: dict[str, Any] = dict(amounts) or {budget["kind"]: budget["amount"]}
    names = ("state", "evaluations", "schedule_width", "seed", "patience")
    options |= {name: training[name] for name in names}
    options |= {"patience": given["patience"]} if "patience" in given else {}
    options["resume"] = folder
    style = training["truncation"]["style"]
    file = _resumed_file(folder / RUN_FILE, given)
    return PreparedRun(task, folder, updates, graph["batch_size"], style, options, build, config, file=file)


def _resumed_file(path: Path, given: Mapping[str, Any]) -> str | None:
    """The content of `run.toml` with what a resumed run changes; None if there is no such file."""
    options = RUN_OPTIONS | {"start_from": START_FROM}
    if not is_own_file(path):  # a link may lead to what has no end, a pipe be one that nobody writes to
        return None
    try:
        read = read_options(path, options)
    except OptionError:  # none, or another one
        return None
    return options_text("train", overridden(read, given, options, [tuple(LENGTH_OPTIONS)]), options)


def one_amount(given: Mapping[str, Any]) -> dict[str, float]:
    """The one amount of training among options, or nothing.

    Raises:
        OptionError: If several were given, or it is not allowed.
    """
    amounts = {name: given[name] for name in LENGTH_OPTIONS if given.get(name) is not None}
    if len(amounts) > 1:
        raise OptionError(" and ".join(amounts), "must not be given together; give one of them")
    return {name: LENGTH_OPTIONS[name].check(amount) for name, amount in amounts.items()}


def _same_task(folder: Path, saved: dict[str, Any], changes: dict[str, Any]) -> Task:
    """The task of the resumed run in a folder.

    Raises:
        OptionError: For `task`, if it is not one of `tf_rnn.tasks`; for `data`, if they are not those that
            the run was started with.
    """
    if saved["name"] not in TASKS:
        raise OptionError("task", f"must be given to resume a run of a task of your own, {saved['name']!r}")
    if "data" not in changes:
        require_text(saved["options"], f"the run in {str(folder)!r}")
    task = described_task(saved, **changes)
    if getattr(task, "sha256", None) != saved.get("sha256"):
        raise OptionError("data", "must be those that the run was started with; these are others")
    return task
