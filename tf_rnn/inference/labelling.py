"""Labels by a trained network, of every row of a table or of every series."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.files import new_table, write_text
from tf_rnn.inference.outputs import outputs
from tf_rnn.reporting import Table
from tf_rnn.tasks import Labels

if TYPE_CHECKING:
    import os
    from pathlib import Path

    from numpy.typing import NDArray

    from tf_rnn.inference.load import Model
    from tf_rnn.tasks.tables import Measured


@dataclasses.dataclass(frozen=True)
class Named:
    """What the rows or series of a table were named.

    Attributes:
        records: A dictionary for each row in the order of the table, or for each series: where it is, the
            label, its probability, that of each label and, where known, the label that it has in the table.
        notes: Lines about words that the network does not know.
    """

    records: list[dict[str, Any]]
    notes: list[str] = dataclasses.field(default_factory=list)

    def table(self) -> Table:
        """The records as a table."""
        return Table.of_records("Labels", self.records, list(self.records[0]))

    def write(self, out: str | os.PathLike[str]) -> list[Path]:
        """Writes the table as CSV.

        Args:
            out: The path of a new CSV file.

        Returns:
            The file.

        Raises:
            OptionError: For `out`, if there is such a file, or it cannot be written.
        """
        with new_table(out) as (path,):
            write_text(path, self.table().csv())
        return [path]


def label(model: Model, data: Any = None, *, encoding: str | None = None) -> Named:
    """Names the class of every row of a table, or of every series, as the network was trained to.

    The network reads every series from its first row to its last.

    Args:
        model: A network trained on labels.
        data: Other data with the same inputs, with or without labels: a path or a data frame; None for those
            of the run.
        encoding: That of other data; None for UTF-8.

    Raises:
        OptionError: If a value is not allowed, or the network is of another task.
    """
    task = model.evaluator.table(Labels, data, encoding)
    has_labels = any(word is not None for one in task.series for word in one.words[task.label])
    found: dict[int, dict[str, Any]] = {}
    for one, part in zip(task.series, task.parts("all"), strict=True):
        probabilities, _ = outputs(model, task.inputs_of(part))
        rows = np.flatnonzero(one.rows >= 0)
        if task.label_at == "end":
            rows = rows[-1:]
        for row in rows.tolist():
            record = _where(task, one, row) | _named(task, probabilities[row])
            if has_labels:
                record[f"{task.label} in the table"] = one.words[task.label][row]
            found[int(one.rows[row])] = record
    return Named([record for _, record in sorted(found.items())], task.notes())


def _where(task: Labels, one: Measured, row: int) -> dict[str, Any]:
    """The series, and within it the time or the number of the row."""
    found: dict[str, Any] = {} if task.columns.series_id is None else {task.columns.series_id: one.name}
    if task.label_at == "end":
        return found
    if one.times is None:
        return found | {"row": int(one.rows[row])}
    return found | {str(task.columns.time): one.clock.shown(one.times[row])}


def _named(task: Labels, probabilities: NDArray[np.floating[Any]]) -> dict[str, Any]:
    """The likeliest label, its probability, and that of each."""
    best = int(probabilities.argmax())
    each = {f"{task.label}={word}": float(p) for word, p in zip(task.labels, probabilities, strict=True)}
    return {task.label: task.labels[best], "probability": float(probabilities[best])} | each
