"""Options: what each may be, its default, its line of help, and the one error that says what is allowed.

`declared` has them all. The command line, `Setup`, `GraphOptions`, `config.json`, presets, the rules of
resuming and the lines of reports are made from it. Nothing here needs TensorFlow or NumPy.
"""

from tf_rnn.options.checks import (
    require_block,
    require_choice,
    require_fraction,
    require_not_negative,
    require_number,
    require_number_of,
    require_positive,
    require_schedule,
    require_whole,
)
from tf_rnn.options.errors import OptionError, call_text, shown
from tf_rnn.options.fields import check_fields
from tf_rnn.options.graph_options import GraphOptions
from tf_rnn.options.names import meant, suggestion, suggests, unexpected
from tf_rnn.options.option import SUITS_TASK, Option
from tf_rnn.options.words import (
    ACTIVATIONS,
    BUDGETS,
    CELLS,
    DTYPES,
    INPUT_KINDS,
    LARGEST_SIZE,
    LARGEST_WIDTH,
    LOSS_STEPS,
    LOSSES,
    MOST,
    OPTIMIZERS,
    READOUTS,
    RECURRENT_INITS,
    REDUCTIONS,
    SCHEDULES,
    SCHEDULES_OVER_BUDGET,
    STATES,
    STYLES,
)

__all__ = [
    "ACTIVATIONS",
    "BUDGETS",
    "CELLS",
    "DTYPES",
    "INPUT_KINDS",
    "LARGEST_SIZE",
    "LARGEST_WIDTH",
    "LOSSES",
    "LOSS_STEPS",
    "MOST",
    "OPTIMIZERS",
    "READOUTS",
    "RECURRENT_INITS",
    "REDUCTIONS",
    "SCHEDULES",
    "SCHEDULES_OVER_BUDGET",
    "STATES",
    "STYLES",
    "SUITS_TASK",
    "GraphOptions",
    "Option",
    "OptionError",
    "call_text",
    "check_fields",
    "meant",
    "require_block",
    "require_choice",
    "require_fraction",
    "require_not_negative",
    "require_number",
    "require_number_of",
    "require_positive",
    "require_schedule",
    "require_whole",
    "shown",
    "suggestion",
    "suggests",
    "unexpected",
]
