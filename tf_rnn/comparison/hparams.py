"""A comparison for TensorBoard: a row of its HPARAMS tab for each run, and its learning curve.

    summaries/events.out.tfevents.0.tf_rnn                                   the columns
    summaries/width 20, carry, rate 0.1, seed 0/events.out.tfevents.0.tf_rnn  a run

Written as protocol buffers of the package `tensorboard`, without TensorFlow.
"""

from __future__ import annotations

import importlib
import time
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NamedTuple

from tf_rnn.files import SUMMARIES, make_folder, replacing
from tf_rnn.options import OptionError
from tf_rnn.options.declared import NETWORK_OPTIONS

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tf_rnn.comparison.results import Results
    from tf_rnn.comparison.settings import RunKey

FILE = "events.out.tfevents.0.tf_rnn"
LOSS, TRAINED = "loss/valid", "part_of_the_training"
MODULES = {
    "api": "tensorboard.plugins.hparams.api_pb2",
    "data": "tensorboard.plugins.hparams.plugin_data_pb2",
    "metadata": "tensorboard.plugins.hparams.metadata",
    "event": "tensorboard.compat.proto.event_pb2",
    "summary": "tensorboard.compat.proto.summary_pb2",
    "records": "tensorboard.summary.writer.record_writer",
}


class Session(NamedTuple):
    """A run as TensorBoard calls it.

    Attributes:
        key: Which run.
        record: What is known of it: at least a `loss`, None if there is none.
    """

    key: RunKey
    record: Mapping[str, Any]

    @property
    def end(self) -> dict[str, float]:
        """What the table shows of it, beside its hyperparameters; empty if it has no loss."""
        loss, part = self.record["loss"], self.record.get("fraction", 1.0)
        return {} if loss is None else {LOSS: loss, TRAINED: part}


def require_tensorboard() -> Any:
    """The modules of the package `tensorboard` that are needed, by the names in `MODULES`.

    Raises:
        OptionError: For `tensorboard`, if it is not installed.
    """
    try:
        return SimpleNamespace(**{name: importlib.import_module(path) for name, path in MODULES.items()})
    except ImportError as error:
        raise OptionError("tensorboard", "needs the package tensorboard: pip install tensorboard") from error


def require_board(folder: Path | None) -> None:
    """Raises OptionError for `tensorboard` unless there are the package and a folder to write to."""
    require_tensorboard()
    if folder is None:
        raise OptionError("tensorboard", "must be left out where nothing is written (out is None)")


def write_sessions(results: Results, unit: str, folder: Path) -> None:
    """Writes a session for each run, finished or not, and what the columns of their table are.

    Args:
        results: The runs.
        unit: The unit of losses.
        folder: The folder of the results.

    Raises:
        OptionError: If the package is not installed, or something cannot be written.
    """
    board = Board(require_tensorboard())
    records = {key: {"loss": None} for key in results.failures} | results.parts | results.runs
    sessions = [Session(key, record) for key, record in sorted(records.items())]
    rows = [hyperparameters(session.key, results.identity) for session in sessions]
    board.write(folder / SUMMARIES, [(0, board.columns(rows, unit))])
    for session, row in zip(sessions, rows, strict=True):
        board.write(folder / SUMMARIES / session.key.title, board.session(session, row))


def hyperparameters(key: RunKey, identity: Mapping[str, Any]) -> dict[str, Any]:
    """What a run was trained with, first what the runs of a comparison may differ in; "off" for None."""
    network = {name: identity[name] for name in NETWORK_OPTIONS if name in identity}
    cell = identity.get("cell_options", {})
    found = key._asdict() | {"task": identity["task"]} | network | cell | key._asdict()
    return {name: "off" if value is None else value for name, value in found.items()}


class Board:
    """Makes and writes summaries.

    Args:
        tensorboard: See `require_tensorboard`.
    """

    def __init__(self, tensorboard: Any) -> None:
        self._of = tensorboard

    def columns(self, rows: Iterable[Mapping[str, Any]], unit: str) -> Any:
        """The summary that says what the columns are."""
        api, values = self._of.api, dict[str, set[Any]]()
        for row in rows:
            for name, value in row.items():
                values.setdefault(name, set()).add(value)
        metrics = {LOSS: f"held-out loss ({unit})", TRAINED: "part of the training"}
        experiment = api.Experiment(
            time_created_secs=time.time(),
            hparam_infos=[self._column(name, sorted(found)) for name, found in values.items()],
            metric_infos=[
                api.MetricInfo(name=api.MetricName(tag=tag), display_name=title)
                for tag, title in metrics.items()
            ],
        )
        return self._plugin(self._of.metadata.EXPERIMENT_TAG, experiment=experiment)

    def _column(self, name: str, values: list[Any]) -> Any:
        kinds = {bool: "BOOL", str: "STRING"}
        kind = f"DATA_TYPE_{kinds.get(type(values[0]), 'FLOAT64')}"
        # The tab shows first what differs, and only a few of the others.
        differs, data_type = len(values) > 1, self._of.api.DataType.Value(kind)
        info = self._of.api.HParamInfo(name=name, type=data_type, differs=differs)
        info.domain_discrete.extend(values)
        return info

    def session(self, session: Session, row: Mapping[str, Any]) -> list[tuple[int, Any]]:
        """The summaries of a run, each with the number of updates before it."""
        seconds, now = session.record.get("seconds", 0.0), time.time()
        start = self._of.data.SessionStartInfo(group_name=session.key.title, start_time_secs=now - seconds)
        for name, value in row.items():
            kind = {bool: "bool_value", str: "string_value"}.get(type(value), "number_value")
            setattr(start.hparams[name], kind, value)
        status = "STATUS_SUCCESS" if session.end else "STATUS_FAILURE"
        end = self._of.data.SessionEndInfo(status=self._of.api.Status.Value(status), end_time_secs=now)
        updates = session.record.get("updates", 0)
        return [
            (0, self._plugin(self._of.metadata.SESSION_START_INFO_TAG, session_start_info=start)),
            *(
                (point["updates"], self._scalars({LOSS: point["valid_loss"]}))
                for point in session.record.get("curve", ())[:-1]
            ),
            (updates, self._scalars(session.end)),
            (updates, self._plugin(self._of.metadata.SESSION_END_INFO_TAG, session_end_info=end)),
        ]

    def _scalars(self, values: Mapping[str, float]) -> Any:
        summary = self._of.summary.Summary()
        for tag, value in values.items():
            summary.value.add(tag=tag, simple_value=value)
        return summary

    def _plugin(self, tag: str, **content: Any) -> Any:
        metadata = self._of.metadata
        summary = self._of.summary.Summary()
        data = self._of.data.HParamsPluginData(**content)
        summary.value.add(
            tag=tag, metadata=metadata.create_summary_metadata(data), tensor=metadata.NULL_TENSOR
        )
        return summary

    def write(self, folder: Path, summaries: Iterable[tuple[int, Any]]) -> None:
        """Writes an event file; one that is there is replaced."""
        make_folder("out", folder)
        with replacing(folder / FILE) as partial, partial.open("xb") as file:
            writer = self._of.records.RecordWriter(file)
            header = self._of.event.Event(wall_time=time.time(), file_version="brain.Event:2")
            writer.write(header.SerializeToString())
            for step, summary in summaries:
                event = self._of.event.Event(wall_time=time.time(), step=step, summary=summary)
                writer.write(event.SerializeToString())
