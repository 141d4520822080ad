"""JAX: `lax.scan` and `stop_gradient`."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from benchmarks.audit.snippets import Snippet, at_loss, blocks

if TYPE_CHECKING:
    from collections.abc import Callable

    from tf_rnn.audit import Probe

jax: Any = importlib.import_module("jax")
jnp: Any = importlib.import_module("jax.numpy")


def differentiated(probe: Probe, forward: Callable[[Any, Any], Any]) -> tuple[Any, Any]:
    """The gradient of sum(weights * outputs), of a function of the weight and the blocks of inputs."""
    inputs, weights = (jnp.concatenate(parts) for parts in zip(*blocks(probe), strict=True))

    def loss(w: Any) -> tuple[Any, Any]:
        outputs = forward(w, inputs[:, :, 0])
        return (weights[:, :, 0] * outputs).sum(), outputs

    (_, outputs), gradient = jax.value_and_grad(loss, has_aux=True)(jnp.ones(()))
    return gradient, at_loss(probe, [outputs])


def stopped_between_blocks(probe: Probe) -> tuple[Any, Any]:
    """A scan over blocks of scans over steps."""

    def forward(w: Any, inputs: Any) -> Any:
        def step(state: Any, x: Any) -> tuple[Any, Any]:
            state = w * state + x
            return state, state

        def block(state: Any, x: Any) -> tuple[Any, Any]:
            state, states = jax.lax.scan(step, jax.lax.stop_gradient(state), x)
            return state, states

        return jax.lax.scan(block, jnp.zeros(()), inputs)[1]

    return differentiated(probe, forward)


def stopped_at_every_step(probe: Probe) -> tuple[Any, Any]:
    """`stop_gradient` in the function of the inner scan."""

    def forward(w: Any, inputs: Any) -> Any:
        def step(state: Any, x: Any) -> tuple[Any, Any]:
            state = w * jax.lax.stop_gradient(state) + x
            return state, state

        return jax.lax.scan(step, jnp.zeros(()), inputs.ravel())[1].reshape(inputs.shape)

    return differentiated(probe, forward)


def result_dropped(probe: Probe) -> tuple[Any, Any]:
    """`stop_gradient` changes nothing in place."""

    def forward(w: Any, inputs: Any) -> Any:
        def step(state: Any, x: Any) -> tuple[Any, Any]:
            state = w * state + x
            return state, state

        def block(state: Any, x: Any) -> tuple[Any, Any]:
            jax.lax.stop_gradient(state)
            state, states = jax.lax.scan(step, state, x)
            return state, states

        return jax.lax.scan(block, jnp.zeros(()), inputs)[1]

    return differentiated(probe, forward)


def blocks_side_by_side(probe: Probe) -> tuple[Any, Any]:
    """`vmap` over the blocks, which do not know of each other."""

    def forward(w: Any, inputs: Any) -> Any:
        def step(state: Any, x: Any) -> tuple[Any, Any]:
            state = w * state + x
            return state, state

        return jax.vmap(lambda x: jax.lax.scan(step, jnp.zeros(()), x)[1])(inputs)

    return differentiated(probe, forward)


SNIPPETS = [
    Snippet("stop_gradient between blocks", stopped_between_blocks, is_right=True),
    Snippet("stop_gradient at every step", stopped_at_every_step),
    Snippet("the result of stop_gradient not used", result_dropped),
    Snippet("blocks as a batch", blocks_side_by_side),
]
