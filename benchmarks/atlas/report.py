"""The report of the atlas: which rule would have cost how much, and what each task needs."""

from __future__ import annotations

import functools
import math
import statistics
from typing import TYPE_CHECKING, Any

from benchmarks.atlas.claims import growing_table, random_table, rmsprop_table
from benchmarks.atlas.rules import RULES
from benchmarks.atlas.score import GOOD, scored
from benchmarks.atlas.tasks import LADDER, SCORING, TASKS, TUNING
from tf_rnn.files import write_text
from tf_rnn.reporting import Code, Heading, Image, Page, Table
from tf_rnn.reporting.style import COLOURS, MARKERS, REFERENCE, make_figure
from tf_rnn.reporting.table import MISSING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from benchmarks.atlas.score import Outcome, Scored

COMMAND = "python -m benchmarks.atlas score"
KINDS = {"echo": "echo", "memory": "memory, copy, adding", "copy": "memory, copy, adding",
         "adding": "memory, copy, adding", "text": "text", "words": "text", "series": "series"}  # fmt: skip
# Regrets below this are drawn at the left edge.
LEAST = 0.001
NOTES = f"""\
**Regret** is the held-out loss of the named width above that of the best width of the ladder
({", ".join(map(str, LADDER))}), as a percentage of the larger of the best loss and its distance from
knowing nothing. A width is **good** with a regret of at most {GOOD:.0%}. The **cheapest good** width is
the one that trains in the least time (differences of 10 % do not count; of equally cheap ones the
narrowest). **Time** and **memory** are those of training at the named width relative to the cheapest good
one (medians over tasks), **rungs** the steps of the ladder between the two. **Search** is what finding
the width costs, as a share of training all widths (for `recommend`, with two seeds). A width that is not
on the ladder counts as the nearest one by ratio. `compare` decides by the very losses that are scored;
`recommend` by two of the three seeds, most of them part of the way.

Three rules were added after the scores were first seen. A race does not end while seeds disagree
(search: 20 % instead of 19). No width is named if one that was dropped after half of the training would
overtake it; this changed no row. And the loss of a run is the lowest of its seven evaluations, that of the
checkpoint which `train` keeps as the best, both where widths are named and where they are scored. By the
loss at the end, `recommend` had named 18 widths, 17 of them good, and a first version one for `weekly` with a
regret of 33 %: there, losses rise from a tenth of the training on."""
SEARCH = dict.fromkeys(("half-life of the gradient", "90 % of the gradient"), "one fifth of a run")


def rule_table(outcomes: Mapping[str, Mapping[str, Outcome | None]], search: Mapping[str, str]) -> Table:
    """A row for each rule.

    Args:
        outcomes: By task and rule.
        search: What finding the width costs, by rule.
    """
    rows = []
    for rule in RULES:
        found = [each[rule] for each in outcomes.values()]
        named = [each for each in found if each is not None]
        if not named:
            continue
        regrets = [each.regret for each in named]
        rows.append(
            [
                rule,
                f"{len(named)} of {len(found)}",
                f"{sum(regret <= GOOD for regret in regrets)} of {len(named)}",
                f"{sum(each.regret <= GOOD and each.rungs <= 1 for each in named)} of {len(named)}",
                percent(statistics.median(regrets)),
                percent(max(regrets)),
                f"{statistics.median(each.time for each in named):.2f}",
                f"{statistics.median(each.memory for each in named):.2f}",
                search.get(rule, MISSING),
            ]
        )
    header = ["rule", "names a width", "good", "good, at most a rung too wide", "median regret",
              "worst regret", "time", "memory", "search"]  # fmt: skip
    return Table("What rules cost", header, rows)


def without_ties(outcomes: Iterable[Outcome | None]) -> str:
    """Where the widths of `recommend` are if any lead in time counts.

    Args:
        outcomes: Those of the scored tasks.
    """
    named = [each for each in outcomes if each is not None]
    wider = sum(each.rungs > 1 for each in named)
    faster = sum(each.rungs > 1 and each.time < 1 for each in named)
    near = sum(each.rungs_from_fastest <= 1 for each in named)
    return (
        f"{wider} of the widths that `recommend` names are more than a rung above the cheapest good one; "
        f"{faster} of them take less time than it. Without ties, measured from the good width of the least "
        f"time, {near} of {len(named)} are at most a rung too wide."
    )


def task_table(tasks: Mapping[str, Scored]) -> Table:
    """A row for each task."""
    rows = []
    for name, each in tasks.items():
        outcomes = each.by_rule()
        race, compared = outcomes["recommend"], outcomes["compare"]
        share = each.evidence.raced.share
        rows.append(
            [
                name,
                str(each.best.num_steps),
                str(each.cheapest.num_steps),
                str(compared.width) if compared else MISSING,
                str(race.width) if race else MISSING,
                percent(race.regret) if race else MISSING,
                f"{race.rungs:+d}" if race else MISSING,
                f"{race.time:.2f}" if race else MISSING,
                f"{share:.0%}",
            ]
        )
    header = ["task", "lowest loss", "cheapest good", "compare", "recommend", "its regret", "rungs", "time",
              "search"]  # fmt: skip
    return Table("The tasks", header, rows)


def percent(value: float) -> str:
    """A fraction as a percentage; "diverges" where it is infinite."""
    return f"{value:.1%}" if math.isfinite(value) else "diverges"


def figure(outcomes: Mapping[str, Mapping[str, Outcome | None]]) -> Any:
    """Draws the regret of each rule on each task: a `matplotlib.figure.Figure`."""
    rules = [rule for rule in RULES if any(each[rule] for each in outcomes.values())]
    made, axes = make_figure("How much worse than the best width?\nEach mark is a task", (8, 5.5))
    kinds = list(dict.fromkeys(KINDS.values()))
    labelled = set()
    for row, rule in enumerate(rules):
        for number, (task, found) in enumerate(outcomes.items()):
            outcome = found[rule]
            if outcome is None:
                continue
            kind = KINDS[TASKS[task].task]
            look = kinds.index(kind)
            height = row + 0.5 * (number / len(outcomes) - 0.5)
            regret = min(max(outcome.regret, LEAST), 1.0) * 100
            label = None if kind in labelled else kind
            labelled.add(kind)
            style = {"color": COLOURS[look], "marker": MARKERS[look], "linestyle": "none", "markersize": 5}
            axes.plot([regret], [height], label=label, alpha=0.8, **style)
    axes.axvline(GOOD * 100, linestyle="--", **REFERENCE)
    axes.set_xscale("log")
    axes.set_yticks(range(len(rules)), rules)
    axes.invert_yaxis()
    axes.xaxis.set_major_formatter(lambda value, _: f"{value:g}%")
    axes.set_xlabel(f"regret (at least {LEAST:.1%} is drawn); left of the line is good")
    axes.legend(loc="upper center", bbox_to_anchor=(0.4, -0.12), ncols=4, frameon=False, fontsize=9)
    return made


def _titled(table: Table) -> tuple[str, Table]:
    return f"{table.title}.", table


def write_report(folder: Path, scratch: Path) -> None:
    """Writes `report.md` and `rules.png`.

    Args:
        folder: Where the tables are.
        scratch: For texts.
    """
    tasks = scored(TASKS, folder, scratch)
    parts = {
        part: {name: t for name, t in tasks.items() if TASKS[name].part == part} for part in (SCORING, TUNING)
    }
    outcomes = {part: {name: each.by_rule() for name, each in group.items()} for part, group in parts.items()}
    scores = outcomes[SCORING]
    picture = Image("The regret of each rule on each task", "rules.png", functools.partial(figure, scores))
    picture.figure.savefig(folder / picture.file, dpi=120)
    shares = [each.evidence.raced.share for each in parts[SCORING].values()]
    search = SEARCH | {"recommend": f"{statistics.fmean(shares):.0%}", "compare": "100%"}
    page = Page(
        "An atlas of widths",
        f"{len(tasks)} tasks were trained at {len(LADDER)} widths with three seeds each, the state carried. "
        f"Rules are scored on {len(scores)} of them; on the others the race of `recommend` was tuned.",
        Code(COMMAND),
        Heading("Rules"),
        picture,
        rule_table(scores, search),
        NOTES,
        without_ties(each["recommend"] for each in scores.values()),
        Heading("Claims"),
        *_titled(rmsprop_table(tasks, folder)),
        *_titled(random_table(tasks, folder)),
        *_titled(growing_table(tasks, folder)),
        Heading("Tasks that score"),
        task_table(parts[SCORING]),
        Heading("Tasks that tuned"),
        task_table(parts[TUNING]),
    )
    write_text(folder / "report.md", page.markdown())
