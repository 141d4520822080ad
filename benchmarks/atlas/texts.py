"""The texts of the atlas: English and code that come with Python, and German that is made."""

from __future__ import annotations

import pydoc_data.topics
import sysconfig
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tf_rnn.files import make_folder, write_text

if TYPE_CHECKING:
    from collections.abc import Callable

LENGTH = 200_000
_ONES = ["", "ein", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun", "zehn", "elf", "zwölf"]
_STEMS = {6: "sech", 7: "sieb"}  # sechzehn, siebzig
_TENS = {2: "zwanzig", 3: "dreißig"}


def english() -> str:
    """The documentation that comes with Python."""
    return "\n".join(text for _, text in sorted(pydoc_data.topics.topics.items()))[:LENGTH]


def code() -> str:
    """The source of Python's standard library, in the order of its file names."""
    files = sorted(Path(sysconfig.get_path("stdlib")).glob("*.py"))
    return "".join(file.read_text(encoding="utf-8") for file in files)[:LENGTH]


def german() -> str:
    """Sums of numbers below 1000 in German words: "dreihundertzwölf und acht sind dreihundertzwanzig"."""
    pairs = np.random.default_rng(7).integers(1, 500, size=(LENGTH // 50, 2))
    return "".join(f"{number(a)} und {number(b)} sind {number(a + b)}.\n" for a, b in pairs.tolist())[:LENGTH]


def spelled() -> str:
    """The same sums with a space between the parts of a number: "drei hundert zwölf und acht sind ..."."""
    text = german()
    for part in ("hundert", "und"):
        text = text.replace(part, f" {part} ")
    return text.replace(".", " .")


def number(value: int) -> str:
    """A number from 1 to 999 in German."""
    hundreds, rest = divmod(value, 100)
    tens, ones = divmod(rest, 10)
    if not rest:
        word = ""
    elif rest == 1:
        word = "eins"
    elif rest <= 12:
        word = _ONES[rest]
    elif tens == 1:
        word = _STEMS.get(ones, _ONES[ones]) + "zehn"
    else:
        word = _TENS.get(tens, _STEMS.get(tens, _ONES[tens]) + "zig")
        word = f"{_ONES[ones]}und{word}" if ones else word
    return (f"{_ONES[hundreds]}hundert" if hundreds else "") + word


TEXTS: dict[str, Callable[[], str]] = {"english": english, "code": code, "german": german, "spelled": spelled}


def written(name: str, folder: Path) -> Path:
    """Writes a text to a file in a folder, and returns the file."""
    make_folder("out", folder)
    file = folder / f"{name}.txt"
    write_text(file, TEXTS[name]())
    return file
