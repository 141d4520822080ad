"""Texts fetched by name: from the cache, from the network, and what is said where that fails."""

from __future__ import annotations

import functools
import hashlib
import http.server
import io
import os
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tf_rnn._tensorflow import tf
from tf_rnn.options import OptionError
from tf_rnn.tasks import Text, Words, downloads
from tf_rnn.tasks.downloads import DOWNLOADS, Download, fetch

if TYPE_CHECKING:
    from collections.abc import Iterator

TEXTS = {"train": "a b c\na b\n" * 9, "valid": "c b a\n", "test": "a d\n"}
HELP = "; you can give the path of a file or directory instead"


def sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache of Keras, in place of the user's; the folder in it that downloads go to."""
    folder = tmp_path / "cache"
    folder.mkdir()
    monkeypatch.setattr(
        tf.keras.utils, "get_file", functools.partial(tf.keras.utils.get_file, cache_dir=str(folder))
    )
    return folder / downloads.CACHE_FOLDER


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder from which the registry's texts come."""
    folder = tmp_path / "site"
    folder.mkdir()
    files = []
    for split, text in TEXTS.items():
        path = folder / f"ptb.{split}.txt"
        path.write_text(text, encoding="utf-8", newline="")
        files.append(Download(path.as_uri(), sha256(text)))
    monkeypatch.setitem(DOWNLOADS, "ptb", tuple(files))
    monkeypatch.setitem(DOWNLOADS, "shakespeare", tuple(files[:1]))
    return folder


def problem(name: str = "shakespeare") -> str:
    """What is said where a name cannot be fetched, without what is always the same."""
    with pytest.raises(OptionError) as raised:
        fetch(name)
    assert raised.value.option == "data"
    before, found = raised.value.problem.split(" (")
    assert before.startswith(f"could not be downloaded for {name!r} from ")
    assert "\n" not in found
    return found.removesuffix(f"){HELP}")


def test_the_registry() -> None:
    assert {name: len(files) for name, files in DOWNLOADS.items()} == {"shakespeare": 1, "ptb": 3}
    for files in DOWNLOADS.values():
        for url, digest in files:
            assert url.startswith("https://")
            assert (len(digest), set(digest) <= set("0123456789abcdef")) == (64, True)
    assert [url.split(".")[-2] for url, _ in DOWNLOADS["ptb"]] == ["train", "valid", "test"]


def test_files_come_in_order_and_then_from_the_cache(
    site: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    paths = fetch("ptb")
    assert [path.read_text(encoding="utf-8") for path in paths] == list(TEXTS.values())
    assert {path.parent for path in paths} == {cache}
    for path in site.iterdir():
        path.unlink()
    assert fetch("ptb") == paths
    assert capfd.readouterr() == ("", "")


def test_what_is_spoilt_is_fetched_again_or_refused(
    site: Path, cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    """In the cache, as if fetched in part; and as it comes."""
    (path,), source = fetch("shakespeare"), site / "ptb.train.txt"
    path.write_text(TEXTS["train"][:7], encoding="utf-8")
    assert fetch("shakespeare") == (path,)
    assert path.read_text(encoding="utf-8") == TEXTS["train"]
    assert capfd.readouterr() == ("", "")
    path.write_text(TEXTS["train"][:7], encoding="utf-8")
    source.unlink()
    for _ in range(2):
        assert problem() == "No such file or directory"
    source.write_text("something else", encoding="utf-8")
    for _ in range(2):
        assert problem() == f"the downloaded file does not have the SHA-256 {sha256(TEXTS['train'])}"
    source.write_text(TEXTS["train"], encoding="utf-8", newline="")
    assert [found.read_text(encoding="utf-8") for found in fetch("shakespeare")] == [TEXTS["train"]]


def test_a_cache_that_cannot_be_written(site: Path, cache: Path) -> None:
    cache.write_text("a file where the folder should be", encoding="utf-8")
    assert problem() == "File exists"


class Server(http.server.BaseHTTPRequestHandler):
    """Answers by the path that is asked for."""

    def do_GET(self) -> None:
        if self.path == "/gone.txt":
            self.send_error(404)
        elif self.path == "/short.txt":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"a b")
        elif self.path == "/silent.txt":
            time.sleep(20)
        else:
            self.wfile.write(b"not HTTP\r\n")

    def log_message(self, *arguments: Any) -> None:
        pass


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("gone.txt", "404 Not Found"),
        ("short.txt", "retrieval incomplete: got only 3 out of 1000 bytes"),
        ("silent.txt", "timed out"),
        ("strange.txt", "not HTTP"),
    ],
)
def test_a_network_fails(
    name: str, reason: str, address: str, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(DOWNLOADS, "shakespeare", (Download(f"{address}/{name}", sha256("a b")),))
    monkeypatch.setattr(downloads, "TIMEOUT", 0.2 if name == "silent.txt" else 19.0)
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    started = time.monotonic()
    assert problem() == reason
    assert time.monotonic() - started < 19, "the silent one was waited for"
    assert list(cache.iterdir()) == []
    assert socket.getdefaulttimeout() is None


def test_a_terminal_is_shown_what_is_going_on(
    site: Path, cache: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    fetch("shakespeare")
    assert terminal.getvalue().startswith(f"Downloading data from {DOWNLOADS['shakespeare'][0].url}\n")
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("kind", [Text, Words])
def test_tasks_read_what_was_fetched(site: Path, cache: Path, kind: type[Text | Words]) -> None:
    three, one = kind("ptb"), kind("shakespeare", 0.1, 0.2)
    assert three.sha256 == sha256("".join(TEXTS.values()))
    assert one.sha256 == sha256(TEXTS["train"])
    for task in (three, one):
        again = kind(**task.options())
        assert (again.sha256, again.summary()) == (task.sha256, task.summary())
    assert (three.options()["data"], one.options()["data"]) == ("ptb", "shakespeare")
    assert three.decode(three.stream("valid").inputs).strip() == "c b a"
    with pytest.raises(OptionError, match=r"^test_fraction must be left out where data is 'ptb', got 0\.1$"):
        kind("ptb", test_fraction=0.1)


@pytest.mark.parametrize(
    ("name", "files"), [("ptb", [f"{split}.txt" for split in TEXTS]), ("shakespeare", [])]
)
def test_a_name_means_the_download_and_a_path_the_path(
    name: str, files: list[str], site: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    if files:
        (tmp_path / name).mkdir()
    paths = [tmp_path / name / file for file in files] or [tmp_path / name]
    for path in paths:
        path.write_text("x y\n" * 50, encoding="utf-8", newline="")
    here = sha256("x y\n" * 50 * len(paths))
    assert Text(name).sha256 != here
    for given in (f"./{name}", Path(name), tmp_path / name):
        task = Text(given)
        assert task.sha256 == here
        assert Text(**task.options()).sha256 == here


@pytest.mark.slow
def test_in_an_interpreter_of_its_own(site: Path, tmp_path: Path) -> None:
    """With nothing replaced but the addresses: where the cache is, and what is printed."""
    there, nowhere = (site / "ptb.train.txt").as_uri(), "http://127.0.0.1:1/ptb.train.txt"
    code = f"""
import sys
from tf_rnn.options import OptionError
from tf_rnn.tasks import Words, downloads
assert "tensorflow" not in sys.modules
for url in ({nowhere!r}, {there!r}):
    downloads.DOWNLOADS["ptb"] = (downloads.Download(url, {sha256(TEXTS["train"])!r}),)
    try:
        print(Words("ptb").sha256)
    except OptionError as error:
        print(error)
"""
    environment = {"KERAS_HOME": str(tmp_path / "keras"), "no_proxy": "127.0.0.1"}
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    message = f"data could not be downloaded for 'ptb' from {nowhere} (Connection refused){HELP}"
    expected = f"{message}\n{sha256(TEXTS['train'])}\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, expected, "")
    assert (tmp_path / "keras" / "tf_rnn" / "ptb.train.txt").is_file()
