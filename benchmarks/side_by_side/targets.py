"""Performance targets of tf_rnn on two cores."""

from __future__ import annotations

# Upper limits on the time of tf_rnn over that of PyTorch, the best peer and the floor, by configuration.
PYTORCH = {"A": 0.45, "B": 0.58, "C": 0.40, "D": 0.53, "E": 0.75}
BEST_PEER = {"A": 0.70, "B": 0.60, "C": 1.0, "D": 0.55, "E": 0.78}
FLOOR = {"A": 1.6, "B": 1.3, "D": 1.25, "E": 1.25}
# The same of tf_rnn in mixed_bfloat16 over the best peer in its best precision, and over the floor in single
# precision, on a processor with instructions for bfloat16.
LOWER_BEST_PEER = {"A": 0.60, "B": 0.55, "D": 0.50, "E": 0.70, "M": 0.80, "F": 0.55}
LOWER_FLOOR = {"A": 1.2, "B": 0.95, "D": 0.9, "E": 0.7, "M": 0.85, "F": 1.0}

# Growth: upper limit on the ratio of build plus first run to the naive unroll at this width, ...
START_WIDTH, START_RATIO = 200, 0.4
# ... and upper limits on build plus first run and on memory at this one.
WIDEST, WIDEST_SECONDS, WIDEST_BYTES = 1000, 12.0, 2.5e9

# Lower limit on the fraction of training time spent inside session runs, and upper limit on the time that
# `--help` and a bad option take.
SESSION_SHARE = 0.95
START_SECONDS = 0.3

# Lower limit on the fraction of CPU time that the runs of `compare` use.
CORES_SHARE = 0.9
