"""`python -m benchmarks.audit`: audits training loops of other libraries."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks.audit.report import write_report

REPORT = Path(__file__).parent / "report.md"


def main() -> int:
    """Writes the report; the exit status is 1 where a library is missing."""
    missing = write_report(REPORT)
    print(f"written: {REPORT.relative_to(Path.cwd()) if REPORT.is_relative_to(Path.cwd()) else REPORT}")
    if missing:
        print(f"not installed, left out: {', '.join(missing)}", file=sys.stderr)
    return int(bool(missing))


if __name__ == "__main__":
    sys.exit(main())
