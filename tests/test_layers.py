"""Who may import whom: each folder only those before it, heavy packages only where they are needed."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import tf_rnn

PACKAGE = Path(__file__).parent.parent / "tf_rnn"
# In the order in which data flows: each imports only from those before it.
FOLDERS = (
    "reporting",
    "tasks",
    "cells",
    "graph",
    "training",
    "parallel",
    "inference",
    "analysis",
    "comparison",
    "cli",
)
# These import nothing of the package but what is named here.
APART = {
    "options": set[str](),
    "text": set[str](),
    "_tensorflow": set[str](),
    "run_config": {"options"},
    "files": {"options", "run_config"},
    "lock": {"options", "files"},
    "reporting": {"options", "files", "text"},
    # TensorFlow for downloads alone: see what a fresh interpreter does not load.
    "tasks": {"options", "_tensorflow"},
    "cells": {"options", "_tensorflow"},
}
# The package's face and its command see everything.
FACE = ("__init__", "__main__")
MODULES = {
    ".".join(path.relative_to(PACKAGE).with_suffix("").parts): path for path in sorted(PACKAGE.rglob("*.py"))
}


def imports(source: str, module: str) -> set[str]:
    """Full names of all that a module of the package imports, anywhere in it, for types too.

    Args:
        source: Its text.
        module: Its name within the package: `graph.unroll`, `graph.__init__`.
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


def parts(names: set[str]) -> set[str]:
    """Which folders or modules directly in the package are among the names; "" for all of it."""
    within = (name.split(".") for name in names)
    return {name[1] if len(name) > 1 else "" for name in within if name[0] == "tf_rnn"}


def packages(names: set[str]) -> set[str]:
    return {name.split(".")[0] for name in names}


def allowed(folder: str) -> set[str]:
    """What modules of a folder may import, beside each other."""
    if folder in APART:
        return APART[folder]
    beside = {"options", "run_config", "lock", "files", "text", "_tensorflow"}
    return {*beside, *FOLDERS[: FOLDERS.index(folder)]}


def test_imports_are_found_wherever_they_stand() -> None:
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
    assert parts(found) == {
        "graph",
        "tasks",
        "analysis",
        "training",
        "cli",
        "cells",
        "comparison",
        "inference",
    }
    assert packages(found) == {"json", "tf_rnn", "tensorflow", "matplotlib"}
    assert "tf_rnn.graph.unroll" in found
    assert parts(imports("from . import cells", "options")) == {"cells"}
    assert parts(imports("from . import cells", "graph.__init__")) == {"graph"}
    assert parts({"tf_rnn"}) == {""}


def test_every_module_has_its_place() -> None:
    assert {"options", "_tensorflow", "__init__", "tasks.echo", "cells.base", "graph.unrolled"} <= set(
        MODULES
    )
    for name in MODULES:
        folder = name.split(".")[0]
        assert folder in FOLDERS or folder in APART or folder in FACE, name


@pytest.mark.parametrize("module", [name for name in MODULES if name not in FACE])
def test_each_folder_imports_only_those_before_it(module: str) -> None:
    folder = module.split(".", maxsplit=1)[0]
    found = parts(imports(MODULES[module].read_text(encoding="utf-8"), module))
    beyond = found - {folder} - allowed(folder)
    assert not beyond, f"{module} imports {sorted(beyond)}, allowed are {sorted(allowed(folder))}"


@pytest.mark.parametrize("module", list(MODULES))
def test_heavy_packages_are_imported_in_one_place_each(module: str) -> None:
    found = packages(imports(MODULES[module].read_text(encoding="utf-8"), module))
    if module != "_tensorflow":
        assert not found & {"tensorflow", "keras"}, f"{module} imports {found}"
    if not module.rsplit(".", maxsplit=1)[-1].startswith("plots"):
        assert "matplotlib" not in found, f"{module} imports matplotlib"
    if module != "comparison.dask":
        assert not found & {"dask", "distributed"}, f"{module} imports {found}"


@pytest.mark.parametrize("module", ["tf_rnn", "tf_rnn.options", "tf_rnn.tasks"])
def test_what_a_fresh_interpreter_does_not_load(module: str) -> None:
    code = (
        f"import sys, {module}; dir(tf_rnn); "
        "print([n for n in ('tensorflow', 'keras', 'matplotlib') if n in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.strip()) == (0, "[]"), done.stderr


def test_the_face_has_the_promised_names() -> None:
    assert {"UnrolledGraph", "cells", "tasks", "train", "load"} <= set(tf_rnn.__all__) <= set(dir(tf_rnn))
    for name in tf_rnn.__all__:
        assert getattr(tf_rnn, name).__name__.split(".")[-1] == name
    assert (tf_rnn.cells.LSTMCell.__name__, tf_rnn.tasks.Echo.__name__) == ("LSTMCell", "Echo")
    assert not hasattr(tf_rnn, "nothing")
