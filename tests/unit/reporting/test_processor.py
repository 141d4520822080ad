"""What the processor can do, and when a line says that it cannot."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from tf_rnn import processor
from tf_rnn.processor import has_bfloat16, precision_lines

if TYPE_CHECKING:
    from pathlib import Path

X86 = "processor\t: 0\nmodel name\t: made up\nflags\t\t: fpu avx2 {}\nbugs\t\t: none\nprocessor\t: 1\n"
LINE = "this processor has no bfloat16 instructions: mixed_bfloat16 works, and is slower than float32"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (X86.format("fma"), False),
        (X86.format("avx512_bf16 fma"), True),
        (X86.format("amx_tile amx_bf16"), True),
        (X86.format("avx512_bf16_of_another_kind"), False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", None),
        ("", None),
        (None, None),
    ],
)
def test_the_flags_of_linux_count_and_nothing_else_is_known(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, text: str | None, expected: bool | None
) -> None:
    path = tmp_path / "cpuinfo"
    if text is not None:
        path.write_text(text)
    assert has_bfloat16(path) is expected
    monkeypatch.setattr(processor, "has_bfloat16", lambda: expected)
    assert precision_lines("mixed_bfloat16") == ([LINE] if expected is False else [])
    assert precision_lines("float32") == []
