"""The report of the two styles: picture, table, and what is held equal."""

from __future__ import annotations

import functools
from typing import TYPE_CHECKING, Any

from benchmarks.styles.sweeps import STYLES, TITLES
from tf_rnn.comparison.plots import WIDTH_LABEL
from tf_rnn.console import shell_word
from tf_rnn.files import write_figure, write_text
from tf_rnn.reporting import Code, Heading, Image, Page, Plain
from tf_rnn.reporting.style import COLOURS, MARKERS, label_ends, make_figure, width_axis
from tf_rnn.text import perplexity

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from benchmarks.styles.sweeps import Styles

COMMAND = "python -m benchmarks.styles"
# With which the figure is made on the Penn Treebank.
ELSEWHERE = "python -m benchmarks.styles --data ptb --vocabulary-size 10000 --state-size 200 --tokens 3e6"
NOTES = """\
**Held equal** for both styles and all widths: the network, its initial weights (by seed), the rows of a
batch, the state carried, the learning rates to choose from, and the words learnt from, each of which is a
target once in every pass. **Not equal**: blocks make a training step every width words of a row, sliding
windows every stride words (one, unless the command says otherwise). So sliding windows make up to width times
as many updates, each from as many times fewer errors, and read each word up to width times. Their errors flow
back over at least width - stride steps, those of blocks over 0 to width - 1.

**loss** is held out, in nats per word: the mean over seeds ± its standard deviation. **sliding - block** is
the mean difference of runs with the same seed ± its standard deviation. **rate** is the best of the learning
rates. **words read** counts a word as often as a window holds it, which is the price on any machine.

After R2RT, "Styles of truncated backpropagation" (2016), with words of the Penn Treebank. The same command
takes other texts and sizes:"""


def figure(styles: Styles) -> Any:
    """Perplexity against width, for the same words to learn from, and against the updates that they made."""
    from matplotlib.ticker import LogLocator, NullLocator  # noqa: PLC0415 (takes half a second to load)

    title = f"Sliding windows and blocks, for the same words to learn from\n{styles.sweeps['block'].line}"
    made, panels = make_figure(title, (10, 4.6), columns=2)
    left, right = panels.flat
    widths = [block.num_steps for block, _ in styles.pairs]
    width_axis(left, widths, WIDTH_LABEL)
    ends = []
    for look, (style, summaries) in enumerate(zip(STYLES, zip(*styles.pairs, strict=True), strict=True)):
        colour = {"color": COLOURS[look]}
        drawn = colour | {"marker": MARKERS[look], "label": TITLES[style], "linewidth": 1.6, "capsize": 3}
        heights = [perplexity(each.loss) for each in summaries]
        bars = [perplexity(each.loss) * (each.spread if each.runs > 1 else 0.0) for each in summaries]
        left.errorbar(widths, heights, yerr=bars, **drawn)
        updates = [each.updates for each in summaries]
        right.errorbar(updates, heights, yerr=bars, **drawn)
        ends += [(x, y, str(width), colour) for x, y, width in zip(updates, heights, widths, strict=True)]
    left.set_ylabel("held-out perplexity")
    left.legend(frameon=False)
    right.set_xscale("log")
    right.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    right.xaxis.set_minor_locator(NullLocator())
    right.xaxis.set_major_formatter("{x:,.0f}")
    right.set_xlabel("updates: training steps of a run\nnumbers are widths")
    label_ends(right, ends)
    return made


def write_report(styles: Styles, folder: Path, words: Sequence[str]) -> list[Path]:
    """Writes `report.md`, `styles.csv` and `styles.png`, and returns them.

    Args:
        styles: What was found.
        folder: Where to.
        words: The command line after `COMMAND`.
    """
    picture = Image(
        "Perplexity against width, and against updates", "styles.png", functools.partial(figure, styles)
    )
    page = Page(
        "Sliding windows or blocks?",
        styles.sentence,
        Plain(f"{styles.sweeps['block'].line}; the same for sliding windows."),
        Code(" ".join([COMMAND, *map(shell_word, words)])),
        picture,
        Heading("What each learns, and what it costs"),
        styles.table(),
        Heading("How to read this"),
        NOTES,
        Code(ELSEWHERE),
    )
    write_figure(folder / picture.file, picture.figure)
    write_text(folder / "styles.csv", styles.runs().csv())
    write_text(folder / "report.md", page.markdown())
    return [folder / name for name in ("report.md", "styles.csv", picture.file)]
