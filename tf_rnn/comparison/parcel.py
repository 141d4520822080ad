"""Setups and tasks that travel to worker processes, on this machine or another."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import json
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple, Self

from tf_rnn.options import OptionError
from tf_rnn.tasks import TASKS, make_task

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import ModuleType

    from tf_rnn.setup import Setup
    from tf_rnn.tasks import Task


class Contents(NamedTuple):
    """What a worker finds in a parcel."""

    setup: Setup
    task: Task


@dataclasses.dataclass(frozen=True)
class Parcel:
    """A setup and its task, packed for worker processes.

    A task of the package travels as its name and options, without its data. Any other task is pickled
    together with its class, which a worker cannot import if it was written in a notebook or in the
    script that runs.

    Attributes:
        pickled: The setup and, unless options are enough, the task.
        name: The task's name.
        options: The task's options in JSON; "" if the task is pickled.
        data_sha256: The digest of the task's data; None if it has none.
    """

    pickled: bytes = dataclasses.field(repr=False)
    name: str
    options: str
    data_sha256: str | None

    @classmethod
    def of(cls, setup: Setup, task: Task) -> Self:
        """Packs a setup and its task.

        Raises:
            OptionError: For `task`, if it cannot be pickled.
        """
        digest = getattr(task, "sha256", None)
        # A task of one's own may be registered, too, but workers do not know it. What came through a pipe
        # cannot be read again.
        is_known = TASKS.get(task.name) is type(task) and type(task).__module__.startswith("tf_rnn.")
        if is_known and task.is_current():
            options = json.dumps(task.options())
            bare = dataclasses.replace(setup, task=task.name, task_options={})
            return cls(_pickled(bare, None), task.name, options, digest)
        own = dataclasses.replace(setup, task=task, task_options={})  # one task, not two
        return cls(_pickled(own, task), task.name, "", digest)

    def open(self) -> Contents:
        """Returns the setup and the task; a process makes the task of equal parcels only once.

        Raises:
            OptionError: For `data`, if the same data are not available here; for `task`, if it cannot
                be unpickled here.
        """
        return _opened(self)


# One for the runs of a comparison, one for another, such as the verification of an advice.
@functools.lru_cache(maxsize=2)
def _opened(parcel: Parcel) -> Contents:
    import cloudpickle  # noqa: PLC0415 (a tenth of a second, and only workers need it)

    try:
        setup, task = cloudpickle.loads(parcel.pickled)
    except Exception as error:  # of any kind: objects decide what unpickling them raises
        raise OptionError(
            "task",
            f"must be an object that every worker can unpickle, on {platform.node()} {parcel.name} "
            f"raises {type(error).__name__}: {error}",
        ) from error
    return Contents(setup, _same_task(parcel) if task is None else task)


def _same_task(parcel: Parcel) -> Task:
    """The task that another process has made, perhaps on another machine."""
    place = f"must be the same for all workers, but on {platform.node()}"
    try:
        task = make_task(parcel.name, **json.loads(parcel.options))
    except OptionError as error:
        raise OptionError("data", f"{place} it {error.problem}") from error
    if parcel.data_sha256 and getattr(task, "sha256", None) != parcel.data_sha256:
        raise OptionError("data", f"{place} it is another text")
    return task


def _pickled(setup: Setup, task: Task | None) -> bytes:
    import cloudpickle  # noqa: PLC0415

    try:
        with _pickled_by_value(type(task)):
            content: bytes = cloudpickle.dumps((setup, task))
    except Exception as error:
        raise OptionError(
            "task",
            f"must be an object that can be pickled for worker processes; {type(error).__name__}: {error}",
        ) from error
    return content


@contextlib.contextmanager
def _pickled_by_value(kind: type) -> Iterator[None]:
    """Makes cloudpickle include the user's own modules among those that define a class."""
    import cloudpickle  # noqa: PLC0415

    registered = cloudpickle.list_registry_pickle_by_value()
    modules = [module for module in _own_modules(kind) if module.__name__ not in registered]
    for module in modules:
        cloudpickle.register_pickle_by_value(module)
    try:
        yield
    finally:
        for module in modules:
            cloudpickle.unregister_pickle_by_value(module)


def _own_modules(kind: type) -> list[ModuleType]:
    """The modules that define a class and its bases, without this package, Python's and installed ones."""
    names = dict.fromkeys(base.__module__ for base in kind.__mro__)
    modules = [sys.modules[name] for name in names if name in sys.modules and name != "__main__"]
    return [module for module in modules if not _is_installed(module)]


def _is_installed(module: ModuleType) -> bool:
    """Whether every worker can import a module."""
    root = module.__name__.partition(".")[0]
    file = getattr(module, "__file__", None)
    return (
        root == "tf_rnn" or root in sys.stdlib_module_names or not file or "site-packages" in Path(file).parts
    )
