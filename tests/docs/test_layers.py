"""Import rules: a folder imports only lower ones; heavy packages are imported in one place each."""

from __future__ import annotations

import ast
import functools
import subprocess
import sys
from pathlib import Path

import pytest

import tf_rnn

PACKAGE = Path(tf_rnn.__file__).parent
# In the order in which data flows: each imports only from those before it.
FOLDERS = (
    *("reporting", "tasks", "audit", "setup", "cells", "graph", "training", "parallel"),
    *("inference", "analysis", "comparison", "training_run", "experiment", "cli"),
)
# These import nothing of the package but what is named here.
APART = {
    "options": set[str](),
    "truncation": {"options"},
    "text": set[str](),
    "console": set[str](),
    "processor": {"options"},
    "_tensorflow": set[str](),
    "run_config": {"options"},
    "files": {"options", "run_config"},
    "lock": {"options", "files", "console"},
    "reporting": {"options", "files", "lock", "text", "console"},
    # TensorFlow only for downloads; a fresh interpreter does not load it, see below.
    "tasks": {"options", "text", "_tensorflow"},
    # For loops of any framework, in NumPy alone.
    "audit": {"options", "run_config", "files", "tasks"},
    "setup": {"options", "tasks", "truncation", "console"},
    "cells": {"options", "processor", "_tensorflow"},
}
# The public face and the command may import everything.
FACE = ("__init__", "__main__")
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(source: str, module: str) -> set[str]:
    """Full names of everything a module imports, including inside functions and for type checking.

    Args:
        source: Source code of the module.
        module: Name within the package, such as `graph.unroll` or `graph.__init__`.
    """
    found = set()
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            above = ["tf_rnn", *module.split(".")][: -node.level] if node.level else []
            origin = ".".join([*above, *([node.module] if node.module else [])])
            # `from tf_rnn import graph` imports a module, `from tf_rnn.graph import unroll` a name.
            found |= {f"{origin}.{alias.name}" for alias in node.names}
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Name | ast.Attribute):
            name = node.func.id if isinstance(node.func, ast.Name) else node.func.attr
            if name in {"import_module", "__import__"} and node.args:
                argument = node.args[0]
                if isinstance(argument, ast.Constant):
                    found.add(str(argument.value))
                elif isinstance(argument, ast.JoinedStr):
                    found.add("".join(str(v.value) for v in argument.values if isinstance(v, ast.Constant)))
    return found


@functools.cache
def imports_of(module: str) -> set[str]:
    """What a module of the package imports."""
    return imports(MODULES[module].read_text(encoding="utf-8"), module)


def parts(names: set[str]) -> set[str]:
    """Folders and top-level modules of the package among the names; "" for the package itself."""
    within = (name.split(".") for name in names)
    return {name[1] if len(name) > 1 else "" for name in within if name[0] == "tf_rnn"}


def packages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def allowed(folder: str) -> set[str]:
    """Folders and modules that a folder may import, apart from itself."""
    if folder in APART:
        return APART[folder]
    beside = {"options", "truncation", "run_config", "lock", "files", "text", "console", "processor"}
    beside |= {"_tensorflow"}
    if folder == "cli":  # loads the package's modules when they are used
        beside |= {""}
    return {*beside, *FOLDERS[: FOLDERS.index(folder)]}


def test_imports_are_found_anywhere_in_a_module() -> None:
    source = """
import json
import tf_rnn.graph.step
from tf_rnn import tasks, analysis as a
from tf_rnn.training.loop import train
from . import unroll
from .. import cli
from ..cells import lstm
def later():
    import tensorflow.keras as keras
    importlib.import_module("matplotlib.pyplot")
    importlib.import_module(f"tf_rnn.comparison.{name}")
if TYPE_CHECKING:
    from tf_rnn.inference import Model
"""
    found = imports(source, "graph.step")
    expected = {"graph", "tasks", "analysis", "training", "cli", "cells", "comparison", "inference"}
    assert parts(found) == expected
    assert packages(found) == {"json", "tf_rnn", "tensorflow", "matplotlib"}
    assert "tf_rnn.graph.unroll" in found
    assert parts(imports("from . import cells", "options")) == {"cells"}
    assert parts(imports("from . import cells", "graph.__init__")) == {"graph"}
    assert parts({"tf_rnn"}) == {""}


def test_every_module_has_its_layer() -> None:
    assert {"options.rules", "_tensorflow", "__init__", "tasks.echo", "cells.base", "graph.unrolled"} <= set(
        MODULES
    )
    for name in MODULES:
        folder = name.split(".")[0]
        assert folder in FOLDERS or folder in APART or folder in FACE, name


@pytest.mark.parametrize("folder", [*FOLDERS, *(name for name in APART if name not in FOLDERS)])
def test_each_folder_imports_only_lower_ones(folder: str) -> None:
    for module in (name for name in MODULES if name.split(".", maxsplit=1)[0] == folder):
        found = parts(imports_of(module))
        beyond = found - {folder} - allowed(folder)
        assert not beyond, f"{module} imports {sorted(beyond)}, allowed are {sorted(allowed(folder))}"


@pytest.mark.parametrize(
    ("heavy", "place"),
    [
        ({"tensorflow", "keras"}, "_tensorflow"),
        ({"matplotlib"}, "reporting.style"),
        ({"dask", "distributed"}, "comparison.dask"),
    ],
)
def test_heavy_packages_are_imported_in_one_place_each(heavy: set[str], place: str) -> None:
    assert [name for name in MODULES if packages(imports_of(name)) & heavy] == [place]


def test_importing_loads_no_heavy_package() -> None:
    code = (
        "import sys, tf_rnn, tf_rnn.options, tf_rnn.truncation; from tf_rnn.tasks import TASKS; dir(tf_rnn); "
        "[task().baselines() for task in TASKS.values()]; "
        "print([n for n in ('tensorflow', 'keras', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_public_face_is_complete() -> None:
    assert {"UnrolledGraph", "cells", "tasks", "train", "load"} <= set(tf_rnn.__all__) <= set(dir(tf_rnn))
    for name in tf_rnn.__all__:
        assert getattr(tf_rnn, name).__name__.split(".")[-1] == name
    assert (tf_rnn.cells.LSTMCell.__name__, tf_rnn.tasks.Echo.__name__) == ("LSTMCell", "Echo")
    assert not hasattr(tf_rnn, "nothing")
