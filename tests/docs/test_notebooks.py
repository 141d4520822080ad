"""The notebooks: they run from top to bottom, and their stored outputs come from such a run."""

from __future__ import annotations

import ast
import itertools
import json
import math
import re
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import numpy as np
import pytest
from model_helpers import made_up_text
from nbclient.exceptions import CellExecutionError

import benchmarks
import tf_rnn
from tf_rnn.tasks.corpus import python_documentation

if TYPE_CHECKING:
    from collections.abc import Callable

    Execute = Callable[..., Any]

FOLDER = Path(benchmarks.__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MAX_BYTES = 1_000_000
MAX_LINES = 40  # of a cell
INSTALLATION = "`pip install -r requirements.txt jupyterlab && jupyter lab notebooks/`"
# Folded on GitHub, in Jupyter and in a browser; blank lines, so that what is inside is read as Markdown.
SOLUTION = re.compile(
    r"^<details><summary>Solution</summary>\n\n(.+?)\n\n</details>$", re.DOTALL | re.MULTILINE
)
CODE = re.compile(r"^```python\n(.+?)^```$", re.DOTALL | re.MULTILINE)
# An absolute path or one below a home directory, but not what follows the // of a URL.
PATH = re.compile(r"(?<![\w.)\]/])(?:/[\w.-]+/[\w.-]|[A-Za-z]:\\|~/)")
# A warning as Python prints it; prose about Python may contain the word.
WARNING = re.compile(r":\d+: \w*Warning: ")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(name="execute")
def _execute(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Execute:
    """Executes a notebook at small sizes, without the user's IPython settings."""
    monkeypatch.setenv("TF_RNN_NOTEBOOK_SIZE", "small")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))
    run: Execute = runpy.run_path(str(FOLDER / "execute.py"))["executed"]
    return run


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def require_clean(notebook: Any) -> None:
    """Requires every cell to be run once, in order, without errors, warnings or paths in its output."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    for output in itertools.chain.from_iterable(cell.outputs for cell in code_cells(notebook)):
        assert output.output_type in {"stream", "display_data", "execute_result"}, output
        assert output.get("name") != "stderr", output.text
        text = output.get("text") or output.data.get("text/plain", "")
        assert not WARNING.search(text), text
        assert not PATH.search(text), text


def solutions(notebook: Any) -> list[str]:
    """The folded solutions of the exercises."""
    return SOLUTION.findall(notebook.cells[-1].source)


@pytest.mark.slow
@every_notebook
def test_a_notebook_runs_from_top_to_bottom(path: Path, execute: Execute) -> None:
    """The code of its solutions too, after the last cell."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    require_clean(execute(path, more=CODE.findall("\n".join(solutions(notebook)))))


@every_notebook
def test_stored_outputs_come_from_a_clean_run(path: Path) -> None:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    require_clean(notebook)
    assert any(
        "image/png" in output.get("data", {}) for cell in code_cells(notebook) for output in cell.outputs
    )
    assert path.stat().st_size < MAX_BYTES
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}  # no version: it would differ by machine
    assert [cell.metadata for cell in notebook.cells if cell.metadata] == []


@every_notebook
def test_the_parts_of_a_notebook(path: Path) -> None:
    """Title and instructions, sizes in the first code cell, short cells, existing links, an exercise."""
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    prose = [cell.source for cell in notebook.cells if cell.cell_type == "markdown"]
    assert prose[0].startswith(f"# {path.name[0]} · ")
    assert prose[0].count(INSTALLATION) == 1
    assert prose[-1].startswith("## Try\n")
    exercises = re.findall(r"^\*\*(\d)\.\*\* ", prose[-1], re.MULTILINE)
    assert exercises == [str(number) for number in range(1, len(solutions(notebook)) + 1)]
    links = [link for text in prose for link in re.findall(r"\]\(([^)#]+)\)", text)]
    assert [link for link in links if not (FOLDER / link).exists()] == []
    sizes, *code = [cell.source for cell in code_cells(notebook)]
    assert 'os.environ.get("TF_RNN_NOTEBOOK_SIZE") == "small"' in sizes
    assert 'sys.path.insert(0, "..")' in sizes
    for source in code:
        assert ast.parse(source)
        assert "SMALL" not in source
        assert len(source.splitlines()) <= MAX_LINES, source


def test_the_stored_network_is_small_and_has_learnt(tmp_path: Path) -> None:
    """On the pages of any Python: what it does not know is read as a question mark, as in the notebook."""
    model = tf_rnn.load(FOLDER / "text_run")
    assert sum(path.stat().st_size for path in (FOLDER / "text_run").rglob("*")) < MAX_BYTES
    assert set(model.checkpoint.state.variables) == set(model.weights), "there is more than the weights"
    known = set(model.tokens or ())
    pages = "".join(mark if mark in known else "?" for mark in python_documentation()[-20_000:])
    (tmp_path / "pages.txt").write_text(pages, encoding="utf-8")
    loss = model.evaluator("all", tmp_path / "pages.txt", batch_size=20).loss
    assert loss / math.log(2) < 2.2, f"{loss / math.log(2):.2f} bits a character"


def test_what_is_kept_of_a_run_are_its_best_weights(tmp_path: Path) -> None:
    keep = runpy.run_path(str(FOLDER / "train_text.py"))["keep"]
    (tmp_path / "text.txt").write_text(made_up_text(900), encoding="utf-8")
    experiment = tf_rnn.Experiment("text", data=tmp_path / "text.txt", state_size=3, batch_size=5)
    experiment.train(4, updates=5, callbacks=(), out=tmp_path / "run")
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept" / "old").touch()
    keep(tmp_path / "run", tmp_path / "kept")
    kept, run = tf_rnn.load(tmp_path / "kept"), tf_rnn.load(tmp_path / "run")
    assert set(kept.checkpoint.state.variables) == set(run.weights) < set(run.checkpoint.state.variables)
    for name, value in run.weights.items():
        np.testing.assert_array_equal(kept.weights[name], value, err_msg=name)
    assert kept.evaluator("valid", num_steps=5) == run.evaluator("valid", num_steps=5)
    names = {str(path.relative_to(tmp_path / "kept")) for path in (tmp_path / "kept").rglob("*.*")}
    assert names == {"config.json", "checkpoints/checkpoint-000001.npz"}


def test_the_readme_lists_every_notebook() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert len(NOTEBOOKS) == 8
    assert [path.name for path in NOTEBOOKS if f"]({path.name})" not in text] == []


def write_notebook(folder: Path, *sources: str) -> Path:
    cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [cell | {"id": f"cell-{number}", "source": source} for number, source in enumerate(sources)]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = folder / "one.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_the_kernel_is_the_python_here(
    execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if another kernel is installed as python3. Errors are raised."""
    other = tmp_path / "kernels" / "python3"
    other.mkdir(parents=True)
    kernel = {"argv": ["no-such-python", "{connection_file}"], "display_name": "other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    note = "pathlib.Path('found').write_text(f'{sys.executable}\\n{os.getcwd()}')"
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(write_notebook(tmp_path, "import os, pathlib, sys", note, "1 / 0"))
    executable, folder = (tmp_path / "found").read_text(encoding="utf-8").splitlines()
    assert executable == sys.executable
    assert Path(folder).resolve() == tmp_path.resolve()


def test_warnings_and_paths_are_recognised() -> None:
    assert WARNING.search("module.py:12: UserWarning: not so good\n  something()")
    assert not WARNING.search('an "ImportWarning" is raised: see Warning')
    assert all(map(PATH.search, ["file /root/x/y.py", "'/tmp/a.txt'", "C:\\Users\\me", "~/notebooks"]))
    others = [
        "n / stride",
        "(n − L)/n and 1/16",
        "notebooks/1_one.ipynb",
        "https://peps.python.org/pep-0634/",
    ]
    assert not any(map(PATH.search, others))
