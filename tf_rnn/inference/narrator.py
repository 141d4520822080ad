"""Samples of text during training, for TensorBoard."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Self

from tf_rnn.graph import StepGraph
from tf_rnn.inference.sampling import sample
from tf_rnn.inference.stepper import Stepper
from tf_rnn.options import OptionError
from tf_rnn.training import Callback
from tf_rnn.training.tensorboard import EventWriter, write_text

if TYPE_CHECKING:
    from pathlib import Path
    from types import TracebackType

    from tf_rnn.graph import UnrolledGraph
    from tf_rnn.tasks import Vocabulary
    from tf_rnn.training import CurvePoint

LENGTH = 200
TEMPERATURE = 0.8


class Narrator(Callback):
    """Samples a text after each evaluation.

    Args:
        graph: The graph being trained.
        vocabulary: The task's vocabulary.
        folder: Folder of the event files.
        document_separator: See `sample`.
        updates: Training steps so far, of a run that is resumed.
    """

    def __init__(
        self,
        graph: UnrolledGraph,
        vocabulary: Vocabulary,
        folder: Path,
        document_separator: str | None = None,
        updates: int = 0,
    ) -> None:
        self._step = StepGraph.of(graph)
        self._vocabulary, self._folder = vocabulary, folder
        self._separator, self._updates = document_separator, updates

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

    def on_evaluation(self, point: CurvePoint, session: Any) -> None:
        """Samples a text, which is a function of the weights and the number of updates."""
        if point.updates == self._updates:  # there is nothing new to say
            return
        stepper = Stepper(self._step, session)
        pieces = sample(
            stepper,
            self._vocabulary,
            length=LENGTH,
            temperature=TEMPERATURE,
            seed=point.updates,
            document_separator=self._separator,
        )
        try:
            text = "".join(pieces)
        except OptionError as error:  # predictions are not finite; training itself notices what it must
            text = str(error)
        write_text(self._writer, "sample", text, point.updates)
        self._writer.flush()
