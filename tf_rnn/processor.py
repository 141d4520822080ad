"""What the processor can do, as Linux says of it."""

from __future__ import annotations

import functools
from pathlib import Path

from tf_rnn.options.words import FLOAT32

CPUINFO = Path("/proc/cpuinfo")
# Instructions for products of bfloat16 numbers, any of which will do.
BFLOAT16 = {"avx512_bf16", "amx_bf16"}


@functools.cache
def has_bfloat16(cpuinfo: Path = CPUINFO) -> bool | None:
    """Whether the processor has instructions for bfloat16; None where nothing is known of it.

    Args:
        cpuinfo: The file in which Linux describes it.
    """
    try:
        lines = cpuinfo.read_text(errors="replace").splitlines()
    except OSError:
        return None
    pairs = (line.partition(":") for line in lines)
    flags = [words.split() for name, _, words in pairs if name.strip() == "flags"]
    return not BFLOAT16.isdisjoint(flags[0]) if flags else None


def precision_lines(precision: str) -> list[str]:
    """A line for people where training in a precision is slow on this processor; else none."""
    if precision == FLOAT32 or has_bfloat16() is not False:
        return []
    return [f"this processor has no bfloat16 instructions: {precision} works, and is slower than float32"]
