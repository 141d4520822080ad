"""The look of figures."""

from __future__ import annotations

import textwrap

# Colours that differ in grey and to colour-blind eyes (Okabe & Ito 2008), with markers.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00")
MARKERS = ("o", "s", "^", "D", "v")
TITLE_WIDTH = 80


def wrapped(title: str) -> str:
    """A title whose lines fit over a figure."""
    return "\n".join(textwrap.fill(line, TITLE_WIDTH) for line in title.splitlines())
