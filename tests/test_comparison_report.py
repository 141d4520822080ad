"""Tables, pictures and the page that a comparison leaves behind."""

from __future__ import annotations

import csv
import io
import math
import re
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from comparison_helpers import (
    OPTIONS,
    diverged_run,
    made_up_results,
    made_up_run,
    made_up_summary,
    make_comparison,
)
from matplotlib.image import imread
from rich.console import Console

from tf_rnn.comparison import Results, decide, plots, summarise
from tf_rnn.comparison.report import NO_VERDICT, configuration_line, write_report
from tf_rnn.comparison.sweep import save
from tf_rnn.comparison.tables import as_csv, as_markdown, as_rich, cost_table, learning_table, number
from tf_rnn.setup import Setup, setup_line
from tf_rnn.tasks import Echo, Text

if TYPE_CHECKING:
    from pathlib import Path

    from tf_rnn.comparison import Comparison
    from tf_rnn.tasks import Task

COMPARISON = make_comparison()
TASK = Echo(**OPTIONS["task_options"])
RUNS = [
    made_up_run(width, state, seed, loss=0.75 - width / 64 + seed / 16)
    for width in (1, 4)
    for state in ("carry", "reset")
    for seed in (0, 1)
]
ARGUMENTS = ["compare", "--num-steps", "1", "4", "--out", "my results"]


@pytest.fixture(scope="module")
def text_task(tmp_path_factory: pytest.TempPathFactory) -> Text:
    path = tmp_path_factory.mktemp("data") / "data.txt"
    path.write_text("a cat sat on a mat. " * 9, encoding="utf-8")
    return Text(path)


def report(
    folder: Path, runs: list[dict[str, Any]], comparison: Comparison = COMPARISON, task: Task = TASK
) -> tuple[Results, str]:
    """Writes all files as `compare` does, and returns the page."""
    results = made_up_results(folder, runs, comparison)
    summaries = summarise(results, list(results.runs), task)
    verdict = decide(summaries)
    save(results, task, verdict)
    files = write_report(comparison, results, summaries, verdict, task, ARGUMENTS)
    names = ["report.md", "results.json", "results.csv", "loss.png", "cost.png"]
    assert files == [folder / name for name in names]
    assert {path.name for path in folder.iterdir()} == {"config.json", *names}
    return results, (folder / "report.md").read_text(encoding="utf-8")


def test_learning_table(tmp_path: Path) -> None:
    results = made_up_results(tmp_path, [*RUNS, diverged_run(9), diverged_run(4, seed=2)])
    table = learning_table(summarise(results, list(results.runs), TASK), TASK)
    assert table.header == [
        "width",
        "state",
        "loss ± seeds",
        "bits a\nstep",
        "over\noptimum",
        "over\nfloor",
        "lag 2\nlearnt",
        "reach\n2",
        "lag 5\nlearnt",
        "reach\n5",
        "updates",
    ]
    optimum = [f"{loss - TASK.optimum():+.4f}" for loss in (0.765625, 0.71875)]
    floor = [f"{loss - TASK.floor(n):+.4f}" for loss, n in ((0.765625, 1), (0.71875, 4))]
    spread = f"{0.0625 / math.sqrt(2):.4f}"
    assert table.rows == [
        ["1", "carry", f"0.7656 ± {spread}", "1.105", optimum[0], "–", "0.75", "0%", "0.25", "0%", "214"],
        [
            *("4", "carry", f"0.7188 ± {spread} (1 diverged)", "1.037", optimum[1], "–"),
            *("0.75", "50%", "0.25", "0%", "53"),
        ],
        ["9", "carry", "– (1 diverged)", "–", "–", "–", "–", "78%", "–", "44%", "–"],
        [
            "1",
            "reset",
            f"0.7656 ± {spread}",
            "1.105",
            optimum[0],
            floor[0],
            "0.75",
            "0%",
            "0.25",
            "0%",
            "214",
        ],
        [
            "4",
            "reset",
            f"0.7188 ± {spread}",
            "1.037",
            optimum[1],
            floor[1],
            "0.75",
            "50%",
            "0.25",
            "0%",
            "53",
        ],
    ]


def test_a_text_has_bits_and_no_columns_without_values(text_task: Text) -> None:
    table = learning_table([made_up_summary(4, math.log(2)), made_up_summary(9, 2.0)], text_task)
    assert table.header == ["width", "state", "loss ± seeds", "bits a\ncharacter", "updates"]
    assert table.rows[0] == ["4", "carry", "0.6931 ± 0.0000", "1.000", "100"]


def test_cost_table_has_a_row_a_width() -> None:
    summaries = [made_up_summary(4, 0.5), made_up_summary(16, 0.5), made_up_summary(4, 0.5, state="reset")]
    table = cost_table(summaries)
    assert table.header == [
        "width",
        "step (ms)",
        "tokens/s",
        "build (s)",
        "first\nrun (s)",
        "memory",
        "operations",
        "parameters",
    ]
    assert table.rows == [
        ["4", "0.500", "56,000", "0.031", "0.008", "2 MB", "226", "26"],
        ["16", "1.250", "89,600", "0.031", "0.008", "8 MB", "334", "26"],
    ]


def test_markdown() -> None:
    lines = as_markdown(cost_table([made_up_summary(4, 0.5)])).splitlines()
    assert lines == [
        "| width | step (ms) | tokens/s | build (s) | first run (s) | memory | operations | parameters |",
        "| ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
        "| 4 | 0.500 | 56,000 | 0.031 | 0.008 | 2 MB | 226 | 26 |",
    ]


def test_terminal() -> None:
    shown = io.StringIO()
    table = cost_table([made_up_summary(4, 0.5), made_up_summary(16, 0.5)])
    Console(file=shown, width=120).print(as_rich(table))
    lines = [line.split() for line in shown.getvalue().splitlines()]
    assert lines[0] == ["What", "each", "width", "costs"]
    assert ["4", "0.500", "56,000", "0.031", "0.008", "2", "MB", "226", "26"] in lines


@pytest.mark.parametrize(
    ("value", "expected"), [(0.12345, "0.123"), (None, "–"), (math.nan, "–"), (math.inf, "–"), (0, "0.000")]
)
def test_number(value: float | None, expected: str) -> None:
    assert number(value, ".3f") == expected


def test_csv_reads_back() -> None:
    runs = [made_up_run(4, seed=1, share_of_errors={"2": 0.5, "5": 0.0}), diverged_run(1)]
    rows = list(csv.DictReader(io.StringIO(as_csv(runs, TASK.lags))))
    assert len(rows) == 2
    finished, diverged = rows
    for name in ("num_steps", "state", "seed", "loss", "standard_error", "updates", "tokens", "seconds"):
        assert type(runs[0][name])(finished[name]) == runs[0][name], name
    assert (float(finished["dependency_score_2"]), float(finished["share_of_errors_5"])) == (0.75, 0.0)
    assert diverged["loss"] == diverged["dependency_score_2"] == ""
    assert diverged["error"] == runs[1]["error"]
    assert diverged["num_steps"] == "1"


def test_csv_numbers_are_in_full() -> None:
    (row,) = csv.DictReader(io.StringIO(as_csv([made_up_run(4, loss=1 / 3)], ())))
    assert float(row["loss"]) == 1 / 3
    assert not any("dependency" in name for name in row)


def read_png(path: Path) -> np.ndarray:
    assert path.read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
    pixels = np.asarray(imread(path))
    assert len(np.unique(pixels.reshape(-1, pixels.shape[-1]), axis=0)) > 10, "an empty picture"
    return pixels


def test_report_has_everything(tmp_path: Path) -> None:
    results, page = report(tmp_path, RUNS)
    summaries = summarise(results, list(results.runs), TASK)
    verdict = decide(summaries)
    assert verdict is not None
    parts = [
        "# How wide should the graph be?",
        verdict.sentence,
        configuration_line(COMPARISON),
        "```\npython -m tf_rnn compare --num-steps 1 4 --out 'my results'\n```",
        as_markdown(learning_table(summaries, TASK)),
        *(f"- {name}: {loss:.4f} nats" for name, loss in TASK.baselines().items()),
        "![Held-out loss against width](loss.png)",
        as_markdown(cost_table(summaries)),
        "![Cost against width](cost.png)",
        "## How to read this",
    ]
    places = [page.find(part) for part in parts]
    assert -1 not in places, f"not there: {parts[places.index(-1)]}"
    assert places == sorted(places)
    for name in ("loss.png", "cost.png"):
        height, width = read_png(tmp_path / name).shape[:2]
        assert min(height, width) > 500, f"{name}: {width} x {height}"
    rows = list(csv.DictReader(io.StringIO((tmp_path / "results.csv").read_text(encoding="utf-8"))))
    found = [(row["num_steps"], row["state"], row["seed"], float(row["loss"])) for row in rows]
    assert found == [(str(run["num_steps"]), run["state"], str(run["seed"]), run["loss"]) for run in RUNS]
    assert all(float(row["step_milliseconds"]) > 0 for row in rows)


def test_every_picture_and_file_that_the_report_names_is_there(tmp_path: Path) -> None:
    _, page = report(tmp_path, RUNS)
    linked = re.findall(r"\]\(([^)]+)\)", page)
    assert linked
    assert [name for name in linked if not (tmp_path / name).is_file()] == []


def test_report_where_every_run_diverged(tmp_path: Path) -> None:
    _, page = report(tmp_path, [diverged_run(1), diverged_run(4, "reset")])
    assert NO_VERDICT in page
    assert "| – (1 diverged) |" in page
    read_png(tmp_path / "loss.png")


def test_report_of_a_text(tmp_path: Path, text_task: Text) -> None:
    options = {"task": "text", "task_options": text_task.options(), "state": ("carry",)}
    runs = [made_up_run(width, loss=2.5, dependency_scores={}) for width in (4, 9)]
    _, page = report(tmp_path / "a", runs, make_comparison(**options), text_task)
    assert "bits a character" in page
    assert f"- uniform: {math.log(text_task.num_classes):.4f} nats" in page
    _, page = report(tmp_path / "b", [diverged_run(4)], make_comparison(**options), text_task)
    assert NO_VERDICT in page


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, "{task}, cell vanilla 3, batch 7, adagrad 0.1, 1,500 tokens a run, 2 seeds"),
        (
            {"cell": "lstm", "num_layers": 2, "clip_norm": 5.0, "seeds": 1},
            (
                "{task}, cell lstm 2 x 3, batch 7, adagrad 0.1, gradient norm at most 5, "
                "1,500 tokens a run, 1 seed"
            ),
        ),
        (
            {"budget": "epochs", "amount": 2.5},
            "{task}, cell vanilla 3, batch 7, adagrad 0.1, 2.5 epochs a run, 2 seeds",
        ),
        (
            {"amount": 12_345_678},
            "{task}, cell vanilla 3, batch 7, adagrad 0.1, 12,345,678 tokens a run, 2 seeds",
        ),
    ],
)
def test_configuration_line(changes: dict[str, Any], expected: str) -> None:
    assert configuration_line(make_comparison(**changes)) == expected.format(
        task="Task echo (lags 2 5, effects 0.3 -0.15, length 600, valid length 90)"
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The figures that were to be saved."""
    figures: list[Any] = []
    monkeypatch.setattr(plots, "write_figure", lambda _, figure: figures.append(figure))
    return figures


def test_loss_picture_shows_losses_spreads_baselines_and_floors(tmp_path: Path, drawn: list[Any]) -> None:
    summaries = [made_up_summary(width, 0.75 - width / 64, spread=width / 128) for width in (1, 4, 9)]
    summaries += [made_up_summary(width, 0.75, state="reset") for width in (1, 4, 9)]
    plots.plot_loss(tmp_path / "a.png", summaries, TASK, "A title")
    (axes,) = drawn[0].axes
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
    assert axes.get_title(loc="left") == "A title"
    assert [tick.get_text() for tick in axes.get_xticklabels()] == ["1", "4", "9"]
    assert axes.get_ylabel() == "held-out loss (nats a step)"


def test_loss_picture_of_one_seed_and_a_carried_state(tmp_path: Path, drawn: list[Any]) -> None:
    plots.plot_loss(tmp_path / "a.png", [made_up_summary(4, 0.5, runs=1, spread=math.nan)], TASK, "A title")
    (axes,) = drawn[0].axes
    (carried,) = axes.containers
    (bar,) = carried.lines[2][0].get_segments()
    assert bar.tolist() == [[4, 0.5], [4, 0.5]]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["state carried"]


def test_cost_picture_shows_all_costs(tmp_path: Path, drawn: list[Any]) -> None:
    summaries = [made_up_summary(width, 0.5) for width in (9, 1, 4)]
    plots.plot_cost(tmp_path / "a.png", summaries, "A title")
    shown = {axes.get_ylabel(): [line.get_xydata().tolist() for line in axes.lines] for axes in drawn[0].axes}
    costs = {summary.num_steps: summary.cost for summary in summaries}

    def points(name: str, factor: float = 1.0) -> list[list[float]]:
        return [[width, costs[width][name] * factor] for width in (1, 4, 9)]

    assert shown == {
        "a training step (ms)": [points("step_milliseconds")],
        "tokens a second (millions)": [points("tokens_per_second", 1e-6)],
        "start (s)": [points("build_seconds"), points("first_run_seconds")],
        "memory of a step (MB)": [points("graph_bytes", 1e-6)],
    }


def test_the_line_names_the_options_of_the_cell() -> None:
    setup = Setup(task="copy", cell="lstm", cell_options={"recurrent_gain": 1.5, "forget_bias": 4.0})
    line = setup_line(setup, "7 tokens")
    assert line.startswith("Task copy, cell lstm 64, forget bias 4.0, recurrent gain 1.5, batch 20, "), line
