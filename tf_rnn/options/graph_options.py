"""The options of a graph, as one frozen record."""

from __future__ import annotations

import dataclasses
import math
import numbers
from typing import Any

from tf_rnn.options.checks import require_number_of, require_whole
from tf_rnn.options.declared import GRAPH_OPTIONS, HELD_BY_DTYPE
from tf_rnn.options.errors import OptionError, shown
from tf_rnn.options.fields import check_fields
from tf_rnn.options.words import FLOAT32, LOSS_STEPS


@dataclasses.dataclass(frozen=True, kw_only=True)
class GraphOptions:
    """The options of a graph, its cell apart; see `UnrolledGraph` for what each means.

    Raises:
        OptionError: If an option is not allowed, or contradicts another one.
    """

    num_steps: int
    batch_size: int
    input_size: int
    num_classes: int
    input_kind: str = "classes"
    embedding_size: int | None = None
    loss: str = "cross_entropy"
    quantiles: tuple[float, ...] | None = None
    loss_steps: str | int = "all"
    readout: str = "linear"
    reduction: str = "mean"
    optimizer: str | None = "adagrad"
    learning_rate: float = 0.1
    clip_norm: float | None = None
    weight_decay: float = 0.0
    dropout: float = 0.0
    init_scale: float | None = None
    recompute: int | str | None = None
    dtype: str = FLOAT32
    precision: str = FLOAT32
    starts: bool = False
    target_weights: bool = False
    initial_state: str = "zero"
    seed: int | None = None

    def __post_init__(self) -> None:
        fields = {field.name for field in dataclasses.fields(self)} - {"input_size"}
        check_fields(self, {name: option for name, option in GRAPH_OPTIONS.items() if name in fields})
        object.__setattr__(self, "input_size", self._checked_input_size())
        for option in HELD_BY_DTYPE:
            value = getattr(self, option, None)
            if value is not None:
                require_number_of(option, value, self.dtype)
        self._check_precision()
        self._check_loss_steps()
        self._check_quantiles()
        self._check_embedding()
        self._check_tied()

    def _checked_input_size(self) -> int:
        size: Any = self.input_size
        if self.input_kind != "none":
            return int(GRAPH_OPTIONS["input_size"].check(size))
        if not isinstance(size, numbers.Integral) or size != 0:
            raise OptionError("input_size", f"must be 0 where input_kind is 'none', got {shown(size)}")
        return 0

    def _check_precision(self) -> None:
        if FLOAT32 not in (self.precision, self.dtype):
            raise OptionError(
                "precision", f"must be {FLOAT32!r} where dtype is {self.dtype!r}, got {self.precision!r}"
            )

    def _check_loss_steps(self) -> None:
        if isinstance(self.loss_steps, str) and self.loss_steps in LOSS_STEPS:
            return
        try:
            steps = require_whole("loss_steps", self.loss_steps, at_most=self.num_steps)
        except OptionError as error:
            raise OptionError(
                "loss_steps",
                f"must be one of {', '.join(LOSS_STEPS)}, or a whole number from 1 to num_steps "
                f"({self.num_steps}); got {shown(self.loss_steps)}",
            ) from error
        object.__setattr__(self, "loss_steps", steps)

    def _check_quantiles(self) -> None:
        if (self.loss == "pinball") != (self.quantiles is not None):
            wanted = "given" if self.loss == "pinball" else "left out"
            raise OptionError(
                "quantiles", f"must be {wanted} where loss is {self.loss!r}, got {shown(self.quantiles)}"
            )
        if self.quantiles and self.num_classes % len(self.quantiles):
            raise OptionError(
                "num_classes",
                f"must be a multiple of the {len(self.quantiles)} quantiles, got {self.num_classes}",
            )

    def _check_embedding(self) -> None:
        if self.embedding_size is not None and self.input_kind != "classes":
            raise OptionError(
                "embedding_size",
                f"must be None unless input_kind is 'classes', got {self.embedding_size!r}",
            )

    def _check_tied(self) -> None:
        if self.readout != "tied":
            return
        if self.embedding_size is None:
            raise OptionError("embedding_size", "must be given where readout is 'tied', got None")
        if self.num_classes != self.input_size:
            raise OptionError(
                "num_classes",
                f"must be input_size ({self.input_size}) where readout is 'tied', got {self.num_classes}",
            )

    @property
    def vector_size(self) -> int:
        """Size of the vector that the cell reads at each step."""
        return self.embedding_size or self.input_size

    @property
    def num_loss_steps(self) -> int:
        """How many of the last steps have a loss that counts."""
        if isinstance(self.loss_steps, str):
            return {"all": self.num_steps, "marked": self.num_steps, "last": 1}[self.loss_steps]
        return int(self.loss_steps)

    @property
    def segment_steps(self) -> int:
        """Steps between two states that are stored for the backward pass."""
        if self.recompute is None:
            return self.num_steps
        steps = math.ceil(math.sqrt(self.num_steps)) if self.recompute == "sqrt" else int(self.recompute)
        return min(steps, self.num_steps)

    @property
    def rows(self) -> int:
        """Vectors that one run of the graph reads: batch_size * num_steps."""
        return self.batch_size * self.num_steps
