"""A trained model, from the folder of its run."""

from __future__ import annotations

import dataclasses
import functools
from typing import TYPE_CHECKING, Any

from tf_rnn._tensorflow import tf
from tf_rnn.files import CHECKPOINTS, as_path, require_run, usable_config
from tf_rnn.graph import StepGraph
from tf_rnn.graph.describe import described_graph
from tf_rnn.graph.naming import weight_names
from tf_rnn.inference.evaluation import ModelEvaluator
from tf_rnn.inference.sampling import sample
from tf_rnn.inference.stepper import Stepper
from tf_rnn.inference.weights import assign_weights
from tf_rnn.options import CHECKPOINTS_TO_USE, OptionError, require_choice
from tf_rnn.tasks import make_vocabulary
from tf_rnn.training.checkpoints import Checkpoint, Checkpoints, DamagedError
from tf_rnn.training.keeper import say

if TYPE_CHECKING:
    import os
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    import numpy as np

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Vocabulary


@dataclasses.dataclass(frozen=True)
class Model:
    """A trained model.

    It unpacks: `stepper, evaluator = load(folder)`.

    Attributes:
        checkpoint: Where it comes from.
        graph: A graph of one step of one example, in a `tf.Graph` of its own.
        session: An open session of it.
        stepper: Runs it step by step, one example.
        evaluator: Gives its loss on data; see `ModelEvaluator`.
    """

    checkpoint: Checkpoint
    graph: UnrolledGraph
    session: Any
    stepper: Stepper
    evaluator: ModelEvaluator

    def __iter__(self) -> Iterator[Any]:
        return iter((self.stepper, self.evaluator))

    @property
    def config(self) -> dict[str, Any]:
        """How the run was set up: `cell`, `graph`, `task`, `training`."""
        return self.checkpoint.snapshot.config

    @property
    def description(self) -> dict[str, Any]:
        """Cell and graph, as `described_graph` takes them."""
        return {name: self.config[name] for name in ("cell", "graph")}

    @functools.cached_property
    def weights(self) -> dict[str, np.ndarray]:
        """The network's variables by name: `layer_0/W`, `readout/U`, ..."""
        values: dict[str, np.ndarray] = self.session.run(weight_names(self.graph))
        return values

    @property
    def tokens(self) -> tuple[str, ...] | None:
        """The tokens of a model of language, in the order of their classes; else None."""
        return self.checkpoint.snapshot.vocabulary

    @functools.cached_property
    def vocabulary(self) -> Vocabulary:
        """What turns text into classes and back.

        Raises:
            OptionError: If it is no model of language.
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
        seed: int | None = None,
    ) -> Iterator[str]:
        """Yields text, piece by piece as it comes; see `tf_rnn.inference.sample`."""
        return sample(
            self.stepper,
            self.vocabulary,
            prime,
            length,
            temperature=temperature,
            top_k=top_k,
            seed=seed,
        )


def load(folder: str | os.PathLike[str], checkpoint: str = "best") -> Model:
    """Loads a trained model.

    Args:
        folder: Where `train` kept a run (`out`).
        checkpoint: "best" for the lowest held-out loss, or "last".

    Raises:
        OptionError: (a ValueError) If there is no run, or none of its checkpoints is undamaged.
    """
    found = find_checkpoint(as_path("folder", folder), checkpoint)
    config = found.snapshot.config
    description = {name: config[name] for name in ("cell", "graph")}
    # As an evaluation runs it: alone, forwards.
    one_step: dict[str, Any] = {"num_steps": 1, "batch_size": 1, "optimizer": None, "dropout": 0.0}
    if config["graph"]["loss_steps"] not in ("all", "marked"):
        one_step["loss_steps"] = "all"
    graph = described_graph(description, **one_step)
    step, names = StepGraph.of(graph), weight_names(graph)
    session = graph.session()
    with graph.tf_graph.as_default():
        saver = tf.train.Saver(names)
        while not _is_restored(found, saver, session, names):
            found = find_checkpoint(found.path.parent.parent, checkpoint)
    weights = session.run(names)

    def open_session(of: UnrolledGraph) -> Any:
        # Not from the checkpoint, which a run that goes on clears away.
        opened = of.session()
        assign_weights(opened, names, weights)
        return opened

    evaluator = ModelEvaluator(graph, open_session, config["task"], found.snapshot.vocabulary)
    return Model(found, graph, session, Stepper(step, session), evaluator)


def _is_restored(found: Checkpoint, saver: Any, session: Any, variables: Mapping[str, Any]) -> bool:
    """Gives the variables their values, unless a run that goes on has cleared the checkpoint away."""
    try:
        found.restore(saver, session, variables)
    except (OSError, DamagedError) as error:
        if found.path.exists():
            raise OptionError("folder", f"must hold the variables of its configuration: {error}") from error
        return False
    return True


def find_checkpoint(folder: Path, which: str) -> Checkpoint:
    """The best or the last checkpoint of the run in a folder.

    Raises:
        OptionError: For `folder`, if there is none that is undamaged.
    """
    require_choice("checkpoint", which, CHECKPOINTS_TO_USE)
    require_run(folder)
    checkpoints = Checkpoints(folder / CHECKPOINTS)
    pick = {"best": checkpoints.best, "last": checkpoints.newest}[which]
    found = pick(say)
    if found is None:
        raise OptionError("folder", f"must have an undamaged checkpoint, {str(folder)!r} has none")
    return found.with_config(usable_config("folder", folder, found.snapshot.config))
