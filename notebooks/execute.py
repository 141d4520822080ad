"""Executes notebooks in place and stores their outputs: `execute.py [NOTEBOOK ...]`, by default all."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).resolve().parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(path: Path, timeout: int = 600, more: Sequence[str] = ()) -> Any:
    """Executes a notebook in its own folder with the current Python, and returns the result.

    Args:
        path: The notebook; the file is not changed.
        timeout: Time limit for each cell, in seconds.
        more: Code to execute after the last cell, each in a cell of its own.

    Raises:
        CellExecutionError: If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    notebook.cells += [nbformat.v4.new_code_cell(code) for code in more]  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=timeout,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    current_python_only = KernelSpecManager(kernel_dirs=[])  # ignores installed kernels
    client.create_kernel_manager().kernel_spec_manager = current_python_only
    client.execute()
    notebook.metadata = METADATA
    return notebook


def main(names: list[str]) -> None:
    """Executes the given notebooks in place, by default all."""
    for path in [Path(name) for name in names] or sorted(FOLDER.glob("*.ipynb")):
        started = time.perf_counter()
        nbformat.write(executed(path), path)  # type: ignore[no-untyped-call]
        seconds, size = time.perf_counter() - started, path.stat().st_size
        print(f"{path.name}: {seconds:.0f} s, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
