"""PyTorch: `nn.RNN`, `nn.GRU` and `nn.LSTM`, eager or with `torch.compile`."""

from __future__ import annotations

import importlib
import os
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.side_by_side.configurations import Configuration
    from benchmarks.side_by_side.problem import Problem

# Code cached by an earlier process would shorten the first run.
os.environ["TORCHINDUCTOR_FORCE_DISABLE_CACHES"] = "1"
torch: Any = importlib.import_module("torch")

LSTM_ORDER = (0, 1, 3, 2)  # PyTorch's gates are i, f, g, o
ADAM_BETAS, ADAM_EPSILON = (0.9, 0.999), 1e-8


def make(
    problem: Problem, *, threads: int, compiled: bool, precision: str = "float32"
) -> Callable[[Any, Any], float]:
    """Builds the training step.

    Args:
        problem: Model and data.
        threads: Threads per operation.
        compiled: Whether `torch.compile` is used.
        precision: "float32"; "autocast" to bfloat16; or "medium", products of float32 operands in bfloat16.
    """
    torch.set_num_threads(threads)
    torch.set_float32_matmul_precision("medium" if precision == "medium" else "highest")
    if precision == "autocast" and not torch.ops.mkldnn._is_mkldnn_bf16_supported():  # noqa: SLF001
        torch.backends.mkldnn.set_flags(_enabled=False)  # whose LSTM would fail on this processor
    configuration = problem.configuration
    vectors, recurrent, readout = _layers(problem)
    modules = [module for module in (vectors, recurrent, readout) if isinstance(module, torch.nn.Module)]
    parameters = [one for module in modules for one in module.parameters() if one.requires_grad]
    update = _optimizer(configuration, parameters)
    cross_entropy = torch.nn.functional.cross_entropy

    def forward(inputs: Any, targets: Any, state: Any) -> Any:
        with torch.autocast("cpu", torch.bfloat16, enabled=precision == "autocast"):
            outputs, state = recurrent(vectors(inputs), state)
            logits = readout(outputs)
        return cross_entropy(logits.float().flatten(0, 1), targets.flatten()), state

    run = torch.compile(forward) if compiled else forward
    state = _zero_state(configuration)

    def step(inputs: Any, targets: Any) -> float:
        nonlocal state
        loss, after = run(_time_first(inputs), _time_first(targets), state)
        (loss * configuration.loss_scale).backward()
        if configuration.clip_norm is not None:
            _clip(parameters, configuration.clip_norm)
        update()
        state = tuple(part.detach() for part in after) if isinstance(after, tuple) else after.detach()
        return float(loss.item())

    return step


def _clip(parameters: list[Any], clip_norm: float) -> None:
    """Clips like `clip_grad_norm_`, with an accurate norm.

    PyTorch sums all squares of a tensor sequentially in single precision, which is off by 2e-4 for some
    millions of them. The norm of the row norms is accurate and takes no longer.
    """
    row_norms = [torch.linalg.vector_norm(parameter.grad, dim=-1) for parameter in parameters]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(norms) for norms in row_norms]))
    torch.nn.utils.clip_grads_with_norm_(parameters, clip_norm, norm)


def _time_first(indices: Any) -> Any:
    return torch.from_numpy(np.ascontiguousarray(indices.T, dtype=np.int64))


def _layers(problem: Problem) -> tuple[Any, Any, Any]:
    configuration, weights = problem.configuration, problem.weights
    d, classes = configuration.state_size, configuration.num_classes
    vectors: Any
    if weights.embedding is None:

        def vectors(indices: Any) -> Any:
            return torch.nn.functional.one_hot(indices, classes).float()
    else:
        vectors = torch.nn.Embedding.from_pretrained(torch.tensor(weights.embedding), freeze=False)
    kind = {"vanilla": torch.nn.RNN, "gru": torch.nn.GRU, "lstm": torch.nn.LSTM}[configuration.cell]
    recurrent = kind(classes if weights.embedding is None else d, d, configuration.num_layers)
    _set_recurrent(recurrent, problem)
    readout = torch.nn.Linear(d, classes)
    with torch.no_grad():
        readout.weight.copy_(torch.tensor(weights.readout_kernel.T))
        readout.bias.copy_(torch.tensor(weights.readout_bias))
    return vectors, recurrent, readout


def _set_recurrent(recurrent: Any, problem: Problem) -> None:
    """Sets all weights and freezes PyTorch's second bias, which duplicates the first."""
    for number, layer in enumerate(problem.weights.layers):
        order = LSTM_ORDER if problem.configuration.cell == "lstm" else None
        second = getattr(recurrent, f"bias_hh_l{number}")
        with torch.no_grad():
            getattr(recurrent, f"weight_ih_l{number}").copy_(_rows(layer.input_kernel, order))
            getattr(recurrent, f"weight_hh_l{number}").copy_(_rows(layer.recurrent_kernel, order))
            getattr(recurrent, f"bias_ih_l{number}").copy_(_rows(layer.bias, order))
            second.zero_()
            if layer.candidate_bias is not None:
                second[-len(layer.candidate_bias) :] = torch.tensor(layer.candidate_bias)
        if layer.candidate_bias is None:
            second.requires_grad_(requires_grad=False)
        else:
            _train_only_last(second, len(layer.candidate_bias))


def _rows(array: Any, order: tuple[int, ...] | None) -> Any:
    """Transposes a kernel to PyTorch's layout, with the gates reordered."""
    if order is not None:
        parts = np.split(array, len(order), axis=-1)
        array = np.concatenate([parts[place] for place in order], axis=-1)
    return torch.tensor(np.ascontiguousarray(array.T))


def _train_only_last(parameter: Any, count: int) -> None:
    """Masks the gradient of all but the last entries: only a GRU's candidate has its own recurrent bias."""
    mask = torch.zeros_like(parameter, requires_grad=False)
    mask[-count:] = 1.0
    parameter.register_hook(lambda gradient: gradient * mask)


def _zero_state(configuration: Configuration) -> Any:
    zeros = torch.zeros(configuration.num_layers, configuration.batch_size, configuration.state_size)
    return (zeros, zeros.clone()) if configuration.cell == "lstm" else zeros


def _optimizer(configuration: Configuration, parameters: list[Any]) -> Callable[[], None]:
    rate = configuration.learning_rate
    if configuration.optimizer == "sgd":
        optimizer = torch.optim.SGD(parameters, lr=rate, fused=True)
    elif configuration.optimizer == "adagrad":
        optimizer = torch.optim.Adagrad(parameters, lr=rate, initial_accumulator_value=0.1, fused=True)
    else:
        optimizer = torch.optim.Adam(parameters, lr=rate, betas=ADAM_BETAS, eps=ADAM_EPSILON, fused=True)
    count = 0

    def update() -> None:
        nonlocal count
        count += 1
        if configuration.optimizer == "adam":
            # PyTorch adds epsilon after correcting the second moment, TensorFlow before.
            optimizer.param_groups[0]["eps"] = ADAM_EPSILON / (1 - ADAM_BETAS[1] ** count) ** 0.5
        optimizer.step()
        optimizer.zero_grad(set_to_none=True)

    return update
