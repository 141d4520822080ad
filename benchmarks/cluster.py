"""`python -m benchmarks.cluster`: what a second worker buys, and what an update sends.

Every process has one thread. Nothing else should run: all cores are used, and what is sent is what the
system counts on the loopback interface.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from tf_rnn.cli.options import positive, whole

LOOPBACK = Path("/sys/class/net/lo/statistics/tx_bytes")
STATE_SIZES = (128, 256, 512)
ROWS, STEPS = 64, 32
SECONDS = 8.0
RUNS: dict[str, list[str]] = {
    "one process": [],
    "1 worker": ["launch", "--workers", "1", "--"],
    "2 workers, sync": ["launch", "--workers", "2", "--"],
    "2 workers, async": ["launch", "--workers", "2", "--"],
}
HEAD = ["units", "parameters", *RUNS, "MB an update and worker, sync", "MB of the parameters"]


class Pace(NamedTuple):
    """What a run has shown.

    Attributes:
        tokens_per_second: Of training, evaluation not counted.
        updates: How many.
        megabytes: Sent over loopback, by all processes, from the first start to the last end.
        parameters: How many numbers are trained.
    """

    tokens_per_second: float
    updates: int
    megabytes: float
    parameters: int


def words(state_size: int, seconds: float, out: Path) -> list[str]:
    """The command line of a run: an LSTM on the documentation that ships with Python."""
    return [
        *("train", "--task", "text", "--cell", "lstm", "--state-size", str(state_size), "--optimizer", "sgd"),
        *("--batch-size", str(ROWS), "--num-steps", str(STEPS), "--threads", "1", "--out", str(out)),
        *("--seconds", str(seconds)),
    ]


def measured(name: str, state_size: int, seconds: float) -> Pace:
    """Runs one of RUNS in processes of its own."""
    exchange = ["--exchange", "async"] if name.endswith("async") else []
    with tempfile.TemporaryDirectory() as folder:
        out = Path(folder) / "run"
        before = _sent()
        command = [sys.executable, "-m", "tf_rnn", *RUNS[name], *words(state_size, seconds, out), *exchange]
        subprocess.run(command, check=True, capture_output=True)
        sent = _sent() - before
        last = json.loads((out / "metrics.jsonl").read_text(encoding="utf-8").splitlines()[-1])
        config = json.loads((out / "config.json").read_text(encoding="utf-8"))
        count = parameters(state_size, config["graph"]["num_classes"])
        return Pace(last["tokens"] / last["seconds"], last["step"], sent / 1e6, count)


def parameters(state_size: int, num_classes: int) -> int:
    """Of an LSTM of one layer that reads and predicts classes: four gates and a readout, with biases."""
    return 4 * state_size * (num_classes + state_size + 1) + num_classes * (state_size + 1)


def _sent() -> int:
    return int(LOOPBACK.read_text(encoding="utf-8"))


def row(state_size: int, seconds: float) -> list[str]:
    """A line of the table."""
    paces = {name: measured(name, state_size, seconds) for name in RUNS}
    alone, both = paces["one process"], paces["2 workers, sync"]
    shown = [f"{pace.tokens_per_second:,.0f} ({_ratio(pace, alone)})" for pace in paces.values()]
    each = both.megabytes / both.updates / 2
    return [
        str(state_size), f"{alone.parameters:,}", *shown, f"{each:.2f}", f"{alone.parameters * 4 / 1e6:.2f}"
    ]  # fmt: skip


def _ratio(pace: Pace, alone: Pace) -> str:
    return f"{pace.tokens_per_second / alone.tokens_per_second:.2f}"


def line(cells: list[Any]) -> str:
    """A line of a Markdown table."""
    return f"| {' | '.join(cells)} |"


def main() -> None:
    """Prints the table: tokens a second, and beside them the part of what one process does."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.cluster", description=__doc__)
    parser.add_argument("--state-sizes", type=whole, nargs="+", default=STATE_SIZES, metavar="D")
    parser.add_argument("--seconds", type=positive, default=SECONDS, metavar="N", help="of training, each")
    arguments = parser.parse_args()
    print(line(HEAD))
    print(line(["---:"] * len(HEAD)))
    for state_size in arguments.state_sizes:
        print(line(row(state_size, arguments.seconds)), flush=True)


if __name__ == "__main__":
    main()
