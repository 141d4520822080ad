"""Description of the machine and the installed libraries."""

from __future__ import annotations

import importlib.metadata
import os
import platform
from pathlib import Path
from typing import NamedTuple

LIBRARIES = ("tensorflow", "tensorflow-cpu", "keras", "torch", "jax", "numpy")
PROCESSORS = Path("/proc/cpuinfo")
MEMORY = Path("/proc/meminfo")


class Machine(NamedTuple):
    """A machine and its software.

    Attributes:
        processor: Processor name.
        cores: Number of cores.
        memory_bytes: Total memory; None if unknown.
        python: Python version.
        system: Operating system.
        libraries: Versions of the installed libraries, by name.
    """

    processor: str
    cores: int
    memory_bytes: int | None
    python: str
    system: str
    libraries: dict[str, str]

    @property
    def line(self) -> str:
        """One-line description."""
        memory = f", {self.memory_bytes / 1e9:.0f} GB" if self.memory_bytes else ""
        libraries = ", ".join(f"{name} {version}" for name, version in self.libraries.items())
        return (
            f"{self.processor}, {self.cores} cores{memory}, {self.system}, Python {self.python}; {libraries}"
        )


def this_machine() -> Machine:
    """Describes the current machine."""
    memory = _field(MEMORY, "MemTotal")
    return Machine(
        _field(PROCESSORS, "model name") or platform.processor() or platform.machine(),
        os.cpu_count() or 1,
        1024 * int(memory.split()[0]) if memory else None,
        platform.python_version(),
        platform.system(),
        {name: version for name in LIBRARIES if (version := _version(name))},
    )


def _field(path: Path, name: str) -> str | None:
    """First value of a name in a file of lines `name : value`; None if absent."""
    if not path.exists():
        return None
    for line in path.read_text().splitlines():
        key, _, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None
