"""The command of the atlas; see `benchmarks.atlas`."""

from __future__ import annotations

import argparse
from pathlib import Path

from benchmarks.atlas.tasks import TASKS


def main() -> None:
    """Runs one of the parts of the atlas."""
    parser = argparse.ArgumentParser("benchmarks.atlas", description="Trains and scores the atlas of widths.")
    parser.add_argument("part", choices=("sweep", "store", "score"))
    parser.add_argument("--only", nargs="+", choices=TASKS, metavar="TASK", default=list(TASKS))
    parser.add_argument("--scratch", type=Path, default=Path("results/atlas"), metavar="DIR")
    arguments = parser.parse_args()
    from benchmarks.atlas.report import write_report  # noqa: PLC0415
    from benchmarks.atlas.store import FOLDER  # noqa: PLC0415
    from benchmarks.atlas.sweep import store, sweep  # noqa: PLC0415

    if arguments.part == "sweep":
        sweep(arguments.only, arguments.scratch)
    elif arguments.part == "store":
        store(arguments.scratch, FOLDER)
    else:
        write_report(FOLDER, arguments.scratch)


if __name__ == "__main__":
    main()
