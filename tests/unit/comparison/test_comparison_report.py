"""Tables, figures and the page of a comparison."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparison_helpers import (
    TASK_OPTIONS,
    diverged_run,
    made_up_cost,
    made_up_results,
    made_up_run,
    made_up_summary,
    make_comparison,
)
from matplotlib.image import imread
from page_helpers import assert_page, parsed

from tf_rnn.comparison import Sweep, summarise
from tf_rnn.comparison.plots import cost_figure, curve_figure, loss_figure
from tf_rnn.comparison.report import comparison_line
from tf_rnn.comparison.sentences import NO_VERDICT
from tf_rnn.comparison.tables import cost_table, learning_table, run_table
from tf_rnn.tasks import Echo, Text

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.comparison import Comparison
    from tf_rnn.tasks import Task

COMPARISON = make_comparison()
TASK = Echo(**TASK_OPTIONS)
RUNS = [
    made_up_run(width, state, seed, loss=0.5 - width / 64 + seed / 16)
    for width in (1, 4)
    for state in ("carry", "reset")
    for seed in (0, 1)
]
COMMAND = ["compare", "--num-steps", "1", "4", "--out", "my results"]


@pytest.fixture(scope="module")
def text_task(tmp_path_factory: pytest.TempPathFactory) -> Text:
    path = tmp_path_factory.mktemp("data") / "data.txt"
    path.write_text("a cat sat on a mat. " * 9, encoding="utf-8")
    return Text(path)


TASK_LINE = "Task echo (lags 2 5, effects 0.3 -0.15, length 600, valid length 90)"


def sweep_of(runs: list[dict[str, Any]], comparison: Comparison = COMPARISON, task: Task = TASK) -> Sweep:
    sweep = Sweep(comparison, task, made_up_results(None, runs, comparison))
    sweep.results.add_costs([made_up_cost(width) for width in comparison.widths])
    return sweep


def report(sweep: Sweep, folder: Path) -> str:
    """Writes all files, and returns the page."""
    files = sweep.write(folder, COMMAND)
    names = ["report.md", "report.html", "results.json", "results.csv", "loss.png", "curves.png", "cost.png"]
    names += ["run.toml"] if (folder / "run.toml").exists() else []  # of tasks that have a name
    assert files == [folder / name for name in names]
    assert {path.name for path in folder.iterdir()} == {"config.json", *names}
    return (folder / "report.md").read_text(encoding="utf-8")


def loss_and_gaps(width: int, loss: float) -> tuple[str, ...]:
    """What the table has of two runs that are 1/16 apart, with their mean: loss, bits, gaps."""
    return (
        f"{loss:.4f} ± {0.0625 / math.sqrt(2):.4f}",
        f"{loss / math.log(2):.3f}",
        f"{loss - TASK.optimum():+.4f}",
        f"{loss - TASK.floor(width):+.4f}",
    )


def test_learning_table() -> None:
    results = made_up_results(None, [*RUNS, diverged_run(9), diverged_run(4, seed=2)])
    table = learning_table(summarise(results, list(results.runs), TASK), TASK)
    header = "width,state,loss ± seeds,bits per\nstep,above\noptimum,above\nfloor,lag 2\nlearnt,reach\n2,"
    assert table.header == [*header.split(",")[:-1], "lag 5\nlearnt", "reach\n5", "updates"]
    (one, bits_1, optimum_1, floor_1), (four, bits_4, optimum_4, floor_4) = (
        loss_and_gaps(1, 0.515625),
        loss_and_gaps(4, 0.46875),
    )
    assert (bits_1, bits_4) == ("0.744", "0.676")
    assert table.rows == [
        ["1", "carry", one, bits_1, optimum_1, "–", "0.75", "0%", "0.25", "0%", "214"],
        ["4", "carry", f"{four} (1 diverged)", bits_4, optimum_4, "–", "0.75", "50%", "0.25", "0%", "53"],
        ["9", "carry", "– (1 diverged)", "–", "–", "–", "–", "78%", "–", "44%", "–"],
        ["1", "reset", one, bits_1, optimum_1, floor_1, "0.75", "0%", "0.25", "0%", "214"],
        ["4", "reset", four, bits_4, optimum_4, floor_4, "0.75", "50%", "0.25", "0%", "53"],
    ]


def test_a_text_has_bits_and_no_columns_without_values_and_rates_where_they_differ(text_task: Text) -> None:
    four, nine = made_up_summary(4, math.log(2)), made_up_summary(9, 2.0, learning_rate=0.25)
    table = learning_table([four], text_task)
    assert table.header == ["width", "state", "loss ± seeds", "bits per\ncharacter", "updates"]
    assert table.rows == [["4", "carry", "0.6931 ± 0.0000", "1.000", "96"]]
    table = learning_table([four, nine], text_task)
    assert [table.header[2], *(row[2] for row in table.rows)] == ["rate", "0.1", "0.25"]


def test_answer_table_has_the_neighbours_of_the_width() -> None:
    """Prices are those of 53 or 214 or 1 updates of 0.5, 0.3125 or 1.25 ms."""
    runs = [made_up_run(width, loss=loss) for width, loss in ((1, 0.625), (4, 0.25), (16, 0.375))]
    table = sweep_of(runs, make_comparison(num_steps=(1, 4, 16), state=("carry",), seeds=1)).answer_table()
    assert table is not None
    header = ["", "width", "loss", "difference", "time for the\nsame training", "step (ms)", "memory"]
    assert table.header == header
    assert table.rows == [
        ["narrower", "1", "0.6250", "+0.3750", "0.0669 s", "0.312", "0.5 MB"],
        ["chosen", "4", "0.2500", "", "0.0265 s", "0.5", "2 MB"],
        ["wider", "16", "0.3750", "+0.1250", "0.0163 s", "1.25", "8 MB"],
    ]


def test_cost_table_has_a_row_for_each_width() -> None:
    table = cost_table([made_up_cost(16), made_up_cost(4)])
    header = "width,step (ms),tokens/s,build (s),first\nrun (s),memory,operations,parameters"
    assert table.header == header.split(",")
    assert table.rows == [
        ["4", "0.500", "56,000", "0.031", "0.008", "2 MB", "226", "26"],
        ["16", "1.250", "89,600", "0.031", "0.008", "8 MB", "334", "26"],
    ]


def test_csv_reads_back_in_full() -> None:
    runs = [made_up_run(4, seed=1, loss=1 / 3, share_of_errors={"2": 0.5, "5": 0.0}), diverged_run(1)]
    finished, diverged = csv.DictReader(io.StringIO(run_table(runs, TASK.lags).csv()))
    names = "num_steps state learning_rate seed loss standard_error updates tokens seconds"
    for name in names.split():
        assert type(runs[0][name])(finished[name]) == runs[0][name], name
    assert (float(finished["dependency_score_2"]), float(finished["share_of_errors_5"])) == (0.75, 0.0)
    assert diverged["loss"] == diverged["dependency_score_2"] == ""
    assert (diverged["num_steps"], diverged["error"]) == ("1", runs[1]["error"])
    assert "dependency" not in run_table(runs, ()).csv(), "without lags there are no columns of them"


def read_png(path: Path) -> np.ndarray:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = np.asarray(imread(path))
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 10, "an empty picture"
    return pixels


def assert_names_every_point(path: Path) -> None:
    """In HTML: losses, floors at all widths up to the widest, curves, costs."""
    widths, states = (1, 4), ("carry", "reset")
    found = parsed(path.read_text(encoding="utf-8"))
    losses, curves, costs = (
        [str(title.text) for title in svg.findall("./g[@class='points']/rect/title")]
        for svg in found.iter("svg")
    )
    assert sum(title.startswith("state ") for title in losses) == len(widths) * len(states)
    assert sum(title.startswith("lowest possible") for title in losses) == max(widths)
    assert "state reset at each block\nwidth: num_steps in the graph = 4\n" in "\n".join(losses)
    points = len(RUNS[0]["curve"]) - 1
    assert len(curves) == len(widths) * len(states) * points
    assert len(costs) == 5 * len(widths)


def test_report_has_everything(tmp_path: Path) -> None:
    sweep = sweep_of(RUNS)
    page = report(sweep, tmp_path)
    assert sweep.answer is not None
    answer = sweep.answer_table()
    assert answer is not None
    parts = [
        "# How wide should the graph be?",
        sweep.answer.sentence,
        answer.markdown(),
        f"{TASK_LINE}, cell vanilla 3, batch 7, adagrad 0.1, 1,500 tokens per run, 2 seeds.",
        "```\npython -m tf_rnn compare --num-steps 1 4 --out 'my results'\n```",
        sweep.table().markdown(),
        *(f"- {name}: {loss:.4f} nats" for name, loss in TASK.baselines().items()),
        "![Held-out loss against width](loss.png)",
        "![Held-out loss against training](curves.png)",
        sweep.cost_table().markdown(),
        sweep.cost_sentence,
        "![Cost against width](cost.png)",
        "## How to read this",
    ]
    places = [page.find(part) for part in parts]
    assert -1 not in places, f"missing: {parts[places.index(-1)]}"
    assert places == sorted(places)
    for name in ("loss.png", "curves.png", "cost.png"):
        height, width = read_png(tmp_path / name).shape[:2]
        assert min(height, width) > 500, f"{name}: {width} x {height}"
    linked = re.findall(r"\]\(([^)]+)\)", page)
    assert [name for name in linked if not (tmp_path / name).is_file()] == []
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text(encoding="utf-8"))))
    found = [(row["num_steps"], row["state"], row["seed"], float(row["loss"])) for row in rows]
    assert found == [(str(run["num_steps"]), run["state"], str(run["seed"]), run["loss"]) for run in RUNS]
    assert all(float(row["step_milliseconds"]) > 0 for row in rows)
    assert_page(tmp_path / "report.html")
    assert_names_every_point(tmp_path / "report.html")


def test_report_of_a_text_where_every_run_diverged(tmp_path: Path, text_task: Text) -> None:
    options = {"task": "text", "task_options": text_task.options(), "state": ("carry",)}
    comparison = make_comparison(num_steps=(4, 9), seeds=1, **options)
    page = report(sweep_of([diverged_run(*key) for key in comparison.keys], comparison, text_task), tmp_path)
    assert NO_VERDICT in page
    assert "| – (1 diverged) |" in page
    assert f"- uniform: {math.log(text_task.num_classes):.4f} nats" in page
    read_png(tmp_path / "loss.png")


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "3, batch 7, adagrad 0.1, 1,500 tokens per run, 2 seeds"),
        ({"learning_rate": (0.2,)}, "3, batch 7, adagrad 0.2, 1,500 tokens per run, 2 seeds"),
        ({"learning_rate": (0.2, 0.5)}, "3, batch 7, adagrad 0.2 or 0.5, 1,500 tokens per run, 2 seeds"),
        (
            {"num_layers": 2, "clip_norm": 5.0, "seeds": 1, "budget": "epochs", "amount": 2.5},
            "2 x 3, batch 7, adagrad 0.1, gradient norm at most 5, 2.5 epochs per run, 1 seed",
        ),
        ({"amount": 12_345_678}, "3, batch 7, adagrad 0.1, 12,345,678 tokens per run, 2 seeds"),
    ],
)
def test_the_line_of_a_comparison(changes: dict[str, Any], expected: str) -> None:
    assert comparison_line(make_comparison(**changes)) == f"{TASK_LINE}, cell vanilla {expected}"


def test_loss_picture_shows_losses_spreads_baselines_and_floors() -> None:
    summaries = [made_up_summary(width, 0.75 - width / 64, spread=width / 128) for width in (1, 4, 9)]
    summaries += [made_up_summary(width, 0.75, state="reset") for width in (1, 4, 9)]
    figure = loss_figure(summaries, TASK, "A title")
    (axes,) = figure.axes
    carried, reset = axes.containers
    assert carried.lines[0].get_xydata().tolist() == [[n, 0.75 - n / 64] for n in (1, 4, 9)]
    assert reset.lines[0].get_xydata().tolist() == [[n, 0.75] for n in (1, 4, 9)]
    bars = [(segment[:, 1].min(), segment[:, 1].max()) for segment in carried.lines[2][0].get_segments()]
    assert bars == [(0.75 - n / 64 - n / 128, 0.75 - n / 64 + n / 128) for n in (1, 4, 9)]
    lines = {line.get_label(): line for line in axes.lines}
    floors = lines["lowest possible, state reset"].get_xydata()
    np.testing.assert_array_equal(floors, [[n, TASK.floor(n)] for n in range(1, 10)])
    notes = {text.get_text() for text in axes.texts}
    assert notes == {f"{name}, {loss:.4f}" for name, loss in TASK.baselines().items()}
    dashed = [line.get_ydata()[0] for line in axes.lines if line.get_linestyle() == "--"]
    assert dashed == list(TASK.baselines().values())
    assert figure.get_suptitle() == "A title"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "4", "9"]
    assert axes.get_ylabel() == "held-out loss (nats per step)"


@pytest.mark.parametrize(("above", "is_joined"), [(0.0, False), (1e-9, False), (0.01, True)])
def test_losses_are_not_joined_by_a_line_below_the_lowest_possible(above: float, is_joined: bool) -> None:
    """At the lag 5 the floor has a corner, so that it lies above a straight line from 4 to 7."""
    reset = [made_up_summary(n, TASK.floor(n) + above, state="reset") for n in (4, 7)]
    carried = [made_up_summary(n, TASK.optimum()) for n in (4, 7)]
    (axes,) = loss_figure([*carried, *reset], TASK, "A title").axes
    lines = [container.lines[0].get_linestyle() for container in axes.containers]
    assert lines == ["-", "-" if is_joined else "None"]


def test_curve_picture_shows_the_mean_of_each_width_against_the_part_of_the_training() -> None:
    """Where a width stopped early, its curve ends there, at a cross."""
    half = made_up_summary(9, 0.5, fraction=0.5)
    figure = curve_figure([made_up_summary(1, [0.25, 0.75], 1 / 16), half], TASK, "A title", (9, "carry"))
    (axes,) = figure.axes
    one, end, nine, cross = axes.lines
    fractions = [1 / 32, 1 / 16, 1 / 8, 1 / 4, 1 / 2, 3 / 4, 1]
    assert one.get_xdata().tolist() == fractions
    assert one.get_ydata()[-4:].tolist() == [0.6875, 0.5625, 0.53125, 0.5]
    assert end.get_xydata().tolist() == [[1, 0.5]]
    assert nine.get_xdata().tolist() == [fraction / 2 for fraction in fractions]
    assert (end.get_marker(), cross.get_marker(), nine.get_color()) == ("o", "x", "black")
    assert sorted(text.get_text() for text in axes.texts) == ["width 1", "width 9"]
    assert (axes.get_title(), axes.get_xscale()) == ("state carried", "log")
    assert axes.get_ylabel() == "held-out loss (nats per step)"


def test_curve_picture_has_a_panel_for_each_state() -> None:
    summaries = [made_up_summary(4, 0.5, state="reset"), made_up_summary(4, 0.5), made_up_summary(9, [])]
    panels = curve_figure(summaries, TASK, "A title", (4, "reset")).axes
    assert [axes.get_title() for axes in panels] == ["state carried", "state reset at each block"]
    assert [len(axes.lines) for axes in panels] == [2, 2]
    assert [axes.lines[0].get_color() == "black" for axes in panels] == [False, True]
    assert curve_figure([made_up_summary(9, [])], TASK, "A title").axes[0].lines[:] == []


def test_loss_picture_of_one_seed_and_a_carried_state() -> None:
    (axes,) = loss_figure([made_up_summary(4, 0.5, runs=1, spread=math.nan)], TASK, "A title").axes
    (carried,) = axes.containers
    (bar,) = carried.lines[2][0].get_segments()
    assert bar.tolist() == [[4, 0.5], [4, 0.5]]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["state carried"]


def test_cost_picture_shows_all_costs() -> None:
    costs = {width: made_up_cost(width) for width in (1, 4, 9)}
    figure = cost_figure(list(costs.values()), "A title")
    shown = {axes.get_ylabel(): [line.get_xydata().tolist() for line in axes.lines] for axes in figure.axes}

    def points(name: str, factor: float = 1.0) -> list[list[float]]:
        return [[width, costs[width][name] * factor] for width in (1, 4, 9)]

    assert shown == {
        "training step (ms)": [points("step_milliseconds")],
        "tokens per second (millions)": [points("tokens_per_second", 1e-6)],
        "start (s)": [points("build_seconds"), points("first_run_seconds")],
        "memory of a training step (MB)": [points("graph_bytes", 1e-6)],
    }
