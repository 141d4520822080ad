"""The trained run whose weights a new run begins with."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from tf_rnn.files import CHECKPOINTS, as_path, require_run, usable_config
from tf_rnn.graph.naming import weight_names
from tf_rnn.options import OptionError
from tf_rnn.options.declared import CELL_OPTIONS, SETUP_OPTIONS, TASK_OPTIONS
from tf_rnn.run_config import network_of_run
from tf_rnn.tasks import Task
from tf_rnn.training.checkpoints import Checkpoint, Checkpoints
from tf_rnn.training.state import restore

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping
    from pathlib import Path

    from tf_rnn.graph import UnrolledGraph

OPTION = "start_from"
# Options of a task that belong to one table, not to all that are read in the same way.
NETWORK_OF_A_TABLE = ("target", "inputs", "known", "static", "calendar", "horizon", "quantiles", "difference")
OF_A_TABLE = ("data", "encoding", "valid_fraction", "test_fraction", "valid_from", "test_from")


class Origin(NamedTuple):
    """A trained run whose weights a new run begins with; see `find_origin`.

    Attributes:
        folder: The folder of the trained run.
        checkpoint: Its checkpoint, as a rule the best.
    """

    folder: Path
    checkpoint: Checkpoint

    @property
    def config(self) -> dict[str, Any]:
        """The configuration of the trained run."""
        return self.checkpoint.state.config

    @property
    def vocabulary(self) -> tuple[str, ...] | None:
        """Its tokens, if it is one of language."""
        return self.checkpoint.state.vocabulary

    @property
    def record(self) -> dict[str, Any]:
        """What the configuration of the new run says: folder, checkpoint, SHA-256 of the variables."""
        digest = hashlib.sha256()
        for name, value in sorted(self.checkpoint.state.variables.items()):
            digest.update(f"{name} {value.dtype} {value.shape}\n".encode())
            digest.update(np.ascontiguousarray(value).tobytes())
        number = self.checkpoint.number
        return {"folder": str(self.folder), "checkpoint": number, "sha256": digest.hexdigest()}

    def line(self) -> str:
        """One line for people."""
        return f"starts with the weights of {str(self.folder)!r}, {self.checkpoint.path.name}"

    def require_same(self, task: Task) -> None:
        """Raises OptionError for `task` unless a task has the name and the vocabulary of the run."""
        name = self.config["task"]["name"]
        if task.name != name:
            raise OptionError("task", f"must be {name!r}, as in the run in {self._where}, got {task.name!r}")
        vocabulary = getattr(task, "vocabulary", None)
        if self.vocabulary is not None and tuple(vocabulary or ()) != self.vocabulary:
            raise OptionError("task", f"must have the vocabulary of the run in {self._where}")

    def restore(self, graph: UnrolledGraph, session: Any) -> None:
        """Gives the weights of a graph the values of the run; the memory of its optimizer is left alone.

        Raises:
            OptionError: If names or shapes differ.
        """
        restore(OPTION, session, weight_names(graph), self.checkpoint.state.variables)

    def options(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """The options of the setup of a new run.

        The network is that of the trained run. Options of the task that are not given are those of the
        trained run, too, but for how other data are read.

        Args:
            given: Options by name, as for `Experiment`.

        Raises:
            OptionError: If an option contradicts the trained run.
        """
        of_task = {**given.get("task_options", {}), **_among(given, TASK_OPTIONS)}
        of_cell = {**given.get("cell_options", {}), **_among(given, CELL_OPTIONS)}
        kept = network_of_run(self.config)
        self._require_kept(kept, {**given, **of_task, **of_cell})
        options = {name: value for name, value in given.items() if name not in (*TASK_OPTIONS, *CELL_OPTIONS)}
        options |= {name: value for name, value in kept.items() if name not in ("task", *TASK_OPTIONS)}
        options["cell_options"] = of_cell
        if isinstance(given["task"], Task):
            return options
        task = self.config["task"]
        saved = task["options"]
        if "fit" in task:  # other tables are read as that of the run
            saved = {name: value for name, value in saved.items() if value not in (None, [])}
            saved |= {"fit": task["fit"]}
            for name in NETWORK_OF_A_TABLE:
                if name in of_task and _plain(of_task[name]) != _plain(task["options"].get(name)):
                    wanted = f"{task['options'].get(name)!r}, as in the run in {self._where}"
                    raise OptionError(name, f"must be {wanted}, or left out; got {of_task[name]!r}")
        if "data" in of_task:
            named = _among(kept, TASK_OPTIONS)
            saved = (
                {name: saved[name] for name in saved if name not in OF_A_TABLE} if "fit" in task else named
            )
        if self.vocabulary is not None:
            saved = saved | {"vocabulary": list(self.vocabulary)}
        return options | {"task_options": {**saved, **of_task}}

    def _require_kept(self, kept: Mapping[str, Any], given: Mapping[str, Any]) -> None:
        """Raises OptionError where a given option is not that of the run."""
        for name in kept:
            if name not in given or isinstance(given[name], Task):
                continue
            value = SETUP_OPTIONS[name].check(given[name])
            if value != kept[name]:
                wanted = f"{kept[name]!r}, as in the run in {self._where}"
                raise OptionError(name, f"must be {wanted}, or left out; got {value!r}")
        vocabulary = given.get("vocabulary")
        if vocabulary is not None and tuple(vocabulary) != self.vocabulary:
            raise OptionError("vocabulary", f"must be that of the run in {self._where}, or left out")

    @property
    def _where(self) -> str:
        return repr(str(self.folder))


def _plain(value: Any) -> Any:
    """A value as JSON has it; one name alone as a list."""
    return [value] if isinstance(value, str) else list(value) if isinstance(value, tuple) else value


def _among(given: Mapping[str, Any], names: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given[name] for name in names if name in given}


def find_origin(start_from: str | os.PathLike[str] | Origin, task: Task | None = None) -> Origin:
    """The best checkpoint of the run in a folder.

    Args:
        start_from: The folder, or what was found in it.
        task: What the new run learns, if it is known.

    Raises:
        OptionError: For `start_from`, if there is no run or no undamaged checkpoint, or it cannot be read;
            for `task`, if it is another one, or of another vocabulary.
    """
    origin = start_from if isinstance(start_from, Origin) else _best(start_from)
    if task is not None:
        origin.require_same(task)
    return origin


def _best(start_from: str | os.PathLike[str]) -> Origin:
    folder = as_path(OPTION, start_from).absolute()  # the process may change its directory
    require_run(folder, OPTION)
    found = Checkpoints(folder / CHECKPOINTS, OPTION).best()
    if found is None:
        raise OptionError(OPTION, f"must have an undamaged checkpoint, {str(folder)!r} has none")
    return Origin(folder, found.with_config(usable_config(OPTION, folder, found.state.config)))


def recorded_origin(resume: Path, record: Mapping[str, Any]) -> Origin:
    """The origin of a run that was stopped before it had a checkpoint of its own.

    Args:
        resume: The folder of that run.
        record: What its configuration says.

    Raises:
        OptionError: For `resume`, if the weights are gone or others.
    """
    folder = as_path("resume", record["folder"])
    try:
        require_run(folder, "resume")
        checkpoints = Checkpoints(folder / CHECKPOINTS, "resume")
        origin = Origin(folder, checkpoints.numbered(record["checkpoint"]))
        found = origin.record
    except OptionError:
        found = {}
    if found != record:
        raise OptionError(
            "resume",
            f"must have a checkpoint: the run in {str(resume)!r} was stopped before its first one, and the "
            f"weights that it starts with are no longer in {record['folder']!r}",
        )
    return origin
