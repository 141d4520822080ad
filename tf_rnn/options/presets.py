"""Presets: published configurations under a name. Options given explicitly override them.

`char-rnn` has the defaults of Karpathy's char-rnn (2015, `train.lua`), with two differences: it clips the
gradient's norm at 5 where char-rnn clamps each element to [-5, 5], and RMSprop averages squared gradients
with TensorFlow's 0.9 where char-rnn takes 0.95. `ptb-...` are the networks of Zaremba, Sutskever & Vinyals
(2014), section 4.1.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.options.errors import OptionError

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

PRESETS: dict[str, dict[str, Any]] = {
    "char-rnn": {
        "task": "text",
        "cell": "lstm",
        "state_size": 128,
        "num_layers": 2,
        "forget_bias": 1.0,
        "init_scale": 0.08,
        "num_steps": 50,
        "batch_size": 50,
        "optimizer": "rmsprop",
        "learning_rate": 0.002,
        "clip_norm": 5.0,
        "schedule": "step",
        "decay": 0.97,
        "decay_after": 10,
        "epochs": 50.0,
    },
    "ptb-small": {
        **_PTB,
        "state_size": 200,
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

# Options of a preset that are dropped where another option is not as the preset has it.
NEEDED = {"forget_bias": "cell", "decay": "schedule", "decay_after": "schedule"}
# Options of a preset that are dropped where one of these is given.
EXCLUDED = {
    "epochs": ("tokens", "updates", "seconds"),
    "init_scale": ("recurrent_init", "recurrent_gain"),
}


def preset_options(name: str | None, given: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a preset that go together with those that were given.

    Args:
        name: A key of `PRESETS`, or None for none.
        given: The options that were given, by name.

    Raises:
        OptionError: If another task was given.
    """
    preset = PRESETS[name] if name else {}
    if preset and given.get("task", preset["task"]) != preset["task"]:
        raise OptionError("task", f"must be {preset['task']} with the preset {name}, got {given['task']!r}")

    def is_of_use(option: str) -> bool:
        needed = NEEDED.get(option)
        as_needed = needed is None or given.get(needed, preset[needed]) == preset[needed]
        return as_needed and not any(other in given for other in EXCLUDED.get(option, ()))

    return {option: value for option, value in preset.items() if option not in given and is_of_use(option)}
