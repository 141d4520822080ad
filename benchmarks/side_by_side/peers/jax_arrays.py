"""JAX: one jitted training step, with time steps in `lax.scan` or unrolled."""

from __future__ import annotations

import functools
import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.side_by_side.configurations import Configuration
    from benchmarks.side_by_side.problem import Problem

    # (weights of a layer, projected inputs, state) -> (state, outputs)
    Cell = Callable[[Any, Any, Any], tuple[Any, Any]]
    Product = Callable[[Any, Any], Any]

jax: Any = importlib.import_module("jax")
jnp: Any = importlib.import_module("jax.numpy")

ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8


def make(problem: Problem, *, how: str, precision: str = "float32") -> Callable[[Any, Any], Any]:
    """Builds the training step.

    Args:
        problem: Model and data.
        how: "scan" for one loop over time with all layers in it; "scan a layer" for one loop per layer,
            with a single product in each step; or "unrolled" for the latter, unrolled.
        precision: "float32", or "mixed_bfloat16" for products of bfloat16 operands with a float32 result.
    """
    configuration = problem.configuration
    product = PRODUCTS[precision]
    cell = functools.partial(CELLS[configuration.cell], product)
    run_layers = functools.partial(LAYERS[how], product, cell)
    parameters = jax.tree.map(jnp.asarray, problem.weights)
    memory = OPTIMIZERS[configuration.optimizer].start(parameters)

    def total_loss(parameters: Any, state: Any, inputs: Any, targets: Any) -> Any:
        if parameters.embedding is None:
            vectors = jax.nn.one_hot(inputs.T, configuration.num_classes)
        else:
            vectors = parameters.embedding[inputs.T]
        outputs, state = run_layers(parameters.layers, state, vectors)
        logits = product(outputs, parameters.readout_kernel) + parameters.readout_bias
        chosen = jnp.take_along_axis(logits, targets.T[..., None], axis=-1)[..., 0]
        loss = jnp.mean(jax.nn.logsumexp(logits, axis=-1) - chosen)
        return loss * configuration.loss_scale, (loss, state)

    def train_step(parameters: Any, memory: Any, state: Any, inputs: Any, targets: Any) -> Any:
        gradients, (loss, state) = jax.grad(total_loss, has_aux=True)(parameters, state, inputs, targets)
        gradients = _clipped(gradients, configuration.clip_norm)
        update = OPTIMIZERS[configuration.optimizer].update
        parameters, memory = update(configuration.learning_rate, parameters, memory, gradients)
        return parameters, memory, state, loss

    run = jax.jit(train_step, donate_argnums=(0, 1, 2))
    state = _zero_state(configuration)

    def step(inputs: Any, targets: Any) -> Any:
        nonlocal parameters, memory, state
        parameters, memory, state, loss = run(parameters, memory, state, inputs, targets)
        return loss

    return step


def _product(left: Any, right: Any) -> Any:
    return left @ right


def _bfloat16_product(left: Any, right: Any) -> Any:
    operands = (each.astype(jnp.bfloat16) for each in (left, right))
    return jnp.matmul(*operands, preferred_element_type=jnp.float32)


PRODUCTS: dict[str, Product] = {"float32": _product, "mixed_bfloat16": _bfloat16_product}


def _together(product: Product, cell: Cell, layers: Any, state: Any, vectors: Any) -> tuple[Any, Any]:
    """Runs all layers in one loop: top outputs [num_steps, batch_size, state_size] and final states."""

    def body(states: Any, outputs: Any) -> tuple[Any, Any]:
        after = []
        for layer, before in zip(layers, states, strict=True):
            one, outputs = cell(layer, product(outputs, layer.input_kernel) + layer.bias, before)
            after.append(one)
        return after, outputs

    states, outputs = jax.lax.scan(body, state, vectors)
    return outputs, states


def _apart(
    product: Product, cell: Cell, layers: Any, state: Any, vectors: Any, *, unroll: bool = False
) -> tuple[Any, Any]:
    """Runs layer after layer, each of which projects its inputs for all steps at once."""
    outputs, states = vectors, []
    for layer, before in zip(layers, state, strict=True):
        body = functools.partial(_step, cell, layer)
        projected = product(outputs, layer.input_kernel) + layer.bias
        after, outputs = jax.lax.scan(body, before, projected, unroll=unroll or 1)
        states.append(after)
    return outputs, states


def _step(cell: Cell, layer: Any, state: Any, projected: Any) -> tuple[Any, Any]:
    return cell(layer, projected, state)


LAYERS: dict[str, Callable[..., tuple[Any, Any]]] = {
    "scan": _together,
    "scan a layer": _apart,
    "unrolled": functools.partial(_apart, unroll=True),
}


def _vanilla(product: Product, layer: Any, projected: Any, state: Any) -> tuple[Any, Any]:
    state = jnp.tanh(projected + product(state, layer.recurrent_kernel))
    return state, state


def _lstm(product: Product, layer: Any, projected: Any, state: Any) -> tuple[Any, Any]:
    hidden, cell = state
    write, keep, show, candidate = jnp.split(projected + product(hidden, layer.recurrent_kernel), 4, axis=-1)
    cell = jax.nn.sigmoid(keep) * cell + jax.nn.sigmoid(write) * jnp.tanh(candidate)
    hidden = jax.nn.sigmoid(show) * jnp.tanh(cell)
    return (hidden, cell), hidden


def _gru(product: Product, layer: Any, projected: Any, state: Any) -> tuple[Any, Any]:
    r_x, z_x, n_x = jnp.split(projected, 3, axis=-1)
    r_s, z_s, n_s = jnp.split(product(state, layer.recurrent_kernel), 3, axis=-1)
    candidate = jnp.tanh(n_x + jax.nn.sigmoid(r_x + r_s) * (n_s + layer.candidate_bias))
    keep = jax.nn.sigmoid(z_x + z_s)
    state = keep * state + (1 - keep) * candidate
    return state, state


CELLS: dict[str, Callable[..., tuple[Any, Any]]] = {"vanilla": _vanilla, "lstm": _lstm, "gru": _gru}


def _zero_state(configuration: Configuration) -> Any:
    def zeros() -> Any:
        return jnp.zeros([configuration.batch_size, configuration.state_size])

    is_pair = configuration.cell == "lstm"
    return [(zeros(), zeros()) if is_pair else zeros() for _ in range(configuration.num_layers)]


def _clipped(gradients: Any, clip_norm: float | None) -> Any:
    if clip_norm is None:
        return gradients
    norm = jnp.sqrt(sum(jnp.sum(jnp.square(gradient)) for gradient in jax.tree.leaves(gradients)))
    factor = jnp.minimum(1.0, clip_norm / norm)
    return jax.tree.map(lambda gradient: gradient * factor, gradients)


class _SGD:
    @staticmethod
    def start(_: Any) -> Any:
        return ()

    @staticmethod
    def update(rate: float, parameters: Any, memory: Any, gradients: Any) -> tuple[Any, Any]:
        return jax.tree.map(lambda one, gradient: one - rate * gradient, parameters, gradients), memory


class _Adagrad:
    @staticmethod
    def start(parameters: Any) -> Any:
        return jax.tree.map(lambda one: jnp.full_like(one, 0.1), parameters)

    @staticmethod
    def update(rate: float, parameters: Any, memory: Any, gradients: Any) -> tuple[Any, Any]:
        memory = jax.tree.map(lambda total, gradient: total + jnp.square(gradient), memory, gradients)
        return (
            jax.tree.map(
                lambda one, total, gradient: one - rate * gradient / jnp.sqrt(total),
                parameters,
                memory,
                gradients,
            ),
            memory,
        )


class _Adam:
    """Adam as in TensorFlow 1: epsilon is added before the second moment is corrected."""

    @staticmethod
    def start(parameters: Any) -> Any:
        first, second = (jax.tree.map(jnp.zeros_like, parameters) for _ in range(2))
        return first, second, jnp.zeros([], jnp.float32)

    @staticmethod
    def update(rate: float, parameters: Any, memory: Any, gradients: Any) -> tuple[Any, Any]:
        first, second, count = memory
        count += 1
        one, two = ADAM_BETAS
        rate *= jnp.sqrt(1 - two**count) / (1 - one**count)
        first = jax.tree.map(lambda mean, g: one * mean + (1 - one) * g, first, gradients)
        second = jax.tree.map(lambda mean, g: two * mean + (1 - two) * jnp.square(g), second, gradients)
        parameters = jax.tree.map(
            lambda value, m, v: value - rate * m / (jnp.sqrt(v) + ADAM_EPSILON), parameters, first, second
        )
        return parameters, (first, second, count)


OPTIMIZERS: dict[str, Any] = {"sgd": _SGD, "adagrad": _Adagrad, "adam": _Adam}
