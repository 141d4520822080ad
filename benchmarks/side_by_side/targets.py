"""What tf_rnn should reach on two cores, as ratios of times in one run; at most these."""

from __future__ import annotations

# Time of tf_rnn over the time of ..., by configuration.
PYTORCH = {"A": 0.45, "B": 0.58, "C": 0.40, "D": 0.53, "E": 0.75}
BEST_PEER = {"A": 0.70, "B": 0.60, "C": 1.0, "D": 0.55, "E": 0.78}
FLOOR = {"A": 1.6, "B": 1.3, "D": 1.25, "E": 1.25}

# Growth: build plus first run over the naive unroll's at this width ...
START_WIDTH, START_RATIO = 200, 0.4
# ... and build plus first run in seconds, and bytes, at this one.
WIDEST, WIDEST_SECONDS, WIDEST_BYTES = 1000, 12.0, 2.5e9

# The part of the time of `train` that is spent inside session runs, at least; and the seconds that
# `--help` and a bad option take, at most.
SESSION_SHARE = 0.95
START_SECONDS = 0.3

# The part of the cores' time that the runs of `compare` use, at least.
CORES_SHARE = 0.9
