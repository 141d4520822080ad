"""The notebooks run from top to bottom, and what is stored of them comes from such a run."""

from __future__ import annotations

import ast
import itertools
import json
import re
import runpy
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
import pytest
from nbclient.exceptions import CellExecutionError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    Execute = Callable[[Path], Any]

FOLDER = Path(__file__).resolve().parent.parent / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
MOST_BYTES = 1_000_000
SCREENFUL = 40
# A path from the root of a machine, or from a home; what follows the // of an address is none.
PATH = re.compile(r"(?<![\w.)\]/])(?:/[\w.-]+/[\w.-]|[A-Za-z]:\\|~/)")

# As Python prints one; a text about Python may well have the word in it.
WARNING = re.compile(r":\d+: \w*Warning: ")

every_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@pytest.fixture(scope="module")
def execute() -> Execute:
    run: Execute = runpy.run_path(str(FOLDER / "execute.py"))["executed"]
    return run


@pytest.fixture(autouse=True)
def small_and_by_itself(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Small sizes, and nothing of the user's own settings."""
    monkeypatch.setenv("TF_RNN_NOTEBOOK_SIZE", "small")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path))


def read(path: Path) -> Any:
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    nbformat.validate(notebook)
    return notebook


def code_cells(notebook: Any) -> list[Any]:
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def outputs(notebook: Any) -> Iterator[Any]:
    return itertools.chain.from_iterable(cell.outputs for cell in code_cells(notebook))


def require_clean(notebook: Any) -> None:
    """Fails unless every cell was run once, in order, and says nothing that a reader need not know."""
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))
    for output in outputs(notebook):
        assert output.output_type in {"stream", "display_data", "execute_result"}, output
        assert output.get("name") != "stderr", output.text
        text = output.get("text") or output.data.get("text/plain", "")
        assert not WARNING.search(text), text
        assert not PATH.search(text), text


def test_there_are_notebooks() -> None:
    assert [path.name[0] for path in NOTEBOOKS] == [str(number + 1) for number in range(len(NOTEBOOKS))]
    assert len(NOTEBOOKS) == 6


@pytest.mark.slow
@every_notebook
def test_runs_from_top_to_bottom(path: Path, execute: Execute) -> None:
    require_clean(execute(path))


@every_notebook
def test_what_is_stored_comes_from_a_clean_run(path: Path) -> None:
    notebook = read(path)
    require_clean(notebook)
    assert any("image/png" in output.get("data", {}) for output in outputs(notebook))
    assert path.stat().st_size < MOST_BYTES


@every_notebook
def test_nothing_is_stored_about_the_machine(path: Path) -> None:
    notebook = read(path)
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    assert notebook.metadata.kernelspec.name == "python3"
    assert notebook.metadata.language_info == {"name": "python"}
    assert [dict(cell.metadata) for cell in notebook.cells if cell.metadata] == []


@every_notebook
def test_begins_with_a_title_and_how_to_start(path: Path) -> None:
    first = read(path).cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {path.name[0]} · ")
    for line in ("pip install -r requirements.txt", "pip install jupyterlab", "jupyter lab notebooks/"):
        assert line in first.source


@every_notebook
def test_sizes_stand_in_the_first_code_cell(path: Path) -> None:
    first, *others = code_cells(read(path))
    assert 'os.environ.get("TF_RNN_NOTEBOOK_SIZE") == "small"' in first.source
    assert 'sys.path.insert(0, "..")' in first.source
    assert [cell.source for cell in others if "SMALL" in cell.source] == []


@every_notebook
def test_ends_with_something_to_try(path: Path) -> None:
    last = read(path).cells[-1]
    assert last.cell_type == "markdown"
    assert last.source.startswith("## Try\n")
    assert "?" in last.source


@every_notebook
def test_no_function_and_no_cell_is_longer_than_a_screenful(path: Path) -> None:
    for cell in code_cells(read(path)):
        assert len(cell.source.splitlines()) <= SCREENFUL, cell.source
        assert ast.parse(cell.source)


@every_notebook
def test_every_file_that_is_linked_is_there(path: Path) -> None:
    sources = [cell.source for cell in read(path).cells if cell.cell_type == "markdown"]
    links = [link for source in sources for link in re.findall(r"\]\(([^)#]+)\)", source)]
    assert [link for link in links if not (FOLDER / link).exists()] == []


def test_the_readme_names_every_notebook() -> None:
    text = (FOLDER / "README.md").read_text(encoding="utf-8")
    assert [path.name for path in NOTEBOOKS if f"]({path.name})" not in text] == []


def written(folder: Path, *sources: str) -> Path:
    cell: dict[str, Any] = {"cell_type": "code", "execution_count": None, "metadata": {}, "outputs": []}
    cells = [cell | {"id": f"cell-{number}", "source": source} for number, source in enumerate(sources)]
    notebook = {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}
    path = folder / "one.ipynb"
    path.write_text(json.dumps(notebook), encoding="utf-8")
    return path


def test_the_kernel_is_the_python_that_runs_the_tests(
    execute: Execute, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Whatever else is installed under the name python3."""
    other = tmp_path / "kernels" / "python3"
    other.mkdir(parents=True)
    kernel = {"argv": ["no-such-python", "{connection_file}"], "display_name": "other", "language": "python"}
    (other / "kernel.json").write_text(json.dumps(kernel), encoding="utf-8")
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path))
    notebook = execute(written(tmp_path, "import os, sys", "print(sys.executable)\nprint(os.getcwd())"))
    executable, folder = notebook.cells[1].outputs[0].text.splitlines()
    assert executable == sys.executable
    assert Path(folder).resolve() == tmp_path.resolve()


def test_an_error_is_not_kept_quiet(execute: Execute, tmp_path: Path) -> None:
    with pytest.raises(CellExecutionError, match="ZeroDivisionError"):
        execute(written(tmp_path, "1 / 0"))


def test_warnings_are_recognised() -> None:
    assert WARNING.search("module.py:12: UserWarning: not so good\n  something()")
    assert not WARNING.search('an "ImportWarning" is raised: see Warning')


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("file /root/x/y.py", True),
        ("'/tmp/a.txt'", True),
        ("C:\\Users\\me", True),
        ("~/notebooks", True),
        ("n / stride", False),
        ("(n − L)/n and 1/16", False),
        ("notebooks/1_one.ipynb", False),
        ("see https://peps.python.org/pep-0634/ for more", False),
    ],
)
def test_paths_are_recognised(text: str, found: bool) -> None:
    assert bool(PATH.search(text)) is found
