"""Data-parallel training: several processes train one network, each on its share of the rows.

No TensorFlow is loaded here; what needs it is imported from its own module (`tf_rnn.parallel.worker`).
"""

from tf_rnn.parallel.cluster import ClusterTask, cluster_task
from tf_rnn.parallel.ring import LostWorkerError, Ring

__all__ = ["ClusterTask", "LostWorkerError", "Ring", "cluster_task"]
