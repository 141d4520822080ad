"""Reports: what is in them is declared once, and written in Markdown and in HTML."""

from __future__ import annotations

import dataclasses
import functools
import re
from typing import TYPE_CHECKING, Any

from tf_rnn.console import shell_word, visible
from tf_rnn.files import write_figure, write_text
from tf_rnn.reporting.document import document, escaped, paragraphs, scrolling, slug
from tf_rnn.reporting.table import Table

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

# The files of a page, its pictures apart.
REPORTS = ("report.md", "report.html")
# Where the first sentence of an answer ends, or what introduces it.
_LEAD = re.compile(r"(?<=:) (?=[a-z])|(?<=[.]) (?=[A-Z])")


@dataclasses.dataclass(frozen=True)
class Heading:
    """A heading of the second level."""

    text: str

    def markdown(self) -> str:
        """The heading in Markdown."""
        return f"## {self.text}"

    def html(self) -> str:
        """The heading in HTML."""
        return f"<h2>{escaped(self.text)}</h2>"


@dataclasses.dataclass(frozen=True)
class Code:
    """Lines to type, a command for instance."""

    text: str

    def markdown(self) -> str:
        """The lines in Markdown."""
        return f"```\n{self.text}\n```"

    def html(self) -> str:
        """The lines in HTML."""
        return f'<pre tabindex="0"><code>{escaped(self.text)}</code></pre>'


@dataclasses.dataclass(frozen=True)
class Plain:
    """A paragraph that is shown as it stands, names of files included: nothing in it is Markdown."""

    text: str

    def markdown(self) -> str:
        """The paragraph in Markdown."""
        return _MARKUP.sub(r"\\\g<0>", visible(self.text))

    def html(self) -> str:
        """The paragraph in HTML."""
        return f'<p class="quiet">{escaped(self.text)}</p>'


@dataclasses.dataclass(frozen=True)
class Bullets:
    """A list of lines in Markdown."""

    lines: Sequence[str]

    def markdown(self) -> str:
        """The list in Markdown."""
        return "\n".join(f"- {line}" for line in self.lines)

    def html(self) -> str:
        """The list in HTML."""
        return "\n".join(["<ul>", *(f"<li>{escaped(line)}</li>" for line in self.lines), "</ul>"])


@dataclasses.dataclass(frozen=True)
class Image:
    """A picture.

    Attributes:
        description: What it shows; also for readers who do not see it.
        file: Its name in the folder of the page, which ends in `.png`.
        draw: Makes it, a new `matplotlib.figure.Figure`.
    """

    description: str
    file: str
    draw: Callable[[], Any]

    def markdown(self) -> str:
        """The picture in Markdown."""
        return f"![{self.description}]({self.file})"

    @functools.cached_property
    def figure(self) -> Any:
        """The picture, drawn once for all files."""
        return self.draw()

    def html(self) -> str:
        """The picture in HTML, itself and not its file."""
        from tf_rnn.reporting.svg import inline_svg  # noqa: PLC0415 (only pages need it)

        name = slug(self.file.removesuffix(".png"))
        drawn = scrolling(self.description, inline_svg(self.figure, name, self.description))
        return f"<figure>\n<figcaption>{escaped(self.description)}</figcaption>\n{drawn}\n</figure>"


Section = str | Heading | Code | Plain | Bullets | Image | Table
# What Markdown reads as more than itself; an underscore within a word is one.
_MARKUP = re.compile(r"[\\`*\[\]<>|~&$#]|(?<![^\W_])_|_(?![^\W_])")


class Page:
    """A title, the answer, and the sections below it.

    Args:
        title: The heading of the page, a question for instance.
        answer: The answer in words, the first thing to be read.
        *sections: Paragraphs in Markdown (strong words alone), headings, code, lists, pictures and tables;
            empty ones and None are left out.
    """

    def __init__(self, title: str, answer: Section, *sections: Section | None) -> None:
        self.title = title
        self.answer = answer
        self.sections = [section for section in sections if section]

    def markdown(self) -> str:
        """The page in Markdown."""
        parts = [part if isinstance(part, str) else part.markdown() for part in (self.answer, *self.sections)]
        return "\n\n".join([f"# {self.title}", *(part.rstrip() for part in parts)]) + "\n"

    def html(self) -> str:
        """The page as an HTML file that needs nothing beside it; see `document`."""
        answer = _lead(self.answer) if isinstance(self.answer, str) else self.answer.html()
        parts, heading = [], ""
        for section in self.sections:
            if isinstance(section, Heading):
                heading = section.text
            if isinstance(section, Table):
                parts.append(section.html(heading))
            else:
                parts.append(paragraphs(section) if isinstance(section, str) else section.html())
        return document(self.title, answer, "\n".join(parts))

    def write(self, folder: Path) -> None:
        """Writes the pictures, and the page in Markdown and in HTML: `REPORTS`; see `write_text`."""
        for section in self.sections:
            if isinstance(section, Image):
                write_figure(folder / section.file, section.figure)
        for name, text in zip(REPORTS, (self.markdown(), self.html()), strict=True):
            write_text(folder / name, text)


def baseline_sections(losses: Mapping[str, float], unit: str) -> list[Section]:
    """A list of losses to compare with, by name; nothing where there are none."""
    if not losses:
        return []
    lines = [f"{name}: {loss:.4f} {unit}" for name, loss in losses.items()]
    return ["Losses to compare with:", Bullets(lines)]


def _lead(answer: str) -> str:
    """An answer in HTML, what comes first set apart."""
    lead, *rest = _LEAD.split(answer, maxsplit=1)
    parts = [f'<p class="lead">{escaped(lead.removesuffix(":"))}</p>']
    return "\n".join([*parts, *(paragraphs(part[0].upper() + part[1:]) for part in rest)])


def command_code(words: Sequence[str]) -> Code | None:
    """The command that makes a report again; None without words.

    Args:
        words: The command line after `python -m tf_rnn`.
    """
    return Code(f"python -m tf_rnn {' '.join(map(shell_word, words))}") if words else None
