"""The README says what works: its two commands, its example, and where things are."""

from __future__ import annotations

import json
import math
import re
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
README = (ROOT / "README.md").read_text(encoding="utf-8")
BORDER = "====="
SET_UP = "python3 -m venv .venv && .venv/bin/pip install -r requirements.txt && .venv/bin/python"


def test_two_lines_set_up_and_run() -> None:
    lines = [line.strip() for line in README.splitlines() if line.strip().startswith("python3 -m venv .venv")]
    assert lines == [f"{SET_UP} -m tf_rnn compare", f"{SET_UP} -m pytest"]


def test_continuous_integration_finds_the_test_command() -> None:
    """`.ci/run` takes the line from here, so that what it runs is what a reader types."""
    script = (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert "grep -m 1 -- '-m pytest$' README.md" in script
    (found,) = [line for line in README.splitlines() if line.endswith("-m pytest")]
    assert found.strip() == f"{SET_UP} -m pytest"


def examples() -> tuple[str, str]:
    """The script that trains on a text, and the loop of the notes."""
    loop, script = re.findall(r"^```python\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
    return script, loop


class Shown(NamedTuple):
    """What the two examples left behind: their output, and the folder that they were run in."""

    loop: str
    errors_of_loop: str
    script: str
    folder: Path


@pytest.fixture(scope="module")
def shown(tmp_path_factory: pytest.TempPathFactory) -> Shown:
    """The examples, one after the other in one process of their own, which takes seconds to start."""
    folder = tmp_path_factory.mktemp("readme")
    lines = [f"The {number} cats saw {number % 7} dogs and sat down.\n" for number in range(400)]
    (folder / "my.txt").write_text("".join(lines), encoding="utf-8")
    script, loop = examples()
    border = (
        f"import sys; [print({BORDER!r}, file=stream, flush=True) for stream in (sys.stdout, sys.stderr)]"
    )
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([loop, border, script])],
        capture_output=True,
        text=True,
        check=False,
        cwd=folder,
    )
    assert done.returncode == 0, done.stderr
    shown, _, more = done.stdout.partition(f"{BORDER}\n")
    return Shown(shown, done.stderr.partition(f"{BORDER}\n")[0], more, folder)


def test_the_script_trains_stops_resumes_and_writes(shown: Shown) -> None:
    metrics = (shown.folder / "runs/my-text/metrics.jsonl").read_text(encoding="utf-8").splitlines()
    assert [json.loads(line)["epoch"] for line in metrics] == [1, 2]
    loss, _, text = shown.script.partition(" nats a character\n")
    assert 0 < float(loss) < math.log(25), f"{loss}; with 25 characters and nothing learnt {math.log(25):.3f}"
    assert text.startswith("The "), text
    assert len(text) == len("The ") + 200 + len("\n"), text


def test_the_loop_runs_as_it_is(shown: Shown) -> None:
    assert shown.errors_of_loop == ""
    numbers = [float(number) for number in re.findall(r"\d\.\d+", shown.loop)]
    loss, nothing_learnt = numbers
    assert 0.44 < loss < nothing_learnt, shown.loop


def layout() -> list[tuple[str, str]]:
    table = README.split("| folder |")[1].split("\n\n")[0]
    return re.findall(r"^\| `([^`]+)` \| (.+) \|$", table, flags=re.MULTILINE)


def test_every_folder_of_the_layout_is_there() -> None:
    paths = [path for path, _ in layout()]
    assert [path for path in paths if not (ROOT / path).is_dir()] == []


def test_the_layout_leaves_no_folder_out() -> None:
    folders = {f"tf_rnn/{path.parent.name}" for path in (ROOT / "tf_rnn").glob("*/__init__.py")}
    assert folders - {path for path, _ in layout()} == set()


def test_every_file_that_is_linked_is_there() -> None:
    links = [link for link in re.findall(r"\]\(([^)#]+)", README) if not link.startswith("http")]
    assert [link for link in links if not (ROOT / link).exists()] == []
