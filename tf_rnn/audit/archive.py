"""Probes and results as .npz files, for loops that are run elsewhere."""

from __future__ import annotations

import contextlib
import io
import zipfile
import zlib
from typing import TYPE_CHECKING, Any

import numpy as np

from tf_rnn.audit.probe import Probe, probes
from tf_rnn.audit.reach import Reach, read_all
from tf_rnn.files import is_own_file
from tf_rnn.options import OptionError
from tf_rnn.tasks import Echo

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

# The widths of which an archive of the echo task has the floor.
WIDTHS = range(1, 201)
# What a result has beyond what is in the probe.
RESULTS = ("gradient", "output")
OF_PROBES = ("inputs", "loss_step", "shown")


def probe_arrays(num_steps: int, dtype: str = "float32") -> dict[str, Any]:
    """The probes of all losses as arrays, a row each.

    Args:
        num_steps: Steps N of the data.
        dtype: "float32" or "float64".

    Returns:
        `inputs`, `weights` and `targets` [P, N]; `loss_step` [P], from 1; `shown` [P, 2].

    Raises:
        OptionError: A value is not allowed.
    """
    made = probes(num_steps, dtype)
    rows = {
        name: np.stack([getattr(probe, name) for probe in made]) for name in ("inputs", "weights", "targets")
    }
    steps = {
        "loss_step": np.array([probe.step for probe in made]),
        "shown": np.array([probe.span for probe in made]),
    }
    return rows | steps


def echo_arrays(task: Echo | None = None) -> dict[str, Any]:
    """The data of the echo task, and what its losses mean.

    Args:
        task: The task; None for `tf_rnn.tasks.Echo()`.

    Returns:
        `inputs` and `targets` (0 or 1, to train on), `valid_inputs` and `valid_targets`; `width` and
        `floor`, the lowest loss in nats of blocks of that width whose state is reset; `optimum`, the lowest
        of all.
    """
    task = Echo() if task is None else task
    (inputs, targets), (valid_inputs, valid_targets) = task.stream("train"), task.stream("valid")
    streams = {
        "inputs": inputs, "targets": targets, "valid_inputs": valid_inputs, "valid_targets": valid_targets
    }  # fmt: skip
    return {name: np.asarray(stream, np.int8) for name, stream in streams.items()} | {
        "width": np.array(WIDTHS),
        "floor": np.array([task.floor(width) for width in WIDTHS]),
        "optimum": np.array(task.optimum()),
    }


def write_archive(option: str, path: Path, arrays: Mapping[str, Any]) -> None:
    """Writes arrays to a new .npz file.

    Args:
        option: The option that has the path, for errors.
        path: The file; it must not exist.
        arrays: The arrays, by name.

    Raises:
        OptionError: For `option`, if there is a file, or it cannot be written.
    """
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    try:
        file = path.open("xb")
    except FileExistsError as error:
        raise OptionError(option, f"must be a new file, {str(path)!r} exists") from error
    except (OSError, ValueError) as error:
        raise _not_written(option, path, error) from error
    try:
        with file:
            file.write(content.getvalue())
    except OSError as error:
        with contextlib.suppress(OSError):
            path.unlink()
        raise _not_written(option, path, error) from error


def _not_written(option: str, path: Path, error: OSError | ValueError) -> OptionError:
    reason = getattr(error, "strerror", None) or error
    return OptionError(option, f"must be a file that can be written, got {str(path)!r} ({reason})")


def read_result(option: str, path: Path, **options: Any) -> Reach:
    """Reads what a loop made of the probes in an archive.

    Args:
        option: The option that has the path, for errors.
        path: A .npz file with `gradient` and `output`, a number for each row of the probes, and what is in
            the archive of the probes.
        **options: Those of `read_all`.

    Raises:
        OptionError: For `option`, if the file is not one of these.
    """
    arrays = _read(option, path)
    made = _probes_of(option, arrays)
    for name in RESULTS:
        if arrays[name].size != len(made):
            raise OptionError(
                option,
                f"must hold {name} with a number for each of the {len(made)} rows of inputs, got shape "
                f"{arrays[name].shape}",
            )
    return read_all(made, arrays["gradient"].ravel().tolist(), arrays["output"].ravel().tolist(), **options)


def _read(option: str, path: Path) -> dict[str, Any]:
    if not is_own_file(path):
        raise OptionError(option, f"must be a .npz file, got {str(path)!r}")
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as archive:
            arrays = {name: archive[name] for name in archive.files}
    except (
        OSError,
        ValueError,
        TypeError,
        AttributeError,
        EOFError,
        zipfile.BadZipFile,
        zlib.error,
    ) as error:
        raise OptionError(option, f"must be an undamaged .npz file of arrays, got {str(path)!r}") from error
    for name in (*RESULTS, *OF_PROBES):
        if name not in arrays or arrays[name].dtype.kind not in "fiu":
            raise OptionError(
                option,
                f"must hold numbers {', '.join((*RESULTS, *OF_PROBES))}; in {str(path)!r} {name} is missing",
            )
    return arrays


def _probes_of(option: str, arrays: Mapping[str, Any]) -> list[Probe]:
    """The probes in an archive, which must be those that were written."""
    inputs = arrays["inputs"]
    try:
        made = probes(int(inputs.shape[-1]), str(inputs.dtype))
        expected = probe_arrays(made[0].num_steps, made[0].dtype)
        is_same = all(np.array_equal(arrays[name], expected[name]) for name in OF_PROBES)
    except (OptionError, IndexError):
        is_same = False
    if not is_same:
        raise OptionError(option, "must hold inputs, loss_step and shown as audit --write wrote them")
    return made
