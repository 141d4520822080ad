"""Names that no option has: which one was probably meant."""

from __future__ import annotations

import difflib
import functools
import inspect
from typing import TYPE_CHECKING, Any, TypeVar, cast

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    Function = TypeVar("Function", bound=Callable[..., Any])

# What other packages call an option; several words may mean one.
_ELSEWHERE = {
    "batch_size": "batch bs",
    "cell": "cell_type model rnn rnn_type",
    "clip_norm": "clip clipnorm grad_clip gradient_clip max_grad_norm",
    "data": "corpus data_dir dataset file",
    "embedding_size": "embed_dim embedding_dim emsize",
    "epochs": "max_epochs n_epochs num_epochs",
    "horizon": "forecast_horizon output_chunk_length prediction_length",
    "label": "class_column classes",
    "learning_rate": "eta lr step_size",
    "num_layers": "depth layers n_layers",
    "num_steps": "bptt input_chunk_length seq_len seq_length sequence_length timesteps unroll width",
    "optimizer": "optim",
    "out": "log_dir logdir output output_dir save save_dir",
    "patience": "early_stopping",
    "precision": "amp autocast mixed_precision",
    "recompute": "checkpointing remat",
    "seed": "random_seed random_state",
    "state": "stateful",
    "state_size": "hidden hidden_dim hidden_size hidden_units n_hidden num_units rnn_size units",
    "threads": "num_threads",
    "updates": "iterations max_steps train_steps",
    "vocabulary_size": "vocab_size",
    "weight_decay": "wd",
    "workers": "jobs n_jobs num_workers",
}
OTHER_NAMES = {other: name for name, others in _ELSEWHERE.items() for other in others.split()}
# What another task or command calls an option.
_OTHER_PLACES = {"label": "target", "target": "label", "tokens": "amount", "epochs": "amount"}

# How alike two names must be, from 0 to 1: epoch is epochs, and lags is no layers.
ALIKE = 0.7


def meant(word: str, known: Iterable[str]) -> str | None:
    """The name that a word probably stands for; None if it is like none.

    Args:
        word: The word, as in Python or on the command line.
        known: The names that are allowed.
    """
    names = {name: name for name in known}
    others = {other: name for other, name in (OTHER_NAMES | _OTHER_PLACES).items() if name in names}
    names = others | names
    near = difflib.get_close_matches(word.strip("-").replace("-", "_").lower(), names, n=1, cutoff=ALIKE)
    return names[near[0]] if near else None


def suggestion(word: str, known: Iterable[str]) -> str:
    """The end of a message about a word that is not allowed: what was probably meant; "" if nothing is alike.

    Args:
        word: The word.
        known: The names that are allowed.
    """
    likely = meant(word, known)
    return f"; did you mean {likely}?" if likely else ""


def unexpected(where: str, name: str, known: Iterable[str]) -> TypeError:
    """The error for a keyword that a function does not have.

    Args:
        where: The function.
        name: The keyword.
        known: Those that it has.
    """
    hint = suggestion(name, known)
    return TypeError(f"{where}() got an unexpected keyword argument {name!r}{hint}")


def suggests(function: Function) -> Function:
    """Makes a method's TypeError for a keyword that it does not have name the one that was probably meant."""
    known = inspect.signature(function).parameters

    @functools.wraps(function)
    def checked(*arguments: Any, **options: Any) -> Any:
        for name in options:
            if name not in known:
                raise unexpected(function.__qualname__, name, known)
        return function(*arguments, **options)

    return cast("Function", checked)
