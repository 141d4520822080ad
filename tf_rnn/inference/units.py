"""The scaling of a series inside the exported graph: measured values in, predictions in their units out."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn._tensorflow import tf

if TYPE_CHECKING:
    from numpy.typing import NDArray

# The inputs of the signature that takes and gives units, beside the state.
VALUES, PREVIOUS = "values", "previous"


class Units(NamedTuple):
    """How inputs are scaled, and predictions scaled back.

    Attributes:
        names: What the inputs are, the targets first.
        scales: Mean and spread of each.
        num_targets: The number of targets.
        horizon: Steps ahead that are predicted of each.
        quantiles: Those of each step; None for the mean.
        difference: Whether targets are read and predicted as changes since the last value.
    """

    names: tuple[str, ...]
    scales: NDArray[np.float64]
    num_targets: int
    horizon: int
    quantiles: tuple[float, ...] | None
    difference: bool

    def placeholders(self) -> dict[str, Any]:
        """Values at t, [batch_size, inputs], and, where changes are read, those of the targets at t - 1."""
        sizes = {VALUES: len(self.names)} | ({PREVIOUS: self.num_targets} if self.difference else {})
        return {name: tf.placeholder("float64", [None, size], name) for name, size in sizes.items()}

    def scaled(self, given: dict[str, Any], dtype: str) -> Any:
        """What the network reads, (value - mean) / spread, [batch_size, inputs]."""
        means, spreads = self.scales.T
        levels = tf.zeros_like(given[VALUES]) + means
        if self.difference:
            levels = tf.concat([given[PREVIOUS], levels[:, self.num_targets :]], axis=1)
        return tf.cast((given[VALUES] - levels) / spreads, dtype)

    def in_units(self, prediction: Any, given: dict[str, Any]) -> Any:
        """Predictions times spread plus level: the mean, or the value at t; quantiles in their order."""
        copies = 1 if self.quantiles is None else len(self.quantiles)
        means, spreads = self.scales[: self.num_targets].T
        levels = given[VALUES][:, : self.num_targets] if self.difference else means[np.newaxis]
        shape = [-1, self.num_targets, self.horizon, copies]
        values = tf.reshape(tf.cast(prediction, "float64"), shape) * spreads[:, np.newaxis, np.newaxis]
        values += tf.reshape(levels, [-1, self.num_targets, 1, 1])
        if self.quantiles is not None:
            values = tf.gather(tf.sort(values), np.argsort(np.argsort(self.quantiles)), axis=3)
        return tf.reshape(values, [-1, self.num_targets * self.horizon * copies])


def units_of(task: dict[str, Any]) -> Units | None:
    """The units of a run of one series whose inputs are numbers without gaps; None for any other task.

    Args:
        task: The task in the run's configuration.
    """
    fit = task.get("fit")
    if fit is None or "target" not in task["options"] or len(fit["scales"]) > 2:
        return None
    options = task["options"]
    own = fit["scales"][""] | next(iter(fit["scales"].values()))
    ahead = {
        f"{name} +{step}": own[name]
        for name in options["known"]
        if name in own
        for step in range(1, options["horizon"] + 1)
    }
    scales = [(own | ahead).get(name) for name in task["input_names"]]
    if None in scales:
        return None
    return Units(
        tuple(task["input_names"]),
        np.array([(mean, spread or 1.0) for mean, spread in filter(None, scales)], np.float64),
        len(options["target"]),
        options["horizon"],
        options["quantiles"],
        fit["difference"],
    )
