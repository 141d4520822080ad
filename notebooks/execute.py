"""Runs notebooks from top to bottom and keeps what they show: `execute.py [NOTEBOOK ...]`, or all."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Any

import nbformat
from jupyter_client.kernelspec import KernelSpecManager
from nbclient import NotebookClient

FOLDER = Path(__file__).resolve().parent
METADATA = {
    "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
    "language_info": {"name": "python"},
}


def executed(path: Path, timeout: int = 600) -> Any:
    """Returns a notebook as a clean run of the Python that runs this leaves it, from its own folder.

    Args:
        path: The notebook; the file is not changed.
        timeout: Seconds that a cell may take.

    Raises:
        CellExecutionError: If a cell fails.
    """
    notebook = nbformat.read(path, as_version=4)  # type: ignore[no-untyped-call]
    client = NotebookClient(
        notebook,
        timeout=timeout,
        record_timing=False,
        coalesce_streams=True,
        resources={"metadata": {"path": str(path.parent)}},
    )
    no_installed_ones = KernelSpecManager(kernel_dirs=[])
    client.create_kernel_manager().kernel_spec_manager = no_installed_ones
    client.execute()
    notebook.metadata = METADATA
    return notebook


def main(names: list[str]) -> None:
    """Executes the notebooks named, or all, in place."""
    for path in [Path(name) for name in names] or sorted(FOLDER.glob("*.ipynb")):
        started = time.perf_counter()
        nbformat.write(executed(path), path)  # type: ignore[no-untyped-call]
        seconds, size = time.perf_counter() - started, path.stat().st_size
        print(f"{path.name}: {seconds:.0f} s, {size / 1000:.0f} kB")


if __name__ == "__main__":
    main(sys.argv[1:])
