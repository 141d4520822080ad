"""One run on several machines: parameter servers hold the variables, workers compute the gradients.

Every worker builds the same graph for its own rows, with the variables on the parameter servers, and
has its own place in the stream and its own state (data-parallel training with replication between
graphs; Dean et al. 2012, Chen et al. 2016). TensorFlow's servers carry the tensors.

Sessions are plain ones. TensorFlow's MonitoredTrainingSession would begin a failed run of the graph again
with what it was fed, on weights that have been taken back to a checkpoint; here the place in the stream
is taken back with them. It would also look only every 30 seconds whether the chief has come.
"""

from tf_rnn.training.parallel.chief import Chief, lead
from tf_rnn.training.parallel.exchanges import EXCHANGES
from tf_rnn.training.parallel.server import serve
from tf_rnn.training.parallel.worker import Worker

__all__ = ["EXCHANGES", "Chief", "Worker", "lead", "serve"]
