"""Groups of options that several commands have."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tf_rnn.options.declared import (
    CELL_OPTIONS,
    CHECKPOINT,
    CONFIG_FILE,
    DRY_RUN,
    FOLDER,
    NETWORK_OPTIONS,
    OUT,
    TASK,
    TASK_OPTIONS,
    TENSORBOARD,
    WORKER_OPTIONS,
)

if TYPE_CHECKING:
    from collections.abc import Collection

    from tf_rnn.cli.parser import Parser


def add_setup(parser: Parser, command: str, but: Collection[str] = ()) -> None:
    """Adds the options of `Setup` but some, for a command."""

    def suits(task: str) -> dict[str, Any]:
        from tf_rnn.experiment import task_defaults  # noqa: PLC0415 (it takes longer than help may)

        return task_defaults(command, task)

    parser.suits = suits
    parser.add_declared("what is learnt", [TASK, *TASK_OPTIONS.values()])
    parser.add_declared(
        "the network and its training (defaults: see --help --task T)",
        [option for option in (NETWORK_OPTIONS | CELL_OPTIONS).values() if option.name not in but],
    )
    parser.add_declared("all of these from a file", [CONFIG_FILE])


def add_results(parser: Parser, command: str, *, workers: bool) -> None:
    """Adds the options on where a command runs and where its results go."""
    default = f"folder for the results (default: results/{command}-..., named after the options)"
    where = [*WORKER_OPTIONS.values(), DRY_RUN, TENSORBOARD] if workers else []
    parser.add_declared("how it runs", [*where, OUT.but(help=default)])


def add_model(parser: Parser) -> None:
    """Adds the options that choose a trained model."""
    parser.add_positional(FOLDER, "DIR")
    parser.add_declared("which model", [CHECKPOINT])
