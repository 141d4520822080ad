"""The guides: their Python runs, their commands parse, what they name exists, their links lead somewhere."""

from __future__ import annotations

import ast
import contextlib
import functools
import importlib
import io
import itertools
import re
import runpy
import shlex
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import benchmarks
import tf_rnn
from tf_rnn.__main__ import COMMANDS
from tf_rnn.cli.parser import Parser

ROOT = Path(benchmarks.__file__).resolve().parent.parent
DOCS = ROOT / "docs"
# Folders of docs/ that a build makes.
MADE = {"_build", "notebooks", "benchmarks", "CHANGELOG.md"}
README = "../README.md"
PAGES = {
    path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
    for path in sorted(DOCS.rglob("*.md"))
    if path.relative_to(DOCS).parts[0] not in MADE
} | {README: (DOCS / README).read_text(encoding="utf-8")}
# Options of other programs.
FOREIGN = {"--nworkers", "--nthreads", "--keep-going", "--logdir"}
LINK = re.compile(r"\]\(([^)\s]+)\)")

every_page = pytest.mark.parametrize("page", PAGES)


def blocks(page: str, language: str = "python") -> list[str]:
    """Code of a page; `python` is run by these tests, `py` needs other libraries."""
    return re.findall(rf"^```{language}\n(.*?)^```$", PAGES[page], flags=re.DOTALL | re.MULTILINE)


def commands(text: str) -> list[list[str]]:
    """The words of each command of this package: in lines of their own, and in the text."""
    joined = text.replace("\\\n", " ")
    lines = re.findall(r"^ +\.venv/bin/python -m tf_rnn (.*)$", joined, flags=re.MULTILINE)
    inline = re.findall(r"`python -m tf_rnn ([^`]*)`", joined)
    return [shlex.split(line, comments=True) for line in lines + inline]


def slug(heading: str) -> str:
    """The anchor of a heading, as GitHub and MyST make it."""
    return re.sub(r"[^\w\- ]", "", heading.replace("`", "").strip().lower()).replace(" ", "-")


def anchors(text: str) -> set[str]:
    return {slug(heading) for heading in re.findall(r"^#+ (.*)$", text, flags=re.MULTILINE)}


@every_page
def test_python_is_python(page: str) -> None:
    for code in itertools.chain(blocks(page), blocks(page, "py")):
        ast.parse(code)


@pytest.mark.slow
@pytest.mark.parametrize("page", [page for page in PAGES if blocks(page) and page != README])
def test_python_runs_and_prints_what_its_comments_say(
    page: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each block alone; what follows `#` after a `print` is its output."""
    monkeypatch.chdir(tmp_path)
    lines = [f"The {number} cats saw {number % 7} dogs and sat down.\n" for number in range(400)]
    Path("my.txt").write_text("".join(lines), encoding="utf-8")
    for code in blocks(page):
        with contextlib.redirect_stdout(io.StringIO()) as output:
            exec(compile(code, page, "exec"), {"__name__": "__main__"})
        shown = output.getvalue()
        assert shown, code
        said = re.findall(r"^ *print\(.*\)  # (.*)$", code, flags=re.MULTILINE)
        assert [line for line in said if line not in shown.splitlines()] == [], shown


@functools.cache
def command_parser() -> tuple[Parser, set[str]]:
    """The parser of all commands, and their options."""
    parser, known = Parser(prog="tf_rnn"), {"--help"} | FOREIGN
    subparsers = parser.add_subparsers(dest="command", required=True)
    for name, module in COMMANDS.items():
        subparser = subparsers.add_parser(name)
        module.add_options(subparser)
        known |= set(subparser._option_string_actions)
    return parser, known


@every_page
def test_commands_parse_and_options_exist(page: str) -> None:
    parser, known = command_parser()
    for words in commands(PAGES[page]):
        if words[0] not in {"COMMAND", "..."}:
            assert parser.parse_args(words).command == words[0]
    text = re.sub(r"-m benchmarks\..*", "", PAGES[page])  # they have options of their own
    named = set(re.findall(r"(?<![\w-])--[a-z][a-z-]+", text))
    assert sorted(named - known) == []


@every_page
def test_names_of_the_package_exist(page: str) -> None:
    prose = re.sub(r"^```.*?^```$", "", PAGES[page], flags=re.DOTALL | re.MULTILINE)
    for name in re.findall(r"`(tf_rnn(?:\.\w+)+)", prose):
        value = tf_rnn
        for part in name.split(".")[1:]:
            if not hasattr(value, part):
                importlib.import_module(f"{value.__name__}.{part}")
            value = getattr(value, part)


@every_page
def test_links_lead_somewhere(page: str) -> None:
    folder = (DOCS / page).parent
    for link in LINK.findall(PAGES[page]):
        if link.startswith(("http://", "https://")):
            continue
        target, _, anchor = link.partition("#")
        path = (folder / target).resolve() if target else DOCS / page
        assert path.is_file(), link
        if anchor:
            assert anchor in anchors(path.read_text(encoding="utf-8")), link


@pytest.mark.slow
def test_pictures_are_those_that_the_script_draws() -> None:
    drawn = runpy.run_path(str(DOCS / "draw.py"))["pictures"]()
    assert {path.name for path in (DOCS / "figures").iterdir()} == set(drawn)
    for name, picture in drawn.items():
        assert (DOCS / "figures" / name).read_text(encoding="utf-8") == picture


def test_the_citation_has_the_version_of_the_package() -> None:
    assert f"\nversion: {tf_rnn.__version__}\n" in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"version = {{{tf_rnn.__version__}}}" in PAGES["cite.md"]


@pytest.mark.slow
def test_the_site_is_built_without_a_warning(tmp_path: Path) -> None:
    """The command of docs/README.md."""
    command = [sys.executable, "-m", "sphinx", "-q", "-W", "--keep-going", str(DOCS), str(tmp_path / "html")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    pages = {path.relative_to(tmp_path / "html").as_posix() for path in (tmp_path / "html").rglob("*.html")}
    assert {
        "index.html",
        "notebooks/2_how_wide.html",
        "benchmarks/atlas/report.html",
        "api/cells.html",
    } <= pages


def test_commands_and_anchors_are_found() -> None:
    text = textwrap.dedent(
        """\
        ## A graph that grows, `n` wide

            .venv/bin/python -m tf_rnn train --out a \\
                --epochs 2     # two

        Type `python -m tf_rnn lags` now.
        """
    )
    assert commands(text) == [["train", "--out", "a", "--epochs", "2"], ["lags"]]
    assert anchors(text) == {"a-graph-that-grows-n-wide"}
    assert {"index.md", "guides/resume.md"} <= set(PAGES)
