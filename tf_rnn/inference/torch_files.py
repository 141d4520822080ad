"""Reading the weights of a PyTorch module from arrays or files, without PyTorch and without pickle."""

from __future__ import annotations

import json
import math
import os
import zipfile
import zlib
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from tf_rnn.files import as_path, is_own_file
from tf_rnn.options import OptionError, shown

if TYPE_CHECKING:
    from collections.abc import Callable

# Types of safetensors that are real numbers, and how NumPy reads them; the upper half of a float32 is apart.
REAL = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2"}
# The header's length comes first, in eight bytes.
LENGTH_BYTES = 8
METADATA = "__metadata__"
DAMAGE = (
    *(OSError, ValueError, KeyError, TypeError, AttributeError, EOFError, OverflowError, RecursionError),
    *(zipfile.BadZipFile, zlib.error),
)


def read_arrays(weights: Any) -> dict[str, np.ndarray]:
    """Arrays of real numbers by name.

    Args:
        weights: A mapping of names to arrays or tensors on the CPU, as `module.state_dict()` gives; or the
            path of a .npz or .safetensors file of them.

    Raises:
        OptionError: For `weights`, if it is none of these, or holds numbers that are not real or not finite.
    """
    named = weights if isinstance(weights, Mapping) else _from_file(weights)
    arrays = {str(name): _real(str(name), value) for name, value in named.items()}
    for name, array in arrays.items():
        if not np.isfinite(array).all():
            raise OptionError("weights", f"must be finite, those of {name!r} are not")
    return arrays


def _real(name: str, value: Any) -> np.ndarray:
    try:
        array = np.asarray(value)
    except (TypeError, ValueError, RuntimeError) as error:  # a tensor on another device, or of a type apart
        raise OptionError("weights", f"must be arrays or tensors on the CPU, {name!r} is not") from error
    if array.dtype.kind != "f":
        raise OptionError("weights", f"must be real numbers, {name!r} has the type {array.dtype}")
    return array.astype(np.float64 if array.dtype == np.float64 else np.float32)


def _from_file(weights: Any) -> Mapping[str, Any]:
    if not isinstance(weights, str | os.PathLike):
        raise OptionError(
            "weights", f"must be a mapping of names to arrays, or the path of a file, got {shown(weights)}"
        )
    path = as_path("weights", weights)
    if path.suffix not in READERS:
        raise OptionError("weights", f"must be a {' or '.join(READERS)} file, got {str(path)!r}")
    if not is_own_file(path):
        raise OptionError("weights", f"must be a file, there is none at {str(path)!r}")
    try:
        with Path(path).open("rb") as file:
            return READERS[path.suffix](file)
    except DAMAGE as error:
        raise OptionError("weights", f"must be an undamaged {path.suffix} file, got {str(path)!r}") from error


def _from_npz(file: BinaryIO) -> dict[str, Any]:
    with np.load(file, allow_pickle=False) as archive:
        return {name: archive[name] for name in archive.files}


def _from_safetensors(file: BinaryIO) -> dict[str, Any]:
    """A header in JSON with type, shape and place of each array, and then their bytes.

    Source: the format as in https://huggingface.co/docs/safetensors.
    """
    size = os.fstat(file.fileno()).st_size
    length = int.from_bytes(file.read(LENGTH_BYTES), "little")
    if length > size - LENGTH_BYTES:
        raise ValueError("the header is longer than the file")
    header = json.loads(file.read(length))
    content = file.read()
    return {name: _array(entry, content) for name, entry in header.items() if name != METADATA}


def _array(entry: Mapping[str, Any], content: bytes) -> np.ndarray:
    start, end = entry["data_offsets"]
    shape = [int(size) for size in entry["shape"]]
    kind = np.dtype(REAL[entry["dtype"]])
    if not 0 <= start <= end <= len(content) or end - start != math.prod(shape) * kind.itemsize:
        raise ValueError("an array lies outside of the file, or has another size than its shape")
    found = np.frombuffer(content[start:end], kind).reshape(shape)
    return (found.astype("<u4") << 16).view("<f4") if entry["dtype"] == "BF16" else found


READERS: dict[str, Callable[[BinaryIO], dict[str, Any]]] = {
    ".npz": _from_npz,
    ".safetensors": _from_safetensors,
}
