"""Loading a trained model from the folder of its run."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tf_rnn.files import CHECKPOINTS, as_path, require_run, usable_config
from tf_rnn.graph import StepGraph
from tf_rnn.graph.describe import described_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.evaluation import ModelEvaluator
from tf_rnn.inference.sampling import sample
from tf_rnn.inference.stepper import Stepper
from tf_rnn.inference.weights import session_without
from tf_rnn.options import OptionError, call_text, shown
from tf_rnn.options.declared import CHECKPOINT
from tf_rnn.options.words import FLOAT32
from tf_rnn.tasks import TASKS, Task, make_vocabulary
from tf_rnn.training.checkpoints import Checkpoint, Checkpoints
from tf_rnn.training.plan import check_fit
from tf_rnn.training.state import restore

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator
    from pathlib import Path

    import numpy as np

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.inference.forecasting import Forecast
    from tf_rnn.inference.labelling import Named
    from tf_rnn.tasks import Vocabulary


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained model.

    It unpacks: `stepper, evaluator = load(folder)`. Threads may share it: they may sample and evaluate at
    the same time. `stepper` alone has a state, see `Stepper`.

    Attributes:
        checkpoint: The checkpoint that it was loaded from.
        graph: A graph of one step of one example, in a `tf.Graph` of its own.
        session: An open session of it.
        stepper: Runs it step by step on one example.
        evaluator: Measures its loss on data; see `ModelEvaluator`.
    """

    checkpoint: Checkpoint = dataclasses.field(repr=False)
    graph: UnrolledGraph
    session: Any
    stepper: Stepper
    evaluator: ModelEvaluator

    def __repr__(self) -> str:
        facts = {
            "task": self.config["task"]["name"],
            "cell": self.graph.cell,
            "checkpoint": self.checkpoint.number,
        }
        return call_text(Model, facts)

    def __iter__(self) -> Iterator[Any]:
        return iter((self.stepper, self.evaluator))

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the run: `cell`, `graph`, `task`, `training`."""
        return self.checkpoint.state.config

    @property
    def description(self) -> dict[str, Any]:
        """Cell and graph, for `described_graph`."""
        return {name: self.config[name] for name in ("cell", "graph")}

    @functools.cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The network's variables by name: `layer_0/W`, `readout/U`, ..."""
        values: dict[str, np.ndarray] = self.session.run(weight_names(self.graph))
        return values

    @property
    def tokens(self) -> tuple[str, ...] | None:
        """The tokens of a language model, in the order of their classes; else None."""
        return self.checkpoint.state.vocabulary

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """Converts text to classes and back.

        Raises:
            OptionError: If it is not a language model.
        """
        task = self.config["task"]["name"]
        if self.tokens is None:
            raise OptionError("model", f"must be one of language, got one of the task {task}")
        return make_vocabulary(task, self.tokens)

    def sample(
        self,
        prime: str = "",
        length: int = 500,
        *,
        temperature: float = 0.8,
        top_k: int = 0,
        until: str | None = None,
        seed: int | None = None,
    ) -> Iterator[str]:
        """Yields text token by token; see `tf_rnn.inference.sample`."""
        return sample(
            self.stepper,
            self.vocabulary,
            prime,
            length,
            temperature=temperature,
            top_k=top_k,
            until=until,
            seed=seed,
            document_separator=self.config["task"]["options"].get("document_separator"),
        )

    def forecast(
        self,
        horizon: int | None = None,
        data: Any = None,
        *,
        encoding: str | None = None,
        hold_back: int = 0,
    ) -> Forecast:
        """Predicts what follows a table; see `tf_rnn.inference.forecasting.forecast`."""
        from tf_rnn.inference.forecasting import forecast  # noqa: PLC0415 -- which reads models

        return forecast(self, horizon, data, encoding=encoding, hold_back=hold_back)

    def label(self, data: Any = None, *, encoding: str | None = None) -> Named:
        """Names the class of every row or series of a table; see `tf_rnn.inference.labelling.label`."""
        from tf_rnn.inference.labelling import label  # noqa: PLC0415 -- which reads models

        return label(self, data, encoding=encoding)


def load(
    folder: str | os.PathLike[str], checkpoint: str | int = "best", *, task: Task | None = None
) -> Model:
    """Loads a trained model.

    Args:
        folder: The folder in which `train` saved a run (`out`).
        checkpoint: "best" for the lowest validation loss, "last", or the number of a checkpoint.
        task: The task to evaluate on; needed only if it is not one of `tf_rnn.tasks`.

    Raises:
        OptionError: (a ValueError) If there is no run, or none of its checkpoints is undamaged, or the
            model does not take the task's inputs and targets.
    """
    found = find_checkpoint(as_path("folder", folder), checkpoint)
    config = found.state.config
    description = {name: config[name] for name in ("cell", "graph")}
    # As for an evaluation: one example, forward only.
    one_step: dict[str, Any] = {"num_steps": 1, "batch_size": 1, "optimizer": None, "dropout": 0.0}
    one_step["precision"] = FLOAT32
    if config["graph"]["loss_steps"] not in ("all", "marked"):
        one_step["loss_steps"] = "all"
    graph = described_graph(description, **one_step)
    own = _own_task(task, config["task"]["name"], graph)
    step, names = StepGraph.of(graph), weight_names(graph)

    def open_session(of: UnrolledGraph) -> Any:
        opened = session_without(of, names.values())
        restore("folder", opened, names, found.state.variables)
        return opened

    session = open_session(graph)
    evaluator = ModelEvaluator(graph, open_session, config["task"], found.state.vocabulary, own)
    return Model(found, graph, session, Stepper(step, session), evaluator)


def _own_task(task: Task | None, name: str, graph: UnrolledGraph) -> Task | None:
    """A task that is not one of `tf_rnn.tasks`; None for one that the run's folder describes.

    Raises:
        OptionError: If the task is of another name, or does not fit the graph.
    """
    if task is None:
        return None
    if not isinstance(task, Task):
        raise OptionError("task", f"must be a Task, got {shown(task)}")
    if task.name != name:
        raise OptionError("task", f"must be the task of the run, {name!r}, got {task.name!r}")
    check_fit(graph, task)
    return None if name in TASKS else task


def find_checkpoint(folder: Path, which: str | int) -> Checkpoint:
    """The best, the last or a numbered checkpoint of the run in a folder.

    Raises:
        OptionError: For `folder`, if there is no undamaged one, or it cannot be read; for `checkpoint`, if
            there is none with this number, or it is damaged.
    """
    which = CHECKPOINT.check(which)
    require_run(folder)
    checkpoints = Checkpoints(folder / CHECKPOINTS, "folder")
    found: Checkpoint | None
    if isinstance(which, int):
        found = checkpoints.numbered(which)
    else:
        found = checkpoints.best() if which == "best" else checkpoints.newest()
    if found is None:
        raise OptionError("folder", f"must have an undamaged checkpoint, {str(folder)!r} has none")
    return found.with_config(usable_config("folder", folder, found.state.config))
