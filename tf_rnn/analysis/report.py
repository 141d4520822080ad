"""Tables, records and the page of a study of lags."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tf_rnn.analysis.bias import CLEAR, LOST, needed_block, needed_width
from tf_rnn.files import plain
from tf_rnn.reporting import Bullets, Heading, Image, Page, Plain, Table, number
from tf_rnn.reporting.page import command_code
from tf_rnn.text import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from tf_rnn.analysis.lags import LagAnalysis
    from tf_rnn.analysis.study import Study

SHOWN_LAGS = (0, 1, 2, 3, 5, 8, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200)
HEADER = ("steps back", "norm", "lost by truncation", "lost in blocks", "cosine")
HEADER_OF_MEAN = ("lost of the mean", "lost of the mean in blocks")
NOTES = """\
**norm** is the norm of a loss's gradient with respect to the state that many steps before it, averaged
over positions and examples. **lost by truncation** is the fraction of the recurrent weights' gradient that
is lost if every error is followed back over exactly that many steps, relative to the longest; **lost in
blocks** is the same for blocks of that width, in which an error is followed back to the start of its block,
half of the width on average. **cosine** is that between the truncated gradient and the longest. **lost of
the mean** is the fraction lost of the mean gradient over the data, which steers training: what differs from
batch to batch is not in it. It is 100 % where training by truncated gradients has come to an end, as their
mean is 0 there. The **bound** of a vanilla cell is the largest singular value of its recurrent weights: per
step back, the norm cannot grow by a larger factor (Pascanu et al. 2013)."""
NOTES_ON_PAST = """\
Truncated gradients are compared not with the longest, but with the gradient over **the whole past**. What is
older than the longest enters through the influence of the weights on the state, which is carried forward over
the data: of all weights where that is affordable (real-time recurrent learning, Williams & Zipser 1989), else
along random directions. The **Lyapunov exponent** is the growth of a small change of the state, the mean of
its logarithm per step. Above 0, gradients grow without bound the further back they are followed, and no width
suffices (Mikhaeil, Monfared & Durstewitz 2022)."""

AT_NOTES = """\
A bar is the norm of the gradient of this one loss with respect to an input: the embedding, the unit vector
of a class, or the values. It is exact over all that is shown: no width truncates it. In training, errors
flowed back to the dashed line at most. A change of an input with a long bar would have changed the loss
most."""


def describe(name: str, analysis: LagAnalysis) -> str:
    """What happens to the gradient, as a sentence without its full stop."""
    if math.isnan(analysis.decay):
        return f"{name}: no decay can be fitted, as fewer than 2 lags have a gradient"
    changes = {
        "vanishes": f"halves every {analysis.half_life:.1f} steps",
        "explodes": f"doubles every {-analysis.half_life:.1f} steps",
        "holds": "changes by less than a factor of 2",
    }
    bound = "" if analysis.bound is None else f" (bound {analysis.bound:.3f})"
    return (
        f"{name}: the gradient {analysis.trend}; its norm {changes[analysis.trend]} over "
        f"{counted(len(analysis.lags), 'step')}, a factor of {analysis.decay:.3f} per step{bound}"
    )


def reference_sentence(name: str, analysis: LagAnalysis) -> str:
    """How many steps the gradient over the whole past needs; empty without that reference."""
    if analysis.reference != "infinite":
        return ""
    exponent, steps = "", len(analysis.lags)
    if analysis.lyapunov is not None:
        exponent = f"Lyapunov exponent {analysis.lyapunov:z.4f} ± {analysis.lyapunov_error:.4f} per step"
    if analysis.grows:
        return f"{name}: no width suffices: gradients grow without bound ({exponent})"
    if not math.isfinite(analysis.relative_bias[-1]):
        return f"{name}: there is no finite gradient over the whole past to compare with"
    followed, blocks = (
        needed_width(analysis.relative_bias),
        needed_block(analysis.relative_bias, analysis.block_bias),
    )
    how = "exact"
    if analysis.directions:
        error = math.sqrt(2 / analysis.directions)
        how = (
            f"what is older estimated along {analysis.directions} random directions, its square ± {error:.0%}"
        )
    sentence = (
        f"{name}: to keep {1 - LOST:.0%} of the gradient over the whole past takes "
        f"{_at_least(followed, steps)} followed back, or blocks of {_at_least(blocks, steps)}; "
        f"truncation after {counted(steps, 'step')} loses {analysis.relative_bias[-1]:.2%} of it ({how})"
    )
    return "; ".join(filter(None, (sentence, exponent)))


def _at_least(needed: int | None, steps: int) -> str:
    word = "more than " if needed is None else "about " if needed > steps else ""
    return word + counted(steps if needed is None else needed, "step")


def lag_table(analysis: LagAnalysis) -> Table:
    """Some lags of an analysis, and truncation after as many steps."""
    rows = []
    for lag in [lag for lag in SHOWN_LAGS if lag < len(analysis.lags)]:
        cells = ["–", "–", "–"]
        if lag:
            cells = [
                number(analysis.relative_bias[lag - 1], ".1%"),
                number(analysis.block_bias[lag - 1], ".1%"),
                number(analysis.cosine[lag - 1], ".3f"),
            ]
        of_mean = [analysis.mean_bias, analysis.mean_block_bias] if analysis.mean_is_clear else []
        cells += [f"{bias[lag - 1]:z.1%}" if lag else "–" for bias in of_mean]
        rows.append([str(lag), f"{analysis.gradient_norm[lag]:.3g}", *cells])
    header = (*HEADER, *HEADER_OF_MEAN) if analysis.mean_is_clear else HEADER
    return Table("Where the gradient goes", header, rows)


def mean_sentence(analysis: LagAnalysis) -> str:
    """Why what is lost of the mean gradient is not shown; empty where it is."""
    if analysis.mean_is_clear or not math.isfinite(analysis.relative_bias[-1]):
        return ""
    if math.isnan(analysis.mean_signal):
        return f"The data have too few positions, {analysis.positions}, to measure the mean gradient."
    return (
        "What is lost of the mean gradient is not shown: the mean gradient is lost in its noise (its square "
        f"is {analysis.mean_signal:z.1f} standard errors, {CLEAR:g} would be clear)."
    )


def lag_records(name: str, analysis: LagAnalysis) -> list[dict[str, Any]]:
    """A dictionary for each lag k, with the truncation after k + 1 steps.

    Args:
        name: What to call the analysis, under the key `weights`.
        analysis: What was measured.
    """
    return [
        plain(
            {
                "weights": name,
                "lag": lag,
                "gradient_norm": analysis.gradient_norm[lag],
                "truncation": analysis.truncations[lag],
                "relative_bias": analysis.relative_bias[lag],
                "block_bias": analysis.block_bias[lag],
                "cosine": analysis.cosine[lag],
                "mean_bias": analysis.mean_bias[lag],
                "mean_block_bias": analysis.mean_block_bias[lag],
            }
        )
        for lag in analysis.lags
    ]


def lag_page(study: Study, command: Sequence[str]) -> Page:
    """The report of a study of lags.

    Args:
        study: The results.
        command: The command line to show; see `command_code`.
    """
    *sentences, one = (*study.sentences, "") if study.at is None else study.sentences
    picture = Image("Gradient of one loss at each input", "at.png", study.at_figure)
    tables: list[Any] = []
    for name, analysis in study.analyses.items():
        heading = name.capitalize()
        table = lag_table(analysis)._replace(title=heading)
        tables += [Heading(heading), table, mean_sentence(analysis)]
    return Page(
        "Where the gradient goes",
        "No decay can be fitted." if math.isnan(study.last.decay) else f"The gradient {study.last.trend}.",
        Bullets(sentences),
        Plain(f"{study.line}."),
        command_code(command),
        *tables,
        *study.more_sections,
        Image("Gradient by lag and bias of truncation", "lags.png", study.figure),
        *((Heading("One prediction"), Plain(one), picture, AT_NOTES) if one else ()),
        Heading("How to read this"),
        NOTES,
        NOTES_ON_PAST if all(each.reference == "infinite" for each in study.analyses.values()) else None,
    )
