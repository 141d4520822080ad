"""A setup in one line, for titles and reports."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tf_rnn.options import Setup

# These are in the line whatever they are; of the others, what differs from the default.
ALWAYS = (
    *("task", "task_options", "cell", "state_size", "num_layers", "batch_size", "optimizer", "learning_rate"),
    *("style", "stride", "tolerance"),
)
NAMES = {
    "clip_norm": "gradient norm at most {}",
    "tied": "tied embedding",
    "init_scale": "initial weights within ±{}",
    "recompute": "recompute {}",
    "reduction": "{} of the losses",
    "embedding_size": "embedding {}",
}


def setup_line(setup: Setup, amount: str) -> str:
    """What is trained on what, and for how long, in one line.

    Args:
        setup: The network and its training.
        amount: How long, in words.
    """
    layers = f"{setup.num_layers} x " if setup.num_layers > 1 else ""
    parts = [
        f"Task {setup.task}",
        f"cell {setup.cell} {layers}{setup.state_size}",
        *(_option(name, value) for name, value in sorted(setup.cell_options.items())),
        f"batch {setup.batch_size}",
        f"{setup.optimizer} {setup.learning_rate:g}",
        *_changed(setup),
        *_style(setup),
        amount,
    ]
    return ", ".join(parts)


def _changed(setup: Setup) -> list[str]:
    """The options that are not as by default, but those that the line has anyway."""
    changed = []
    for field in dataclasses.fields(setup):
        value = getattr(setup, field.name)
        if field.name not in (*ALWAYS, "cell_options") and value != field.default:
            changed.append(_option(field.name, value))
    return changed


def _option(name: str, value: Any) -> str:
    shown = f"{value:g}" if isinstance(value, float) else str(value)
    return NAMES.get(name, f"{name.replace('_', ' ')} {{}}").format(shown)


def _style(setup: Setup) -> list[str]:
    """The truncation style in words; nothing for blocks."""
    details = {"sliding": f" by {setup.stride}", "adaptive": f" with tolerance {setup.tolerance:g}"}
    return [] if setup.style == "block" else [setup.style + details.get(setup.style, "")]
