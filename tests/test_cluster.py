"""A cluster's description, what is wrong with it in one line, and that no process outlives its launcher."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING, Any

import pytest
from command_helpers import assert_light, assert_refused, files

from tf_rnn.checks import OptionError
from tf_rnn.cluster import Cluster, Member, read_cluster
from tf_rnn.cluster.launcher import free_cluster

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

TWO = Cluster(("a:1",), ("b:2", "c:3"))
DEADLINE = 60.0


def write(path: Path, value: Any) -> Path:
    path.write_text(json.dumps(value), encoding="utf-8")
    return path


def until(happens: Callable[[], bool], what: str) -> None:
    """Waits for an event that can be seen."""
    end = time.monotonic() + DEADLINE
    while not happens():
        assert time.monotonic() < end, f"{what} did not happen in {DEADLINE:.0f} s"
        time.sleep(0.05)


def is_there(process: int) -> bool:
    """Whether a process runs; one that has ended and waits to be asked for its status does not."""
    try:
        with open(f"/proc/{process}/stat", encoding="utf-8") as file:  # noqa: PTH123
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


# --- what a cluster is -----------------------------------------------------------------------------


def test_a_specification_is_read_as_tensorflow_writes_it(tmp_path: Path) -> None:
    path = write(tmp_path / "cluster.json", {"worker": ["b:2", "c:3"], "ps": ["a:1"]})
    assert read_cluster(path) == TWO
    assert TWO.to_json() == {"ps": ["a:1"], "worker": ["b:2", "c:3"]}
    assert read_cluster(write(tmp_path / "v6.json", {"ps": ["[::1]:1"], "worker": ["::1:2"]})).ps == (
        "[::1]:1",
    )


BAD = {
    "no ps": ({"ps": [], "worker": ["b:2"]}, "must name at least one ps, got none"),
    "no worker": ({"ps": ["a:1"], "worker": []}, "must name at least one worker, got none"),
    "a key too few": ({"ps": ["a:1"]}, "must have the keys ps and worker, like"),
    "a key too many": ({"ps": ["a:1"], "worker": ["b:2"], "chief": []}, "must have the keys ps and worker"),
    "a list": ([1], "must have the keys ps and worker, like"),
    "no list": ({"ps": "a:1", "worker": ["b:2"]}, "must have a list of addresses for ps, got 'a:1'"),
    "no port": ({"ps": ["a"], "worker": ["b:2"]}, "must have addresses of the form host:port, got 'a'"),
    "no host": ({"ps": [":1"], "worker": ["b:2"]}, "must have addresses of the form host:port, got ':1'"),
    "port 0": ({"ps": ["a:0"], "worker": ["b:2"]}, "must have addresses of the form host:port, got 'a:0'"),
    "port 65536": ({"ps": ["a:65536"], "worker": ["b:2"]}, "must have addresses of the form host:port"),
    "a URL": ({"ps": ["grpc://a:1"], "worker": ["b:2"]}, "must have addresses of the form host:port"),
    "a number": ({"ps": [1], "worker": ["b:2"]}, "must have addresses of the form host:port, got 1"),
    "twice": ({"ps": ["a:1"], "worker": ["a:1"]}, "must name each address once, got 'a:1' twice"),
}


@pytest.mark.parametrize(("value", "problem"), BAD.values(), ids=BAD)
def test_what_is_no_cluster_is_one_line_that_says_why(value: Any, problem: str, tmp_path: Path) -> None:
    with pytest.raises(OptionError) as caught:
        read_cluster(write(tmp_path / "cluster.json", value))
    assert (caught.value.option, caught.value.problem[: len(problem)]) == ("cluster", problem)


@pytest.mark.parametrize("content", [None, b"{", b"\xff"], ids=["absent", "cut off", "no text"])
def test_a_file_that_cannot_be_read_is_one_line(content: bytes | None, tmp_path: Path) -> None:
    path = tmp_path / "cluster.json"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(OptionError, match=r"^cluster must be a (JSON )?file"):
        read_cluster(path)


def test_a_member_is_one_of_the_cluster() -> None:
    assert [Member(TWO, "worker", index).is_chief for index in (0, 1)] == [True, False]
    assert not Member(TWO, "ps", 0).is_chief
    with pytest.raises(OptionError, match=r"^index must be from 0 to 1 for the job worker, got 2$"):
        Member(TWO, "worker", 2)
    with pytest.raises(OptionError, match=r"^job must be one of ps, worker; got 'chief'$"):
        Member(TWO, "chief", 0)


def test_rows_are_shared_out_evenly_or_not_at_all() -> None:
    assert TWO.rows_of_each(6) == 3
    with pytest.raises(
        OptionError, match=r"^batch_size must be a multiple of the number of workers \(2\), got 5$"
    ):
        TWO.rows_of_each(5)


def test_free_ports_are_all_different() -> None:
    cluster = free_cluster(3, 4)
    assert (len(cluster.ps), len(cluster.worker), len({*cluster.ps, *cluster.worker})) == (3, 4, 7)


# --- the command line ------------------------------------------------------------------------------


@pytest.fixture
def file(tmp_path: Path) -> str:
    return str(write(tmp_path / "cluster.json", TWO.to_json()))


WORKER = ["--job", "worker", "--index", "1"]
REFUSED: dict[str, tuple[list[str], str]] = {
    "no cluster": (WORKER, "--cluster must be given, too"),
    "no job": (["--cluster", "FILE", "--index", "0"], "--job must be given, too"),
    "no index": (["--cluster", "FILE", "--job", "ps"], "--index must be given, too"),
    "no such worker": (
        ["--cluster", "FILE", "--job", "worker", "--index", "2"],
        "--index must be from 0 to 1",
    ),
    "no such file": (["--cluster", "nowhere.json", *WORKER], "--cluster must be a file that can be read"),
    "odd rows": (["--cluster", "FILE", *WORKER, "--batch-size", "5"], "--batch-size must be a multiple of"),
    "another style": (["--cluster", "FILE", *WORKER, "--style", "sliding"], "--style must be block"),
    "exchange alone": (["--exchange", "async"], "--exchange must be left out without --cluster"),
    "resume": (["--cluster", "FILE", *WORKER, "--resume", "x"], "--resume must be left out with a cluster"),
}


@pytest.mark.parametrize(("words", "message"), REFUSED.values(), ids=REFUSED)
def test_bad_members_are_one_line_that_names_the_option(
    words: list[str], message: str, file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = files(tmp_path)
    assert_refused(["train", *(file if word == "FILE" else word for word in words)], message, capsys)
    assert files(tmp_path) == before


LAUNCHES: dict[str, tuple[list[str], str]] = {
    "nothing": ([], "the command after -- must be train and its options, got ''"),
    "another command": (
        ["--", "compare"],
        "the command after -- must be train and its options, got 'compare'",
    ),
    "bad words": (["--", "train", "--no-such"], "unrecognized arguments: --no-such"),
    "a bad value": (["--", "train", "--schedule", "step", "--decay", "2"], "argument --decay"),
    "odd rows": (
        ["--workers", "3", "--", "train"],
        "--batch-size must be a multiple of the number of workers",
    ),
    "a member's own": (["--", "train", "--job", "ps"], "--job must be left out"),
    "resume": (["--", "train", "--resume", "x"], "--resume must be left out with a cluster"),
    "no worker": (["--workers", "0", "--", "train"], "argument --workers"),
}


@pytest.mark.parametrize(("words", "message"), LAUNCHES.values(), ids=LAUNCHES)
def test_what_cannot_be_launched_is_one_line_and_starts_nothing(
    words: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert_refused(["launch", *words], message, capsys)


def test_help_and_bad_input_need_no_tensorflow(file: str, tmp_path: Path) -> None:
    of_launch = [["launch", *words] for words, _ in LAUNCHES.values()]
    of_train = [
        ["train", *(file if word == "FILE" else word for word in words)] for words, _ in REFUSED.values()
    ]
    assert_light({0: [["launch", "--help"]], 2: [*of_launch, *of_train]}, tmp_path)


# --- processes -------------------------------------------------------------------------------------

# In place of `python -m tf_rnn`: a package that does what a test wants.
FAKE = """
import os, signal, sys, time
from tf_rnn.cluster.lifeline import follow_launcher
follow_launcher()
words = sys.argv[1:]
job, index = words[words.index("--job") + 1], words[words.index("--index") + 1]
open(f"{job}{index}.{os.getpid()}", "w").close()
exec(open("what.py").read())
time.sleep(120)
"""


@pytest.fixture
def fake(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which what members do is written in what.py."""
    (tmp_path / "fake.py").write_text(FAKE, encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    return tmp_path


LAUNCH = """
import sys
from tf_rnn.cluster import launcher
launcher.MODULE = "fake"
with launcher.Launcher(2, 1, []) as launch:
    sys.exit(launch())
"""


def launched(folder: Path, what: str) -> subprocess.Popen[str]:
    (folder / "what.py").write_text(what, encoding="utf-8")
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCH],
        cwd=folder,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(folder), os.environ["PYTHONPATH"]])},
        start_new_session=True,
    )


def members(folder: Path) -> dict[str, int]:
    """The process of each member, the newest if there were several, by its name."""
    found = sorted(folder.glob("*.*"), key=lambda path: path.stat().st_mtime)
    return {path.stem: int(path.suffix[1:]) for path in found if path.suffix[1:].isdigit()}


def all_three(folder: Path) -> dict[str, int]:
    until(lambda: len(members(folder)) == 3, "the start of three members")
    return members(folder)


def assert_all_gone(folder: Path) -> None:
    numbers = [int(path.suffix[1:]) for path in folder.glob("*.*") if path.suffix[1:].isdigit()]
    until(lambda: not any(map(is_there, numbers)), f"the end of {numbers}")


def finish(process: subprocess.Popen[str]) -> tuple[int, str, str]:
    out, err = process.communicate(timeout=DEADLINE)
    return process.returncode, out, err


@pytest.mark.parametrize("status", [0, 1, 130])
def test_the_status_is_the_chiefs_and_the_others_lines_have_their_names(fake: Path, status: int) -> None:
    process = launched(
        fake,
        f"""
if job == "worker":
    print("out of", index, flush=True)
    print("error of", index, file=sys.stderr, flush=True)
    if index == "0":
        while len([name for name in os.listdir(".") if name[:2] in ("ps", "wo")]) < 3: time.sleep(0.01)
        sys.exit({status})
    {"sys.exit()" if status == 0 else ""}
""",
    )
    found, out, err = finish(process)
    assert (found, out) == (status, "out of 0\n"), err
    assert {"error of 0", "worker 1: out of 1", "worker 1: error of 1"} <= set(err.splitlines()), err
    assert_all_gone(fake)


def test_an_interrupt_is_passed_on_to_the_chief_alone_which_may_take_its_time(fake: Path) -> None:
    process = launched(
        fake,
        """
if (job, index) == ("worker", "0"):
    try:
        time.sleep(120)
    except KeyboardInterrupt:
        time.sleep(0.5)
        others = [name for name in os.listdir(".") if name.startswith(("ps", "worker1"))]
        alive = [os.path.exists(f"/proc/{name.split('.')[1]}") for name in others]
        print("saved", alive, flush=True)
        sys.exit(130)
""",
    )
    all_three(fake)
    process.send_signal(signal.SIGINT)
    assert finish(process)[:2] == (130, "saved [True, True]\n")
    assert_all_gone(fake)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_no_member_outlives_a_launcher_that_is_killed(fake: Path, number: signal.Signals) -> None:
    process = launched(fake, "")
    all_three(fake)
    process.send_signal(number)
    finish(process)
    assert_all_gone(fake)


@pytest.mark.parametrize("name", ["worker0", "worker1", "ps0"])
def test_a_member_that_is_killed_is_started_again(fake: Path, name: str) -> None:
    process = launched(fake, "")
    first = all_three(fake)
    os.kill(first[name], signal.SIGKILL)
    until(lambda: members(fake)[name] != first[name], f"a new start of {name}")
    assert {other: number for other, number in members(fake).items() if other != name} == {
        other: number for other, number in first.items() if other != name
    }
    process.send_signal(signal.SIGTERM)
    _, _, err = finish(process)
    assert f"{name[:-1]} {name[-1]} has ended (killed by SIGKILL); it is started again" in err
    assert_all_gone(fake)


def test_a_member_that_ends_with_an_error_ends_the_run(fake: Path) -> None:
    process = launched(
        fake,
        """
if job == "ps":
    print("no such port", flush=True)
    sys.exit(2)
""",
    )
    status, _, err = finish(process)
    assert status == 2, err
    assert err.splitlines() == ["ps 0: no such port", "ps 0 has ended (exit status 2); so does the run"]
    assert_all_gone(fake)


def test_a_member_that_is_killed_again_and_again_is_given_up(fake: Path) -> None:
    status, _, err = finish(launched(fake, "os.kill(os.getpid(), signal.SIGKILL) if job == 'ps' else None"))
    assert (status, err.count("it is started again")) == (128 + signal.SIGKILL, 3), err
    assert_all_gone(fake)
