"""Where does a training loop truncate? Data that make the gradient of one weight say it; in NumPy alone.

A network of one unit, h_t = w h_{t-1} + x_t with w = 1 and h_0 = 0, is run by the loop under test, of any
framework. The inputs of a `Probe` make the state before step t the power 2^t. With the loss on one step,
each step that its error reaches adds the state before it to dL/dw: the binary digits of the gradient are the
list of these steps.

    probe = tf_rnn.audit.Probe(num_steps=8, loss_step=7)
    gradient, output = my_loop(probe.inputs, probe.weights)    # of the loss sum(probe.weights * outputs)
    print(probe.read(gradient, output, asked=4).sentence)      # blocks of 4, state carried

What the loop needs: recurrent weight 1, input weight 1, no bias, identity activation, no clipping.
`measure_reach` does it for the loss of every step; `width_of` reads a loss of the echo task where gradients
are out of reach.
"""

from tf_rnn.audit.archive import echo_arrays, probe_arrays, read_result, write_archive
from tf_rnn.audit.echo import EchoWidths, width_of
from tf_rnn.audit.probe import Probe, probes
from tf_rnn.audit.reach import Reach, measure_reach, read_all
from tf_rnn.audit.reading import Reading

__all__ = [
    "EchoWidths",
    "Probe",
    "Reach",
    "Reading",
    "echo_arrays",
    "measure_reach",
    "probe_arrays",
    "probes",
    "read_all",
    "read_result",
    "width_of",
    "write_archive",
]
