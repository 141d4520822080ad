"""TensorBoard event files: curves, and now and then the gradient by lag."""

from __future__ import annotations

import contextlib
import itertools
import math
import os
import socket
import time
from typing import TYPE_CHECKING, Any, Self

from tf_rnn._tensorflow import tf
from tf_rnn.options import OptionError
from tf_rnn.text import perplexity
from tf_rnn.training.callbacks import Callback, figures
from tf_rnn.training.probe import GradientProbe

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path
    from types import TracebackType

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Task
    from tf_rnn.training.callbacks import Progress
    from tf_rnn.training.state import CurvePoint

NUMBERS = itertools.count()


class TensorBoard(Callback):
    """Writes progress and evaluations as TensorFlow's event files.

    Beside curves over updates, `gradient_by_lag/update_...` are curves over the lag: the mean norm of
    dL_t / dS_{t-lag}, measured on the first blocks of the split "train" after evaluations 1, 2, 4, 8,
    and so on.

    Args:
        folder: Folder of the event files.
        graph: The graph whose gradients are measured.
        task: The task whose data they are measured on.
        evaluations: Number of earlier evaluations, of a run that is resumed.
        updates: Training steps after which it is resumed; an evaluation there is no news.

    Raises:
        OptionError: For `out`, if a file cannot be written.
    """

    def __init__(
        self, folder: Path, graph: UnrolledGraph, task: Task, evaluations: int = 0, updates: int = 0
    ) -> None:
        self._folder, self._graph, self._task = folder, graph, task
        self._evaluations = evaluations
        self._known = updates if evaluations else -1
        self._probe: GradientProbe | None = None
        self._is_entropy = task.unit == "nats"

    def __enter__(self) -> Self:
        self._writer = EventWriter(self._folder)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._writer.__exit__(kind, error, traceback)

    def on_progress(self, progress: Progress) -> None:
        """Writes the training loss, the gradient's norm, the learning rate and the speed."""
        self._write(self._losses("train", progress.loss) | figures(progress), progress.updates)

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Writes the validation loss, and now and then the gradient by lag."""
        if point.updates == self._known:
            return
        self._write(self._losses("valid", point.valid_loss), point.updates)
        self._evaluations += 1
        if self._evaluations & (self._evaluations - 1) == 0:
            self._write_gradient(point.updates, session)
        self._writer.flush()

    def _losses(self, split: str, loss: float) -> dict[str, float]:
        values = {f"loss/{split}": loss}
        return values | ({f"perplexity/{split}": perplexity(loss)} if self._is_entropy else {})

    def _write(self, values: Mapping[str, float], step: int) -> None:
        write_scalars(self._writer, values, step)

    def _write_gradient(self, updates: int, session: Any) -> None:
        rows = self._task.rows(self._graph.batch_size, "train")
        self._probe = self._probe or GradientProbe(self._graph, session)
        norms = self._probe.norms(rows, 0, self._graph.zero_state())
        with EventWriter(self._folder / f"gradient_by_lag/update_{updates:08d}") as writer:
            for lag, norm in enumerate(norms):
                write_scalars(writer, {"gradient_by_lag": float(norm)}, lag)


class EventWriter:
    """Writes a TensorFlow event file.

    Unlike TensorFlow's own writer it is synchronous, so that write errors reach the caller. The file is made
    when there is something to write.

    Args:
        folder: Folder of the file.
        flush_seconds: Seconds after which what was added is in the file at the latest.

    Raises:
        OptionError: For `out`, in every method, if the file cannot be written.
    """

    def __init__(self, folder: Path, flush_seconds: float = 10.0) -> None:
        self._folder, self._flush_seconds = folder, flush_seconds
        self._file: Any = None

    def _open(self) -> None:
        # As TensorFlow names them: in the order of time, and all different.
        place = (f"{time.time():.0f}", socket.gethostname(), str(os.getpid()), str(next(NUMBERS)))
        with _writing():
            tf.io.gfile.makedirs(str(self._folder))
            self._file = tf.io.TFRecordWriter(str(self._folder / ".".join(["events.out.tfevents", *place])))
        self._write(file_version="brain.Event:2")
        self._flushed = time.monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if self._file is None:
            return
        if kind is None:
            with _writing():
                self._file.close()
        else:  # the first error is the one to report
            with contextlib.suppress(Exception):
                self._file.close()

    def add(self, summary: Any, step: int) -> None:
        """Adds a summary."""
        if self._file is None:
            self._open()
        self._write(summary=summary, step=step)
        if time.monotonic() >= self._flushed + self._flush_seconds:
            self.flush()

    def flush(self) -> None:
        """Writes what was added to the file."""
        if self._file is not None:
            with _writing():
                self._file.flush()
        self._flushed = time.monotonic()

    def _write(self, **fields: Any) -> None:
        event = tf.Event(wall_time=time.time(), **fields)
        with _writing():
            self._file.write(event.SerializeToString())


@contextlib.contextmanager
def _writing() -> Iterator[None]:
    """Turns the errors of TensorFlow's writers, which are of all kinds, into OptionError for `out`."""
    try:
        yield
    except Exception as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise OptionError("out", f"could not be written: {reason}") from error


def write_scalars(writer: EventWriter, values: Mapping[str, float], step: int) -> None:
    """Writes numbers under their names, except those that are not finite."""
    summary = tf.Summary()
    for tag, value in values.items():
        if math.isfinite(value):
            summary.value.add(tag=tag, simple_value=value)
    writer.add(summary, step)


def write_text(writer: EventWriter, tag: str, text: str, step: int) -> None:
    """Writes a text for TensorBoard's text pages, which show it unchanged."""
    plugin = tf.SummaryMetadata.PluginData(plugin_name="text")
    metadata = tf.SummaryMetadata(plugin_data=plugin)
    indented = "\n".join(f"    {line}" for line in text.splitlines())  # unchanged, in Markdown
    summary = tf.Summary()
    summary.value.add(tag=tag, metadata=metadata, tensor=tf.make_tensor_proto(indented, dtype=tf.string))
    writer.add(summary, step)
