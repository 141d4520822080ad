"""What the tests of trained models share: small texts, runs with given weights, the network in NumPy."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import numpy as np
import references as ref
from helpers import assign, random_values

from tf_rnn._tensorflow import tf
from tf_rnn.graph import UnrolledGraph
from tf_rnn.graph.naming import weight_names
from tf_rnn.training import StreamPosition, train
from tf_rnn.training.epoch import Epoch
from tf_rnn.training.probe import GradientProbe
from tf_rnn.training.stepper import Stepper

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from tf_rnn.inference import Model
    from tf_rnn.tasks import Stream, Task
    from tf_rnn.training import Truncation

# So small a rate that no weight changes.
NO_TRAINING: dict[str, Any] = {"optimizer": "sgd", "learning_rate": 1e-30}


def made_up_text(length: int, seed: int = 0, letters: str = "abcdé\n") -> str:
    """Random letters that follow one another: one in two is that after the one before it."""
    rng = np.random.default_rng(seed)
    places, at = [], 0
    for jumps, other in zip(rng.random(length) < 0.5, rng.integers(len(letters), size=length), strict=True):
        at = int(other) if jumps else (at + 1) % len(letters)
        places.append(letters[at])
    return "".join(places)


def write_splits(folder: Path, train: int = 402, valid: int = 102, test: int = 84) -> Path:
    """A directory with a text for each split, of so many characters; by default their tokens are primes."""
    folder.mkdir(parents=True)
    for number, (name, length) in enumerate({"train": train, "valid": valid, "test": test}.items()):
        (folder / f"{name}.txt").write_text(made_up_text(length, number), encoding="utf-8")
    return folder


def random_weights(graph: UnrolledGraph, seed: int, scale: float = 0.6) -> list[NDArray[Any]]:
    return random_values(np.random.default_rng(seed), graph.variables, scale)


def keep_run(
    folder: Path,
    task: Task,
    cell: Any,
    weights: Callable[[UnrolledGraph], list[NDArray[Any]]] | None = None,
    num_steps: int = 4,
    batch_size: int = 3,
    **options: Any,
) -> Path:
    """Keeps a run in a folder whose weights are given, as if it had been trained for one update.

    Args:
        folder: Where.
        task: On what.
        cell: Any.
        weights: Makes the values of the graph's variables; None for random ones.
        num_steps: The width of the training.
        batch_size: Its batch size.
        **options: Of the graph.
    """
    names = ("input_kind", "loss", "quantiles", "loss_steps", "readout")
    of_task = {name: getattr(task, name) for name in names}
    with tf.Graph().as_default():
        graph = UnrolledGraph(
            cell,
            num_steps,
            batch_size,
            task.input_size,
            task.num_classes,
            **(of_task | NO_TRAINING | options),
        )
    values = weights(graph) if weights else random_weights(graph, seed=17)
    with graph.session(1) as session:
        assign(session, graph.variables, values)
        train(graph, task, updates=1, out=folder, session=session, callbacks=())
    return folder


def weights_by_name(graph: UnrolledGraph, values: list[NDArray[Any]]) -> dict[str, NDArray[Any]]:
    by_variable = {variable.op.name: value for variable, value in zip(graph.variables, values, strict=True)}
    return {name: by_variable[variable.op.name] for name, variable in weight_names(graph).items()}


STEPS: dict[str, ref.Step] = {
    "gru": ref.gru_step,
    "gru_reset_before": ref.gru_reset_before_step,
    "lstm": ref.lstm_step,
    "vanilla": ref.tanh_step,
}


class NaiveNetwork:
    """A trained model once more, in NumPy, float64, one step of one example after another."""

    def __init__(self, model: Model) -> None:
        self.graph: dict[str, Any] = model.config["graph"]
        self.weights = {name: np.asarray(value, np.float64) for name, value in model.weights.items()}
        self.layers = [(layer["cell"], layer["state_size"]) for layer in model.config["cell"]]

    def zero_state(self) -> list[Any]:
        """The state before a sequence, zero or learnt."""
        return [
            tuple(self._first(f"{number}_{part}", size) for part in ("hidden", "cell"))
            if kind == "lstm"
            else self._first(f"{number}", size)
            for number, (kind, size) in enumerate(self.layers)
        ]

    def _first(self, part: str, size: int) -> NDArray[Any]:
        return self.weights.get(f"initial_state/state_{part}", np.zeros(size))[np.newaxis]

    def step(self, x: Any, state: list[Any]) -> tuple[NDArray[Any], list[Any]]:
        """Logits, or real outputs, [1, num_classes], and the state after them."""
        vectors, after = self._vectors(x), []
        for number, ((kind, _), before) in enumerate(zip(self.layers, state, strict=True)):
            values = [v for name, v in self.weights.items() if name.startswith(f"layer_{number}/")]
            vectors, new = STEPS[kind](values, vectors, before)
            after.append(new)
        tied = self.graph["readout"] == "tied"
        U = self.weights["embedding/E"].T if tied else self.weights["readout/U"]
        return vectors @ U + self.weights["readout/b_p"], after

    def _vectors(self, x: Any) -> NDArray[Any]:
        if self.graph["input_kind"] == "real":
            return np.asarray(x, np.float64)[np.newaxis]
        table = self.weights.get("embedding/E", np.eye(self.graph["input_size"]))
        return np.asarray(table[x])[np.newaxis]

    def losses(self, stream: Stream, context: int | None = None) -> NDArray[Any]:
        """The loss of every token, [length]; nan where it has none.

        Args:
            stream: Inputs and targets, and maybe starts.
            context: Sets the state to zero before every so many tokens; None for the first alone.
        """
        state, found = self.zero_state(), []
        for t, (x, y) in enumerate(zip(stream.inputs, stream.targets, strict=True)):
            starts = stream.starts is not None and stream.starts[t]
            if starts or (context is not None and t % context == 0):
                state = self.zero_state()
            logits, state = self.step(x, state)
            found.append(self._loss(logits, y))
        return np.array(found)

    def _loss(self, logits: NDArray[Any], y: Any) -> float:
        if self.graph["loss"] == "squared_error":
            return float(ref.squared_error(logits, np.asarray(y, np.float64)[np.newaxis])[0])
        return float(ref.cross_entropy(logits, np.array([y]))[0]) if y >= 0 else np.nan


def metrics(folder: Path) -> list[dict[str, Any]]:
    lines = (folder / "metrics.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


def checkpoints(folder: Path) -> list[Path]:
    """The checkpoints of a run, the oldest first."""
    return sorted((folder / "checkpoints").iterdir())


def spoil(checkpoint: Path) -> None:
    """Flips a bit of a checkpoint's last array."""
    content = bytearray(checkpoint.read_bytes())
    content[content.rindex(b"NUMPY")] ^= 1
    checkpoint.write_bytes(bytes(content))


def events(folder: Path) -> Iterator[tuple[int, Any]]:
    """Step and value of all that a folder's own event files hold, in the order in which it was written."""
    for path in sorted(folder.glob("events.out.tfevents.*")):
        for event in tf.train.summary_iterator(str(path)):
            for value in event.summary.value:
                yield event.step, value


def scalars(folder: Path) -> Mapping[str, list[tuple[int, float]]]:
    """Step and number of each tag in a folder's event files."""
    found: dict[str, list[tuple[int, float]]] = {}
    for step, value in events(folder):
        if value.WhichOneof("value") == "simple_value":
            found.setdefault(value.tag, []).append((step, value.simple_value))
    return found


def train_epoch(
    graph: UnrolledGraph,
    task: Task,
    session: Any,
    truncation: Truncation,
    position: StreamPosition | None = None,
    state: Any = None,
    most: int | None = None,
) -> tuple[int, Any, StreamPosition]:
    """Trains on the windows of an epoch from a position and a state on, at most so many.

    Returns:
        The number of windows, the state after them, and the position.
    """
    position, state = position or StreamPosition(), graph.zero_state() if state is None else state
    epoch = Epoch(graph, task, truncation, GradientProbe(graph, session), position)
    stepper, number = Stepper(session), 0
    while number != most and (window := epoch.next_window(state)):
        state = stepper(window, epoch.rows, state).state
        number, position = number + 1, epoch.after(window)
    return number, state, position
