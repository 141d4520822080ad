"""How far back a trained network looks, and what a window cuts off."""

from __future__ import annotations

import dataclasses
import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.analysis.at import check_at, measure_at
from tf_rnn.analysis.lags import check_data, measure_lags
from tf_rnn.analysis.plots import lag_figure
from tf_rnn.analysis.positions import measure_positions
from tf_rnn.analysis.study import FILES, Study
from tf_rnn.files import plain, those_there
from tf_rnn.options import OptionError
from tf_rnn.reporting import Heading, Table
from tf_rnn.reporting.folder import results_folder
from tf_rnn.setup import GENERAL
from tf_rnn.tasks.constant import constant_loss
from tf_rnn.text import counted, loss_text

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence

    from tf_rnn.analysis.lags import LagAnalysis
    from tf_rnn.analysis.positions import ByPosition
    from tf_rnn.inference import Model
    from tf_rnn.tasks import Task
    from tf_rnn.training import Evaluation

# About how many tokens are read for the loss by context, each way.
MOST_TOKENS = 100_000
# Losses that differ by less than this part of them count as equal.
AS_GOOD = 0.01
# Rows are at least so many times as long as is looked back, where the data are long enough.
LEAST_POSITIONS = 10
SHOWN_STEPS = (1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500)
CONTEXT_NOTE = """\
**loss** is that of predictions so many steps after a fresh state, when the network knows so many inputs;
**with all of the past** that of the same predictions by a state that is carried on."""


@dataclasses.dataclass(frozen=True, kw_only=True)
class ModelStudy(Study):
    """How far back a trained network looks.

    Attributes:
        analysis: The gradient by lag, and what truncation loses of it.
        context: The loss by the number of steps since a fresh state.
        evaluation: On the held-out data, the state carried through all of them.
        margin: The difference of losses that counts as none.
        unit: The unit of losses.
        window: A width of which it is said what it cuts off; None for none.
        notes: Lines about what is read as something else.
    """

    analysis: LagAnalysis = dataclasses.field(repr=False)
    context: ByPosition = dataclasses.field(repr=False)
    evaluation: Evaluation
    margin: float
    unit: str
    window: int | None = None
    notes: list[str] = dataclasses.field(default_factory=list)

    @property
    def analyses(self) -> dict[str, LagAnalysis]:
        """The analysis, as "model"."""
        return {"model": self.analysis}

    @property
    def needed_context(self) -> int | None:
        """After how many steps a fresh state is as good as one carried on; None if not so soon."""
        excess = self._excess
        measured = np.flatnonzero(np.isfinite(excess))
        worse = measured[excess[measured] > self.margin]
        after = measured[measured > max(worse, default=-1)]
        return int(after[0]) + 1 if len(after) else None

    @property
    def _excess(self) -> np.ndarray:
        fresh, carried = (np.array(part, float) for part in (self.context.fresh, self.context.carried))
        return np.asarray(fresh - carried)

    def _loss(self, value: float | None) -> str:
        return "unknown" if value is None else f"{loss_text(value, self.unit)} {self.unit}"

    @property
    def more_sentences(self) -> list[str]:
        """The loss, how much context it takes, and what the window cuts off."""
        steps = counted(self.evaluation.tokens, "held-out step", ",")
        loss = f"model: its loss on {steps} is {self._loss(self.evaluation.loss)}"
        found = [loss, self._context_sentence, self._lasting_sentence]
        return [*filter(None, found), *([self._window_sentence] if self.window else []), *self.notes]

    @property
    def _context_sentence(self) -> str:
        context, excess = self.context, self._excess
        measured = np.flatnonzero(np.isfinite(excess))
        if not len(measured):
            return "model: too few held-out steps have a loss to say how much context it uses"
        last, needed = int(measured[-1]) + 1, self.needed_context
        steps = counted(needed or last, "step")
        fresh, carried = (self._loss(part[(needed or last) - 1]) for part in (context.fresh, context.carried))
        losses = f"with these the loss is {fresh}, with all of the past {carried}"
        if needed is None:
            return f"model: it uses more than {steps} of context: {losses}"
        more = self._loss(self.margin)
        return f"model: it uses {steps} of context: {losses}, and more steps gain less than {more}"

    @property
    def _lasting_sentence(self) -> str:
        """Where a state that is carried on is worse than a fresh one; empty if nowhere."""
        gain = -self._excess - 2 * np.array(self.context.errors, float)
        if not np.nanmax(gain, initial=0.0) > self.margin:
            return ""
        best = int(np.nanargmax(gain))
        fresh, carried = (self._loss(part[best]) for part in (self.context.fresh, self.context.carried))
        return (
            f"model: its state does not last: {counted(best + 1, 'step')} after a reset the loss is {fresh}, "
            f"without one {carried}; reset it, or train with the state carried"
        )

    @property
    def _window_sentence(self) -> str:
        width, found, context = self.window or 1, self.analysis, self.context
        past = "the whole past" if found.reference == "infinite" else counted(len(found.lags), "step")
        blocks, each = (part[width - 1] for part in (found.block_bias, found.relative_bias))
        lost = (
            f"a window of {width} cuts off, of the gradient over {past}, {blocks:.1%} in blocks, "
            f"{each:.1%} if every error is followed back over all of it"
        )
        if width > len(context.fresh):
            return lost
        fresh, carried = (self._loss(part[width - 1]) for part in (context.fresh, context.carried))
        losses = f"the loss is {fresh}, with all of the past {carried}"
        return f"{lost}; with {counted(width, 'step')} of context {losses}"

    def context_table(self) -> Table:
        """The loss by context, at some numbers of steps."""
        shown = sorted({*SHOWN_STEPS, self.window or 1})
        rows = [
            [
                str(step),
                *(self._loss(losses[step - 1]) for losses in (self.context.fresh, self.context.carried)),
            ]
            for step in shown
            if step <= len(self.context.fresh)
        ]
        return Table("What context is worth", ("steps of context", "loss", "with all of the past"), rows)

    @property
    def more_sections(self) -> list[Any]:
        """The loss by context."""
        return [Heading("Context"), self.context_table(), CONTEXT_NOTE]

    def figure(self) -> Any:
        """The gradient's norm by lag, the bias of truncation and the loss by context: a matplotlib figure."""
        title = f"How far back it looks\n{self.line}"
        return lag_figure(self.analyses, self.lags, title, self.context, self.unit, self.window)

    def as_json(self) -> dict[str, Any]:
        """The content of `lags.json`."""
        more = {"context": dataclasses.asdict(self.context), "needed_context": self.needed_context}
        plain_more: dict[str, Any] = plain(more | {"window": self.window})
        return super().as_json() | plain_more


def study_model(
    model: Model,
    task: Task,
    identity: dict[str, Any],
    title: str = "model",
    out: str | os.PathLike[str] | None = None,
    command: Sequence[str] = (),
) -> ModelStudy:
    """Measures how far back a trained network looks; nothing is trained.

    Args:
        model: The network.
        task: The data; the held-out ones are read.
        identity: From `model_identity`, of these.
        title: What to call the network.
        out: A folder to write the results to; it is claimed first.
        command: The command line to show in the report, without `python -m tf_rnn`.

    Raises:
        OptionError: For `out`, if it cannot be written or holds other results.
    """
    line = f"{title}: {_in_words(model)}, task {task.name}"
    if out is None:
        return _study(model, task, identity, line)
    with results_folder(out, identity) as folder:
        study = _study(model, task, identity, line)
        study.write_files(folder, command)
    return dataclasses.replace(study, files=those_there(folder, FILES, out))


def model_identity(
    model: Model,
    task: Task,
    num_steps: int | None = None,
    *,
    batch_size: int | None = None,
    reference: str = "widest",
    window: int | None = None,
    at: int | None = None,
) -> dict[str, Any]:
    """Everything that the results of `study_model` depend on, ready for JSON, after checking it.

    Args:
        model: The network.
        task: The data.
        num_steps: How far back to look; None for what suits the task, and twice the window at least.
        batch_size: Rows that are read in parallel; None for what suits the task and its length.
        reference: See `measure_lags`.
        window: A width of at most `num_steps`, of which it is said what it cuts off.
        at: A position in the held-out data whose prediction is looked at, see `measure_at`.

    Raises:
        OptionError: If the options do not suit the data or each other.
    """
    defaults = getattr(task, "defaults", GENERAL)
    if num_steps is None:
        num_steps = max(defaults.longest, 2 * (window or 0))
    if batch_size is None:
        batch_size = min(defaults.batch_size, max(1, task.length("valid") // (LEAST_POSITIONS * num_steps)))
    if window is not None and window > num_steps:
        raise OptionError("window", f"must be at most num_steps ({num_steps}), got {window}")
    check_data(task, batch_size, num_steps, reference)
    if at is not None:
        check_at(task, num_steps, at)
    layers = model.config["cell"]
    return {
        "task": task.name,
        "cell": "-".join(dict.fromkeys(layer["cell"] for layer in layers)),
        "state_size": layers[0]["state_size"],
        "layers": layers,
        "weights_sha256": _digest(model),
        "task_options": task.options(),
        "data_sha256": getattr(task, "sha256", None),
        "num_steps": num_steps,
        "batch_size": batch_size,
        "reference": reference,
        "window": window,
        "at": at,
    }


def _study(model: Model, task: Task, identity: dict[str, Any], line: str) -> ModelStudy:
    num_steps, rows, at = identity["num_steps"], identity["batch_size"], identity["at"]
    graph = model.graph.forward(num_steps=num_steps, batch_size=rows)
    evaluation = model.evaluator.on(task, batch_size=rows)
    return ModelStudy(
        analysis=measure_lags(graph, model.session, task, num_steps, reference=identity["reference"]),
        context=measure_positions(graph, model.session, task, num_steps, MOST_TOKENS),
        evaluation=evaluation,
        margin=AS_GOOD * max(abs(evaluation.loss), abs(constant_loss(task) - evaluation.loss)),
        unit=task.unit,
        window=identity["window"],
        identity=identity,
        line=line,
        lags=task.lags,
        notes=task.notes(),
        at=None if at is None else measure_at(graph, model.session, task, num_steps, at),
    )


def _digest(model: Model) -> str:
    digest = hashlib.sha256()
    for name, value in sorted(model.weights.items()):
        digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
        digest.update(np.ascontiguousarray(value).tobytes())
    return digest.hexdigest()


def _in_words(model: Model) -> str:
    """The layers of a network: `lstm 64, gru 32`."""
    return ", ".join(f"{layer['cell']} {layer['state_size']}" for layer in model.config["cell"])
