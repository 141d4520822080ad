"""Lets processes that tests start find the package, wherever they run, installed or not."""

from __future__ import annotations

import os
from pathlib import Path

ROOT = str(Path(__file__).parent.parent)

os.environ["PYTHONPATH"] = os.pathsep.join([ROOT, *filter(None, [os.environ.get("PYTHONPATH")])])
