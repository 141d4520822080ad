"""`python -m tf_rnn recommend`, typed as a person types it."""

from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import Said, files, run_main, said, succeeds, workers_here

from tf_rnn.comparison import RunKey, worker
from tf_rnn.comparison.race import STAGES
from tf_rnn.comparison.sentences import NO_VERDICT

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tf_rnn.comparison import Parcel

# A task that so little training is enough for, so that there is an answer.
TINY = ["--num-steps", "2", "4", "--seeds", "2", "--amount", "20000", "--state-size", "3"]
TINY += ["--lags", "1", "--effects", "0.5", "--learning-rate", "0.3", "--batch-size", "20", "--workers", "1"]
KEYS = {"task", "cell", "num_steps", "reason", "relative_bias", "block_bias", "step_milliseconds", "answer"}
KEYS |= {"widths", "race", "share_of_comparison", "verification", "config"}
TO_THE_END = "in the race to its end"


def recommend(folder: Path, *words: str) -> Said:
    return said("recommend", folder, *words)


def load(folder: Path, name: str = "recommendation") -> dict[str, Any]:
    value = json.loads((folder / f"{name}.json").read_text(encoding="utf-8"))
    assert isinstance(value, dict)
    return value


def key_of(run: dict[str, Any]) -> RunKey:
    return RunKey(*(run[name] for name in RunKey._fields))


def losses_of(folder: Path) -> dict[RunKey, list[float]]:
    """The learning curves of all runs, finished or not."""
    results = load(folder, "results")
    return {
        key_of(run): [point["valid_loss"] for point in run["curve"]]
        for run in (*results["runs"], *results["parts"])
    }


def trained(errors: list[str]) -> list[str]:
    """The lines about runs that were trained."""
    return [line for line in errors if ", seed " in line]


@pytest.fixture(scope="module", autouse=True)
def _workers() -> Iterator[None]:
    with workers_here():
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("recommend") / "out"


@pytest.fixture(scope="module")
def done(place: Path) -> Said:
    """One tiny race, which most tests look at."""
    return recommend(place, *TINY)


@pytest.fixture(scope="module")
def found(place: Path, done: Said) -> dict[str, Any]:
    return load(place)


@pytest.fixture
def copy(tmp_path: Path, place: Path, done: Said) -> Path:
    """The finished race once more, to resume."""
    return shutil.copytree(place, tmp_path / "out")


def test_event_files_are_written_of_all_runs_also_of_those_that_were_dropped(copy: Path) -> None:
    shown, _ = recommend(copy, *TINY, "--tensorboard")
    assert f"  {copy / 'summaries'}\n" in f"{shown}\n"
    sessions = {path.name for path in (copy / "summaries").iterdir() if path.is_dir()}
    assert sessions == {key.title for key in losses_of(copy)}


def test_the_answer_and_where_each_width_stood(found: dict[str, Any]) -> None:
    assert set(found) == KEYS
    assert (found["task"], found["cell"], found["config"]["amount"]) == ("echo", "vanilla", 20000)
    race = {row["num_steps"]: row for row in found["race"]}
    assert list(race)[:2] == [2, 4]
    assert {width % 4 for width in list(race)[2:]} <= {0}, "those that join are doubles of the widest"
    for row in race.values():
        assert row["trained"] in STAGES
        assert row["seeds"] == (1 if row["trained"] == STAGES[0] else 2)
        assert row["at_best"] <= row["loss"]
        assert row["fate"] == TO_THE_END or row["fate"].startswith("dropped: "), row["fate"]
    last = max(row["trained"] for row in race.values())
    in_the_end = [row for row in race.values() if row["fate"] == TO_THE_END]
    assert in_the_end
    assert {row["trained"] for row in in_the_end} == {last}
    assert 0 < found["share_of_comparison"] <= 1
    assert found["verification"] is None
    assert len(found["relative_bias"]) == len(found["block_bias"])
    answer = found["answer"]
    assert (answer["num_steps"], answer["sentence"]) == (found["num_steps"], found["reason"])
    if found["num_steps"] is None:
        assert found["reason"].startswith("Cannot tell ")
    else:
        assert found["num_steps"] in [row["num_steps"] for row in in_the_end]
        assert found["reason"].startswith(f"Use num_steps {found['num_steps']} with the state carried: ")


def test_it_prints_the_race_the_answer_and_what_it_took(
    place: Path, done: Said, found: dict[str, Any]
) -> None:
    shown, page = " ".join(done.shown.split()), (place / "report.md").read_text(encoding="utf-8")
    price = f"The race took {found['share_of_comparison']:.0%} of the training of a comparison of all "
    for text in ("The race", found["reason"], price):
        assert text in shown
        assert text in page
    line = "Steps needed by the loss: {}, by the gradient: {}, by the state: {}; it stays good: {}."
    assert line.format(*(row["shown"] for row in found["widths"])) in shown
    assert "## Four widths" in page
    for row in found["widths"]:
        assert f"| {row['name']} | {row['shown']} | {row['meaning']} |" in page
    assert f"python -m tf_rnn recommend {' '.join(TINY)} --out" in page
    assert "Verified" not in shown + page
    for row in found["race"]:
        assert f"| {row['num_steps']} | {row['trained']:.0%} | {row['seeds']} | {row['loss']:.4f} |" in page


def test_it_says_every_stage_and_every_run(done: Said, found: dict[str, Any]) -> None:
    lines = done.errors
    assert lines[0] == "measuring the cost of 2 widths, one at a time"
    assert lines[1].startswith("a race of 4 runs, at most "), lines[1]
    first = [line for line in trained(lines) if line.endswith("after 12.5% of the budget")]
    assert all(", carry, rate 0.3, seed 0: loss " in line for line in first)
    assert [line.split(",")[0] for line in first[:2]] == ["[1/2] width 2", "[2/2] width 4"]
    stages = [fraction for fraction in STAGES if f"after {fraction:.1%} of 20,000 tokens:" in lines]
    assert stages == list(STAGES[: len(stages)])
    assert stages[-1] == max(row["trained"] for row in found["race"])


def test_states_of_unfinished_runs_are_deleted(place: Path, found: dict[str, Any]) -> None:
    assert found["race"]
    assert not (place / "unfinished").exists()


@pytest.mark.usefixtures("done")
def test_an_interrupted_race_goes_on(
    tmp_path: Path, place: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """No part of a run is trained twice, and every loss is that of a race without an interrupt.

    It is interrupted a second time, where all its widths have been trained on.
    """
    train_part, begun, most = worker.train_part, list[tuple[RunKey, float, bool]](), 0

    def interrupted(parcel: Parcel, key: RunKey, amount: Any, channel: Any, until: float, state: Any) -> Any:
        if len(begun) == most:
            raise KeyboardInterrupt
        begun.append((key, until, state is None))
        return train_part(parcel, key, amount, channel, until, state)

    folder = tmp_path / "out"
    monkeypatch.setattr(worker, "train_part", interrupted)
    for most in (3, 7):  # noqa: B007
        status, _, errors = run_main(["recommend", *TINY, "--out", str(folder)], capsys)
        assert (status, errors.splitlines()[-1]) == (
            130,
            "tf_rnn recommend: interrupted; finished runs are kept; the same command continues from there",
        )
        reached = {key: until for key, until, _ in begun}
        assert {key_of(part): part["fraction"] for part in load(folder, "results")["parts"]} == reached
        assert len([name for name in files(folder) if name.startswith("unfinished/")]) == len(reached)
        assert "recommendation.json" not in files(folder)
    assert len(begun) == len(set(begun)) == 7
    assert len({key for key, _, is_new in begun if is_new}) == sum(is_new for *_, is_new in begun) < 7
    curves, expected = (losses_of(path) for path in (folder, place))
    assert {*curves} <= {*expected}
    for key, curve in curves.items():
        assert curve == expected[key][: len(curve)], key.title


@pytest.mark.slow
def test_verify_trains_all_widths_in_the_same_folder(
    copy: Path, place: Path, found: dict[str, Any], capsys: pytest.CaptureFixture[str]
) -> None:
    """Runs of the race and whole ones have the same losses, and `compare` does not repeat them."""
    shown, lines = succeeds(["recommend", *TINY, "--verify", "--out", str(copy)], capsys)
    verified, widths = load(copy), [row["num_steps"] for row in found["race"]]
    verifying = lines.index("verifying: every length is trained for the whole budget")
    assert trained(lines[:verifying]) == [], "the race was run again"
    assert verified["verification"].startswith("Verified: ")
    assert verified["verification"] in " ".join(shown.split())
    assert verified["verification"] in (copy / "report.md").read_text(encoding="utf-8")
    assert (verified["num_steps"], verified["reason"]) == (found["num_steps"], found["reason"])
    results = load(copy, "results")
    assert [(run["num_steps"], run["seed"]) for run in results["runs"]] == [
        (width, seed) for width in widths for seed in (0, 1)
    ]
    assert results["parts"] == []
    whole = losses_of(copy)
    for key, curve in losses_of(place).items():
        assert curve == whole[key][: len(curve)], key.title

    words = ["--num-steps", *map(str, widths), "--state", "carry", *TINY[3:], "--out", str(copy)]
    _, lines = succeeds(["compare", *words], capsys)
    assert trained(lines) == []
    assert load(copy, "results")["verdict"] == results["verdict"]


def test_where_there_is_nothing_to_learn_no_width_is_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """All held-out characters are equal."""
    path = tmp_path / "a.txt"
    path.write_text("ab" * 100 + "a" * 200, encoding="utf-8")
    words = ["--task", "text", "--data", str(path), "--valid-fraction", "0.25"]
    words += ["--num-steps", "2", "--seeds", "1", "--amount", "200", "--cell", "vanilla"]
    words += ["--state-size", "3", "--batch-size", "10", "--out", str(tmp_path / "out")]
    shown, _ = succeeds(["recommend", *words], capsys)
    found = load(tmp_path / "out")
    assert found["num_steps"] is None
    assert [row["num_steps"] for row in found["race"]] == [2], "a wider one joined without a reason"
    assert found["reason"] == (
        "Cannot tell which width to use: a constant prediction has no held-out loss, since all held-out "
        "targets are equal, or there is only one."
    )
    assert found["reason"] in " ".join(shown.split())
    assert found["reason"] in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")


def test_where_all_runs_diverge_the_race_is_over_and_that_is_the_answer(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = [*TINY, "--optimizer", "sgd", "--learning-rate", "3e38", "--out", str(tmp_path / "out")]
    shown, lines = succeeds(["recommend", *words], capsys)
    assert NO_VERDICT in " ".join(shown.split())
    assert len(trained(lines)) == 2, "it went on"
    found = load(tmp_path / "out")
    assert (found["num_steps"], found["answer"], found["reason"]) == (None, None, NO_VERDICT)
    assert (found["relative_bias"], found["step_milliseconds"]) == ([], None)
    assert [row["fate"] for row in found["race"]] == ["dropped: 1 diverged"] * 2
    assert {row["loss"] for row in found["race"]} == {None}
    assert "nan" not in shown
    assert "nan" not in (tmp_path / "out" / "report.md").read_text(encoding="utf-8")
