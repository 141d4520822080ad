"""The report: each loop with its code and what the audit reads."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
from typing import TYPE_CHECKING

from benchmarks.audit.snippets import LENGTH, LIBRARIES, WIDTH
from tf_rnn.audit import measure_reach

if TYPE_CHECKING:
    from pathlib import Path

    from benchmarks.audit.snippets import Library, Snippet

COMMAND = "python -m benchmarks.audit"
HEAD = f"""# Loops of other libraries, audited

Each loop below runs on {LENGTH} steps of probes ([tf_rnn.audit](../../tf_rnn/audit/__init__.py)) and is to
truncate after {WIDTH} steps. Whether it does is read from the gradient of one weight. The loops in bold are
right; the others make mistakes that are found in the wild. Made by `{COMMAND}`, with what is in
`benchmarks/requirements.txt`; the loops are in [snippets](snippets/__init__.py).
"""


def is_installed(library: Library) -> bool:
    """Whether a library can be imported."""
    return importlib.util.find_spec(library.package) is not None


def sentence(snippet: Snippet) -> str:
    """What the audit says."""
    reach = measure_reach(
        snippet.loop,
        LENGTH,
        loss_scale=snippet.loss_scale,
        asked=WIDTH,
        asked_stride=snippet.asked_stride,
    )
    return reach.sentence


def title(snippet: Snippet) -> str:
    """Its title; in bold if it makes no mistake."""
    return f"**{snippet.title}**" if snippet.is_right else snippet.title


def section(library: Library) -> str:
    """The part of the report on a library: a table, and the code."""
    snippets: list[Snippet] = importlib.import_module(library.module).SNIPPETS
    version = importlib.metadata.version(library.package)
    rows = [f"| {title(snippet)} | {sentence(snippet)} |" for snippet in snippets]
    code = "\n\n\n".join(inspect.getsource(snippet.shown or snippet.loop).rstrip() for snippet in snippets)
    return "\n".join(
        [
            f"## {library.title} {version}",
            "",
            "| loop | what the audit reads |",
            "|---|---|",
            *rows,
            "",
            f"```python\n{code}\n```",
            "",
        ]
    )


def write_report(path: Path) -> list[str]:
    """Writes the report; returns the libraries that are missing."""
    missing = [library.title for library in LIBRARIES if not is_installed(library)]
    parts = [section(library) for library in LIBRARIES if is_installed(library)]
    path.write_text("\n".join([HEAD, *parts]), encoding="utf-8")
    return missing
