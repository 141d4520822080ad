"""Resuming a run from its folder alone."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.files import as_path
from tf_rnn.graph.describe import described_graph
from tf_rnn.options import OptionError
from tf_rnn.tasks import described_task
from tf_rnn.training.loop import train
from tf_rnn.training.plan import Plan
from tf_rnn.training.resume_rules import CHANGES
from tf_rnn.training.run_folder import saved_config

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from tf_rnn.tasks import Task
    from tf_rnn.training.callbacks import Callback
    from tf_rnn.training.result import TrainingResult


def resume(
    folder: str | os.PathLike[str],
    *,
    epochs: float | None = None,
    tokens: float | None = None,
    updates: float | None = None,
    seconds: float | None = None,
    data: str | os.PathLike[str] | None = None,
    task: Task | None = None,
    threads: int | None = None,
    callbacks: Sequence[Callback] | None = None,
    **changes: Any,
) -> TrainingResult:
    """Resumes the run in a folder: graph, task and plan are those of its configuration.

    Args:
        folder: The folder that `train` saved the run in.
        epochs: Total length of training, counted from the start of the run; this or one of the next
            three. Default: the length that the run was started with.
        tokens: The same, in rows times time steps.
        updates: The same, in training steps.
        seconds: The same, in seconds of training, without evaluations.
        data: The text of a language task, if it has been moved.
        task: The task; needed only if it is not one of `tf_rnn.tasks`.
        threads: See `UnrolledGraph.session`; with 1 the result is that of an uninterrupted run bit for bit.
        callbacks: See `train`.
        **changes: `num_steps`, `batch_size`, `learning_rate`, `clip_norm`, `recompute` or `patience` for
            the rest of the run.

    Raises:
        OptionError: (a ValueError) If there is no run to resume, an option is not allowed, or the data
            have changed.
        DivergedError: See `train`.
        KeyboardInterrupt: See `train`.
    """
    path = as_path("resume", folder)
    for name in changes:
        if name not in CHANGES:
            raise OptionError(
                name, f"must stay as it is when a run is resumed; {', '.join(CHANGES)} may change"
            )
    config = saved_config(path)
    if task is None:
        task = resumed_task(config["task"], data)
    training = config["training"] | {name: changes.pop(name) for name in ("patience",) if name in changes}
    plan = Plan.from_config(training)
    sizes = config["graph"] | changes
    task.blocks(sizes["batch_size"], sizes["num_steps"])  # before a graph is made that is much too wide
    graph = described_graph(config, **changes)
    with graph.session(threads) as session:
        return train(
            graph,
            task,
            epochs=epochs,
            tokens=tokens,
            updates=updates,
            seconds=seconds,
            state=plan.state,
            evaluations=plan.evaluations,
            truncation=plan.truncation,
            schedule=plan.schedule,
            patience=plan.patience,
            seed=plan.seed,
            resume=path,
            session=session,
            callbacks=callbacks,
        )


def resumed_task(saved: dict[str, Any], data: str | os.PathLike[str] | None = None) -> Task:
    """The task of a run that is resumed.

    Args:
        saved: The part "task" of the run's configuration.
        data: The text, if it has been moved.

    Raises:
        OptionError: For `data`, if it is not the text that the run was started with.
    """
    task = described_task(saved, **({"data": data} if data else {}))
    if getattr(task, "sha256", None) != saved.get("sha256"):
        raise OptionError("data", "must be the text that the run was started with; this is another one")
    return task
