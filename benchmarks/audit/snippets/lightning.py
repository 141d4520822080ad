"""PyTorch Lightning 2: manual optimisation, as its documentation has truncated backpropagation.

Version 2 has no `truncated_bptt_steps` any more; a setting of this name is not an error, and does nothing. A
batch is a row of all steps, which the module splits. With a learning rate of 1 the gradient is what is taken
from the weight: only the block that has the loss takes any.
"""

from __future__ import annotations

import functools
import importlib
import logging
import warnings
from typing import TYPE_CHECKING, Any

from benchmarks.audit.snippets import WIDTH, Snippet, at_loss
from benchmarks.audit.snippets.pytorch import network

if TYPE_CHECKING:
    from tf_rnn.audit import Probe

torch: Any = importlib.import_module("torch")
lightning: Any = importlib.import_module("lightning")


class Module(lightning.LightningModule):  # type: ignore[misc, name-defined, unused-ignore]
    """The network; a subclass trains it."""

    def __init__(self) -> None:
        super().__init__()
        self.rnn = network()
        self.outputs: list[Any] = []

    def configure_optimizers(self) -> Any:
        """Plain gradient descent."""
        return torch.optim.SGD(self.parameters(), lr=1.0)

    def forward(self, inputs: Any, weights: Any, state: Any) -> tuple[Any, Any]:
        """The loss of some steps, and the state after them."""
        outputs, state = self.rnn(inputs, state)
        self.outputs.append(outputs.detach())
        return (weights * outputs).sum(), state


class DetachedBetweenBlocks(Module):
    """A block is a step of the optimizer; the state goes on without its gradient."""

    automatic_optimization = False

    def training_step(self, batch: Any, _: int) -> None:
        """A row in blocks."""
        state, optimizer = torch.zeros(1, 1, 1), self.optimizers()
        for inputs, weights in zip(*(part.split(WIDTH, dim=1) for part in batch), strict=True):
            loss, state = self(inputs, weights, state.detach())
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()


class StateNotPassed(Module):
    """The state stays within the loop's body."""

    automatic_optimization = False

    def training_step(self, batch: Any, _: int) -> None:
        """A row in blocks."""
        optimizer = self.optimizers()
        for inputs, weights in zip(*(part.split(WIDTH, dim=1) for part in batch), strict=True):
            loss, _ = self(inputs, weights, torch.zeros(1, 1, 1))
            optimizer.zero_grad()
            self.manual_backward(loss)
            optimizer.step()


class SettingOfVersion1(Module):
    """`truncated_bptt_steps`, which version 1 understood."""

    def __init__(self) -> None:
        super().__init__()
        self.truncated_bptt_steps = WIDTH

    def training_step(self, batch: Any, _: int) -> Any:
        """The whole row, as nothing splits it."""
        loss, _ = self(*batch, torch.zeros(1, 1, 1))
        return loss


def fitted(kind: type[Any], probe: Probe) -> tuple[Any, Any]:
    """Trains a module on the row of a probe, one epoch."""
    module = kind()
    row = [torch.tensor(part)[:, None] for part in (probe.inputs, probe.weights)]
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(*(part[None] for part in row)))
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    quiet = {"logger": False, "enable_checkpointing": False, "enable_progress_bar": False}
    with warnings.catch_warnings(action="ignore"):
        trainer = lightning.Trainer(accelerator="cpu", max_epochs=1, enable_model_summary=False, **quiet)
        trainer.fit(module, loader)
    return 1 - module.rnn.weight_hh_l0.detach(), at_loss(probe, module.outputs)


SNIPPETS = [
    Snippet(title, functools.partial(fitted, kind), is_right=kind is DetachedBetweenBlocks, shown=kind)
    for title, kind in {
        "manual optimisation, the state detached between blocks": DetachedBetweenBlocks,
        "manual optimisation, the state not passed on": StateNotPassed,
        "truncated_bptt_steps, which version 2 ignores": SettingOfVersion1,
    }.items()
]
