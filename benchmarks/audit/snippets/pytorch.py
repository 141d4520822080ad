"""PyTorch: `nn.RNN`. Its states are positive on these data, where a ReLU is the identity."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from benchmarks.audit.snippets import STRIDE, WIDTH, Snippet, at_loss, blocks

if TYPE_CHECKING:
    from tf_rnn.audit import Probe

torch: Any = importlib.import_module("torch")


def network() -> Any:
    """Weights of 1, no bias."""
    rnn = torch.nn.RNN(1, 1, nonlinearity="relu", bias=False, batch_first=True)
    for weight in rnn.parameters():
        torch.nn.init.ones_(weight)
    return rnn


def tensors(probe: Probe) -> Any:
    """Blocks of inputs and weights."""
    return [(torch.tensor(inputs), torch.tensor(weights)) for inputs, weights in blocks(probe)]


def detached_between_blocks(probe: Probe) -> tuple[Any, Any]:
    """The usual loop."""
    rnn, state, outputs = network(), torch.zeros(1, 1, 1), []
    for inputs, weights in tensors(probe):
        output, state = rnn(inputs, state.detach())
        (weights * output).sum().backward()
        outputs.append(output.detach())
    return rnn.weight_hh_l0.grad, at_loss(probe, outputs)


def state_not_passed(probe: Probe) -> tuple[Any, Any]:
    """Without an initial state `nn.RNN` starts from zero."""
    rnn, outputs = network(), []
    for inputs, weights in tensors(probe):
        output, _ = rnn(inputs)
        (weights * output).sum().backward()
        outputs.append(output.detach())
    return rnn.weight_hh_l0.grad, at_loss(probe, outputs)


def detached_at_every_step(probe: Probe) -> tuple[Any, Any]:
    """The state is detached in the inner loop."""
    rnn, state, outputs = network(), torch.zeros(1, 1, 1), []
    for inputs, weights in tensors(probe):
        loss = torch.zeros(())
        for t in range(WIDTH):
            output, state = rnn(inputs[:, t : t + 1], state.detach())
            loss = loss + (weights[:, t : t + 1] * output).sum()
            outputs.append(output.detach())
        loss.backward()
    return rnn.weight_hh_l0.grad, at_loss(probe, outputs)


def never_detached(probe: Probe) -> tuple[Any, Any]:
    """`retain_graph=True` silences the error that a state which is not detached raises."""
    rnn, state, outputs = network(), torch.zeros(1, 1, 1), []
    for inputs, weights in tensors(probe):
        output, state = rnn(inputs, state)
        (weights * output).sum().backward(retain_graph=True)
        outputs.append(output.detach())
    return rnn.weight_hh_l0.grad, at_loss(probe, outputs)


def mean_loss(probe: Probe) -> tuple[Any, Any]:
    """The loss is a mean over the block, and `loss_scale` was not given."""
    rnn, state, outputs = network(), torch.zeros(1, 1, 1), []
    for inputs, weights in tensors(probe):
        output, state = rnn(inputs, state.detach())
        (weights * output).mean().backward()
        outputs.append(output.detach())
    return rnn.weight_hh_l0.grad, at_loss(probe, outputs)


def clipped(probe: Probe) -> tuple[Any, Any]:
    """The usual loop, audited with its clipping."""
    rnn, state, outputs = network(), torch.zeros(1, 1, 1), []
    for inputs, weights in tensors(probe):
        output, state = rnn(inputs, state.detach())
        (weights * output).sum().backward()
        torch.nn.utils.clip_grad_norm_(rnn.parameters(), 1.0)
        outputs.append(output.detach())
    return rnn.weight_hh_l0.grad, at_loss(probe, outputs)


def sliding(probe: Probe, stride: int = STRIDE, width: int = WIDTH) -> tuple[Any, Any]:
    """Every `stride` steps (k1), the errors of the new steps flow back over `width` (k2)."""
    rnn, state, outputs = network(), torch.zeros(1, 1, 1), []
    inputs, weights = torch.tensor(probe.inputs)[None, :, None], torch.tensor(probe.weights)[None, :, None]
    states = [state]
    with torch.no_grad():
        for t in range(probe.num_steps):
            output, state = rnn(inputs[:, t : t + 1], state)
            states.append(state)
            outputs.append(output)
    for stop in range(stride, probe.num_steps + 1, stride):
        start = max(0, stop - width)
        output, _ = rnn(inputs[:, start:stop], states[start])
        (weights[:, start:stop] * output)[:, -stride:].sum().backward()
    return rnn.weight_hh_l0.grad, at_loss(probe, outputs)


def mixed_up(probe: Probe) -> tuple[Any, Any]:
    """The same with the two numbers in the wrong order."""
    return sliding(probe, WIDTH, STRIDE)


SNIPPETS = [
    Snippet("the state detached between blocks", detached_between_blocks, is_right=True),
    Snippet("the state not passed on", state_not_passed),
    Snippet("the state detached at every step", detached_at_every_step),
    Snippet("the state never detached", never_detached),
    Snippet("a mean, read as a sum", mean_loss),
    Snippet("gradients clipped", clipped),
    Snippet("sliding windows, k1 = 2 and k2 = 5", sliding, is_right=True, asked_stride=STRIDE),
    Snippet("k1 and k2 mixed up", mixed_up, asked_stride=STRIDE),
]
