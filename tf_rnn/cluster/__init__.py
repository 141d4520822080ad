"""A cluster: which machines it has, and the processes of one that is all on this machine. No TensorFlow."""

from tf_rnn.cluster.spec import JOBS, Cluster, Member, read_cluster

__all__ = ["JOBS", "Cluster", "Member", "read_cluster"]
