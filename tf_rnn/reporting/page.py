"""Reports in Markdown."""

from __future__ import annotations

import dataclasses
import re
from typing import TYPE_CHECKING

from tf_rnn.console import shell_word, visible
from tf_rnn.files import write_text
from tf_rnn.reporting.table import Table

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading of the second level."""

    text: str

    def markdown(self) -> str:
        """The heading in Markdown."""
        return f"## {self.text}"


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to type, a command for instance."""

    text: str

    def markdown(self) -> str:
        """The lines in Markdown."""
        return f"```\n{self.text}\n```"


@dataclasses.dataclass(frozen=True)
class Plain:
    """A paragraph that is shown as it stands, names of files included: nothing in it is Markdown."""

    text: str

    def markdown(self) -> str:
        """The paragraph in Markdown."""
        return _MARKUP.sub(r"\\\g<0>", visible(self.text))


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture.

    Attributes:
        description: For readers who do not see it.
        file: Its name in the folder of the page.
    """

    description: str
    file: str

    def markdown(self) -> str:
        """The picture in Markdown."""
        return f"![{self.description}]({self.file})"


Section = str | Heading | Code | Plain | Image | Table
# What Markdown reads as more than itself; an underscore within a word is one.
_MARKUP = re.compile(r"[\\`*\[\]<>|~&$#]|(?<![^\W_])_|_(?![^\W_])")


class Page:
    """A title and the sections below it.

    Args:
        title: The heading of the page.
        *sections: Paragraphs in Markdown, headings, code, pictures and tables; empty ones and None
            are left out.
    """

    def __init__(self, title: str, *sections: Section | None) -> None:
        self.title = title
        self.sections = [section for section in sections if section]

    def markdown(self) -> str:
        """The page in Markdown."""
        parts = [part if isinstance(part, str) else part.markdown() for part in self.sections]
        return "\n\n".join([f"# {self.title}", *(part.rstrip() for part in parts)]) + "\n"

    def write(self, path: Path) -> None:
        """Writes the page in Markdown; see `write_text`."""
        write_text(path, self.markdown())


def command_code(words: Sequence[str]) -> Code | None:
    """The command that makes a report again; None without words.

    Args:
        words: The command line after `python -m tf_rnn`.
    """
    return Code(f"python -m tf_rnn {' '.join(map(shell_word, words))}") if words else None


def bullets(*lines: str) -> str:
    """A list in Markdown; nothing where there are no lines."""
    return "\n".join(f"- {line}" for line in lines)
