"""Groups of options that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tf_rnn.options.declared import (
    CELL_OPTIONS,
    CHECKPOINT,
    DRY_RUN,
    FOLDER,
    NETWORK_OPTIONS,
    OUT,
    TASK,
    TASK_OPTIONS,
    WORKER_OPTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from tf_rnn.cli.parser import Parser


def add_setup(parser: Parser, but: Collection[str] = ()) -> None:
    """Adds the options of `Setup` but some."""
    parser.add_declared("what is learnt", [TASK, *TASK_OPTIONS.values()])
    parser.add_declared(
        "the network and its training (defaults: what suits the task)",
        [option for option in (NETWORK_OPTIONS | CELL_OPTIONS).values() if option.name not in but],
    )


def add_results(parser: Parser, command: str, *, workers: bool) -> None:
    """Adds the options on where a command runs and where its results go."""
    default = f"folder for the results (default: results/{command}-..., named after the options)"
    where = [*WORKER_OPTIONS.values(), DRY_RUN] if workers else []
    parser.add_declared("how it runs", [*where, OUT.but(help=default)])


def add_model(parser: Parser) -> None:
    """Adds the options that choose a trained model."""
    parser.add_positional(FOLDER, "DIR")
    parser.add_declared("which model", [CHECKPOINT])
