"""Settings of the documentation; see README.md for the command that builds it."""

from __future__ import annotations

import re
import shutil
import sys
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent
sys.path.insert(0, str(ROOT))  # the checkout, whether or not tf_rnn is installed
import tf_rnn  # noqa: E402

# What lies outside of docs/ and is part of the site. Pages link to it as it lies in the checkout.
COPIED_FOLDERS = {"notebooks": ("*.md", "*.ipynb"), "benchmarks": ("*.md", "*.png", "*.py")}
COPIED_FILES = ("CHANGELOG.md",)
# The pages of a folder that follow its README.
FOLLOWING = {"notebooks/README": "[1-9]*", "benchmarks/README": "*/report"}

project = "tf_rnn"
author = "The tf_rnn developers"
version = release = tf_rnn.__version__
language = "en"

extensions = ["myst_nb", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["_build", "README.md"]
nb_execution_mode = "off"  # notebooks are shown as they are stored
myst_enable_extensions = ["dollarmath"]
myst_heading_anchors = 3
nitpicky = True
# Types of other packages, and of modules that are not public, have no page here.
nitpick_ignore_regex = [("py:.*", r"(?!tf_rnn\.).*"), ("py:.*", r"tf_rnn\.(\w+\.\w+|truncation)\..*")]

default_role = "code"
autodoc_member_order = "groupwise"
autodoc_typehints = "signature"
autodoc_preserve_defaults = True
napoleon_numpy_docstring = False
napoleon_use_rtype = False
napoleon_use_ivar = True
napoleon_attr_annotations = False  # not RST: np.bool_ would be a link

html_theme = "furo"
html_title = f"tf_rnn {release}"
html_copy_source = False
html_static_path = ["static"]
html_css_files = ["wide.css"]
html_show_copyright = False

SECTION = re.compile(r"(Args|Attributes|Raises|Returns|Yields|Source|Variables|Warns):")


def copy_pages() -> None:
    """Copies what lies outside of docs/ into it; git ignores the copies."""
    for folder, patterns in COPIED_FOLDERS.items():
        for path in (path for pattern in patterns for path in (ROOT / folder).rglob(pattern)):
            copy(path, HERE / path.relative_to(ROOT))
    for name in COPIED_FILES:
        copy(ROOT / name, HERE / name)


def copy(path: Path, to: Path) -> None:
    """Copies a file, with its time of change, unless it is there already."""
    if not to.exists() or to.stat().st_mtime != path.stat().st_mtime:
        to.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy2(path, to)


def link_copies(_: Any, page: str, source: list[str]) -> None:
    """Turns links to what is copied, which lead out of docs/, into links to the copies."""
    copied = "|".join(re.escape(name) for name in (*COPIED_FOLDERS, *COPIED_FILES))
    if page.partition("/")[0] not in COPIED_FOLDERS:
        source[0] = re.sub(rf"(\]\((?:\.\./)*)\.\./({copied})\b", r"\1\2", source[0])
    # What is not copied, such as source code, is named without a link.
    source[0] = re.sub(r"\[([^\]]*)\]\((?:\.\./)+(?:tf_rnn|tests|CITATION)\b[^)]*\)", r"\1", source[0])
    if page in FOLLOWING:
        source[0] += f"\n```{{toctree}}\n:hidden:\n:glob:\n\n{FOLLOWING[page]}\n```\n"


def show_equations(*arguments: Any) -> None:
    """Makes indented paragraphs of a docstring, its equations and examples, literal blocks."""
    lines: list[str] = arguments[-1]
    shown: list[str] = []
    before = ""  # the last line at the margin
    for line in lines:
        is_indented = line.startswith(" ")
        if is_indented and shown and not shown[-1] and not SECTION.fullmatch(before):
            if not before.startswith(".. code-block"):
                shown += [before := ".. code-block:: text", ""]
        elif line and not is_indented:
            before = line
        shown.append(line)
    lines[:] = shown


def setup(app: Any) -> None:
    """Registers what is done before pages are read."""
    copy_pages()
    app.connect("source-read", link_copies)
    app.connect("autodoc-process-docstring", show_equations, priority=100)
