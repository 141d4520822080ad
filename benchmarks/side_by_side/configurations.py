"""Configurations to measure: model, sizes and optimizer of each."""

from __future__ import annotations

import dataclasses

GATES = {"vanilla": 1, "gru": 3, "lstm": 4}


@dataclasses.dataclass(frozen=True, kw_only=True)
class Configuration:
    """A recurrent classifier and how it is trained.

    Attributes:
        name: A letter.
        title: A short description.
        cell: "vanilla" (tanh), "gru" (reset gate after the product) or "lstm".
        num_layers: Stacked layers.
        state_size: Units of each layer.
        num_classes: Input classes, and output classes.
        is_embedded: Whether inputs are learnt embeddings of size `state_size`, otherwise one-hot.
        batch_size: Rows of a batch.
        num_steps: Width of the graph.
        optimizer: "sgd", "adam" (0.9, 0.999, 1e-8, as in TensorFlow 1) or "adagrad" (starting at 0.1).
        learning_rate: The learning rate.
        clip_norm: Upper limit on the global norm of the gradient, or None.
        reduction: "mean" of the losses over batch and steps, or "sum" over steps of the batch means.
        steps: Training steps per turn.
    """

    name: str
    title: str
    cell: str
    num_layers: int
    state_size: int
    num_classes: int
    is_embedded: bool = True
    batch_size: int
    num_steps: int
    optimizer: str
    learning_rate: float
    clip_norm: float | None = None
    reduction: str = "mean"
    steps: int

    @property
    def tokens(self) -> int:
        """Tokens per training step: rows times steps."""
        return self.batch_size * self.num_steps

    @property
    def loss_scale(self) -> float:
        """Factor of the mean loss before its gradient is taken."""
        return float(self.num_steps) if self.reduction == "sum" else 1.0

    @property
    def line(self) -> str:
        """One-line description."""
        inputs = "embedded" if self.is_embedded else "one-hot"
        clip = f", clip {self.clip_norm:g}" if self.clip_norm else ""
        reduction = ", summed over steps" if self.reduction == "sum" else ""
        return (
            f"{self.title}: {self.cell} {self.num_layers}x{self.state_size}, {self.num_classes:,} classes "
            f"({inputs}), batch {self.batch_size}, n = {self.num_steps}, "
            f"{self.optimizer} {self.learning_rate:g}{clip}{reduction}"
        )


_WORDS = Configuration(
    name="A",
    title="words",
    cell="lstm",
    num_layers=2,
    state_size=200,
    num_classes=10_000,
    batch_size=20,
    num_steps=20,
    optimizer="sgd",
    learning_rate=0.2,
    clip_norm=5.0,
    reduction="sum",
    steps=20,
)
_CHARACTERS = Configuration(
    name="B",
    title="characters",
    cell="lstm",
    num_layers=2,
    state_size=256,
    num_classes=65,
    batch_size=50,
    num_steps=50,
    optimizer="adam",
    learning_rate=0.002,
    steps=10,
)
_ECHO = Configuration(
    name="C",
    title="echo",
    cell="vanilla",
    num_layers=1,
    state_size=16,
    num_classes=2,
    is_embedded=False,
    batch_size=200,
    num_steps=10,
    optimizer="adagrad",
    learning_rate=0.1,
    steps=1000,
)
_ONE_LAYER = Configuration(
    name="E",
    title="one wide layer",
    cell="lstm",
    num_layers=1,
    state_size=1024,
    num_classes=1000,
    batch_size=64,
    num_steps=35,
    optimizer="sgd",
    learning_rate=0.2,
    clip_norm=5.0,
    reduction="sum",
    steps=3,
)
_ALL = (
    _WORDS,
    _CHARACTERS,
    _ECHO,
    dataclasses.replace(_CHARACTERS, name="D", title="characters, wide graph", num_steps=200, steps=3),
    _ONE_LAYER,
    dataclasses.replace(_CHARACTERS, name="F", title="characters, GRU", cell="gru"),
    dataclasses.replace(_WORDS, name="M", title="words, medium", state_size=650, num_steps=35, steps=5),
)
CONFIGURATIONS = {configuration.name: configuration for configuration in _ALL}


def growth_configuration(num_steps: int) -> Configuration:
    """Configuration B with 128 units per layer, at the given width."""
    steps = max(1, 1000 // num_steps)
    return dataclasses.replace(
        _CHARACTERS, name=f"n = {num_steps}", state_size=128, num_steps=num_steps, steps=steps
    )
