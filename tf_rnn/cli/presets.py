"""Settings that are known to work well together, under names; each holds what differs from the defaults."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

_PTB: dict[str, Any] = {
    "task": "words",
    "data": "ptb",
    "cell": "lstm",
    "num_layers": 2,
    "optimizer": "sgd",
    "learning_rate": 1.0,
    "reduction": "sum",
    "forget_bias": 0.0,
    "schedule": "step",
}

# char-rnn: the defaults of Karpathy's char-rnn (2015). ptb-...: Zaremba et al. 2014, sections 4.1.
PRESETS: dict[str, dict[str, Any]] = {
    "char-rnn": {
        "task": "text",
        "state_size": 128,
        "num_layers": 2,
        "optimizer": "rmsprop",
        "clip_norm": 5.0,
    },
    "ptb-small": {
        **_PTB,
        "num_steps": 20,
        "init_scale": 0.1,
        "epochs": 13.0,
        "decay": 0.5,
        "decay_after": 4,
    },
    "ptb-medium": {
        **_PTB,
        "state_size": 650,
        "num_steps": 35,
        "init_scale": 0.05,
        "dropout": 0.5,
        "epochs": 39.0,
        "decay": 1 / 1.2,
        "decay_after": 6,
    },
    "ptb-large": {
        **_PTB,
        "state_size": 1500,
        "num_steps": 35,
        "init_scale": 0.04,
        "clip_norm": 10.0,
        "dropout": 0.65,
        "epochs": 55.0,
        "decay": 1 / 1.15,
        "decay_after": 14,
    },
}

# What is of no use where another option is not as the preset has it.
NEEDED = {"data": "task", "forget_bias": "cell", "decay": "schedule", "decay_after": "schedule"}
# What two options say that cannot be given together.
EXCLUDED = {
    "epochs": ("tokens", "updates", "seconds"),
    "init_scale": ("recurrent_init", "recurrent_gain"),
}


def preset_options(name: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a preset that go together with those that the user gave.

    Args:
        name: A key of `PRESETS`, or None for none.
        given: Options that the user gave, by name; they come before the preset's.
    """
    preset = PRESETS[name] if name else {}

    def is_of_use(option: str) -> bool:
        needed = NEEDED.get(option)
        as_needed = needed is None or given.get(needed, preset[needed]) == preset[needed]
        return as_needed and not any(other in given for other in EXCLUDED.get(option, ()))

    return {option: value for option, value in preset.items() if is_of_use(option)}
