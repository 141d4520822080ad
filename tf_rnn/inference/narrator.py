"""A model of language that says something while it is trained."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tf_rnn.graph import StepGraph
from tf_rnn.inference.sampling import sample
from tf_rnn.inference.stepper import Stepper
from tf_rnn.training.summaries import EventWriter, write_text

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Vocabulary
    from tf_rnn.training import CurvePoint, Progress

LENGTH = 200
TEMPERATURE = 0.8


class Narrator:
    """Draws a text after each evaluation, for TensorBoard.

    Args:
        graph: That is trained.
        vocabulary: Of the task.
        folder: Where TensorBoard's files go.
    """

    def __init__(self, graph: UnrolledGraph, vocabulary: Vocabulary, folder: Path) -> None:
        self._step = StepGraph.of(graph)
        self._vocabulary, self._folder = vocabulary, folder

    def __enter__(self) -> Self:
        self._writer = EventWriter(self._folder)
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        self._writer.__exit__(kind, *error)

    def __call__(self, progress: Progress) -> None:
        """Between evaluations it is silent."""

    def evaluated(self, point: CurvePoint, session: Any) -> None:
        """Draws a text, the same for the same weights."""
        if not point.updates:
            return
        stepper = Stepper(self._step, session)
        text = "".join(
            sample(stepper, self._vocabulary, length=LENGTH, temperature=TEMPERATURE, seed=point.updates)
        )
        write_text(self._writer, "sample", text, point.updates)
        self._writer.flush()
