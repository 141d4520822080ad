"""The README files: commands and examples work, folders and links exist."""

from __future__ import annotations

import contextlib
import io
import json
import math
import re
from pathlib import Path
from typing import NamedTuple

import pytest

import benchmarks

ROOT = Path(benchmarks.__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
SET_UP = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python"


def test_two_commands_set_up_and_run() -> None:
    """`.ci/run` extracts the second from the README, so it runs what a reader types."""
    lines = [line.strip() for line in README.splitlines() if line.strip().startswith("python3 -m venv .venv")]
    assert lines == [f"{SET_UP} -m tf_rnn compare", f"{SET_UP} -m pytest"]
    assert "grep -m 1 -- '-m pytest$' README.md" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert [line.strip() for line in README.splitlines() if line.endswith("-m pytest")] == [lines[1]]


def examples() -> tuple[str, str]:
    """The script that trains on a text, and the session loop."""
    loop, script = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return script, loop


class Shown(NamedTuple):
    """Output of the two examples, and the folder in which they ran."""

    loop: str
    errors_of_loop: str
    script: str
    folder: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    folder = tmp_path_factory.mktemp("readme")
    lines = [f"The {number} cats saw {number % 7} dogs and sat down.\n" for number in range(150)]
    (folder / "my.txt").write_text("".join(lines), encoding="utf-8")
    script, loop = examples()
    narrower = script.replace("num_steps=50", "num_steps=10")
    assert narrower != script
    outputs = []
    for code in (loop, narrower):
        with (
            contextlib.chdir(folder),
            contextlib.redirect_stdout(io.StringIO()) as output,
            contextlib.redirect_stderr(io.StringIO()) as errors,
        ):
            exec(compile(code, "README.md", "exec"), {"__name__": "__main__"})
        outputs.append((output.getvalue(), errors.getvalue()))
    return Shown(*outputs[0], outputs[1][0], folder)


def test_the_script_trains_resumes_and_samples(shown: Shown) -> None:
    metrics = (shown.folder / "runs/my-text/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in metrics] == [1, 2]
    loss, _, text = shown.script.partition(" nats a character\n")
    assert 0 < float(loss) < math.log(25), (
        f"{loss}; an untrained model of 25 characters has {math.log(25):.3f}"
    )
    assert text.startswith("The "), text
    assert len(text) == len("The ") + 200 + len("\n"), text


def test_the_loop_runs_unchanged(shown: Shown) -> None:
    assert shown.errors_of_loop == ""
    numbers = [float(number) for number in re.findall(r"\d\.\d+", shown.loop)]
    loss, baseline = numbers
    assert 0.44 < loss < baseline, shown.loop


def test_the_layout_is_complete_and_exists() -> None:
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    table = text.split("| folder |")[1].split("\n\n")[0]
    paths = set(re.findall(r"^\| `([^`]+)` \| .+ \|$", table, flags=re.MULTILINE))
    assert [path for path in paths if not (ROOT / path).is_dir()] == []
    assert {f"tf_rnn/{path.parent.name}" for path in (ROOT / "tf_rnn").glob("*/__init__.py")} <= paths


@pytest.mark.parametrize("folder", ["", "benchmarks", "docs", "notebooks", "tests"])
def test_every_linked_file_exists(folder: str) -> None:
    text = (ROOT / folder / "README.md").read_text(encoding="utf-8")
    links = [link for link in re.findall(r"\]\(([^)#]+)", text) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / folder / link).exists()] == []


def test_every_test_file_that_is_named_exists() -> None:
    named = set(re.findall(r"`(test_\w+\.py)`", (ROOT / "tests" / "README.md").read_text(encoding="utf-8")))
    assert named <= {path.name for path in (ROOT / "tests").rglob("test_*.py")}
    assert len(named) >= 15
