"""The n-wide graph."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np

from tf_rnn._tensorflow import tf
from tf_rnn.cells.pieces import join_rows, split_rows
from tf_rnn.graph.chunks import Chunks
from tf_rnn.graph.dropout import Dropout
from tf_rnn.graph.feeding import checked_array, checked_state
from tf_rnn.graph.gradients import layered_gradients, plain_gradients, true_gradients
from tf_rnn.graph.layers import LayerUnroller
from tf_rnn.graph.network import Network, Reading, home_graph
from tf_rnn.graph.optimizers import shared_optimizer
from tf_rnn.graph.prepared import prepared_run
from tf_rnn.graph.recompute import Segment, recomputed_gradients
from tf_rnn.graph.session import open_session, step_operations
from tf_rnn.graph.unroll import ChunkTrace, Unrolled, unroll
from tf_rnn.options import GraphOptions, OptionError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

T = TypeVar("T")


class UnrolledGraph:
    """One time step laid side by side `num_steps` times, on one set of variables.

        P_t, S_t = G(X_t, S_{t-1}),   t = 0 ... n-1,   S_{-1} = init_state
        L_t = loss(P_t, Y_t),   total_loss = mean over examples and steps of L_t

    Errors flow back through all n steps and stop at `init_state`: feeding the `final_state` of one
    run to the next carries the state over the border, but not the gradient.

    Attributes:
        inputs: n tensors X_t, int32 [batch_size], or [batch_size, input_size].
        targets: n tensors Y_t, int32 [batch_size], or [batch_size, num_classes].
        states: n states S_t, in the structure of the cell's state, [batch_size, state_size].
        predictions: n tensors P_t, [batch_size, num_classes].
        losses: n tensors L_t, [batch_size], in nats or squared units.
        init_state: S_{-1}, to feed; zero if not fed.
        final_state: S_{n-1}, to fetch.
        total_loss: Scalar.
        gradients: (gradient, variable) pairs, before clipping; empty without an optimizer.
        gradient_norm: Scalar, the norm of all gradients together, before clipping.
        learning_rate: Scalar tensor, to feed where the rate changes.
        dropout_seed: int32 [2], to feed where a run is to be repeated: what is dropped is a function
            of it; drawn anew at each run if not fed. None where `dropout` is 0.
        train_step: The operation that updates the variables; None without an optimizer.
        network: The variables, shared by all graphs on the same cell.
        tf_graph: The `tf.Graph` that all of this is in.

    Args:
        cell: A cell of `tf_rnn.cells`, or any duck-typed v1 RNN cell. Graphs on the same cell share
            all variables, the readout's and the optimizer's slots too, and stand in one `tf.Graph`.
        num_steps: The width n, at most 10,000.
        batch_size: Examples side by side.
        input_size: Number of input classes, or of real inputs at each step; 0 for none.
        num_classes: Number of classes predicted, or of real outputs.
        input_kind: "classes", "real" or "none".
        embedding_size: Size of a learnt vector for each input class; None for unit vectors.
        loss: "cross_entropy" of the softmax, or "squared_error" (the mean over outputs).
        loss_steps: "all"; "last" for the loss of the last step alone; a number k for those of the
            newest k; or "marked" for those of the steps that have a target (targets of -1, or nan
            for real ones, are none).
        readout: "linear" for H U + b_p; "tied" for H E^T + b_p with E the embedding, of the cell's
            output size, and as many classes predicted as read (Press & Wolf 2017); or "none" where
            the cell's output is the prediction itself.
        reduction: "mean" over steps, or "sum" over steps as in Zaremba et al. 2014; always the mean
            over examples.
        optimizer: "sgd", "momentum", "adagrad", "adam", "rmsprop", or None for a graph that is only
            run forward.
        learning_rate: The optimizer's rate.
        clip_norm: Upper limit on the norm of the gradient (Pascanu et al. 2013): the norm of the true
            gradient, in which an embedding looked up twice counts once, as the sum.
        dropout: The share dropped, afresh at every step, of what goes up: of embedded inputs, of each
            layer's outputs that the next layer reads, and of those that the readout reads; what is
            kept is divided by 1 - dropout. What a layer hands to itself at the next step is never
            dropped (Zaremba et al. 2014, section 3.2). See `Dropout`.
        init_scale: Initial weights (all matrices; not the biases) are uniform in +-init_scale; None
            for Glorot and the cell's `recurrent_init`. A foreign cell makes its own.
        recompute: None keeps all that the backward pass needs. k keeps every k-th state alone, and takes
            the steps between them once more on the way back; "sqrt" is k = sqrt(num_steps), near
            which the memory is least. The gradient is the same.
        dtype: "float32" or "float64".
        seed: Initial weights are a function of it, and in each session what is dropped where
            `dropout_seed` is not fed; None for fresh ones.
        reduce_gradients: A function of the list of gradients and this graph that returns the gradients
            to clip and apply, for instance `tf_rnn.parallel.all_reduce.AllReduce`; graphs made from
            this one have it, too. None for the graph's own gradients.

    Raises:
        OptionError: (a ValueError) If an option is not allowed, naming it and what is.

    Source: the block-wise truncated backpropagation of Mikolov et al. 2010 and Zaremba et al. 2014;
    TBPTT(n, n) in the words of Sutskever 2013, section 2.8.6.
    """

    def __init__(
        self,
        cell: Any,
        num_steps: int,
        batch_size: int,
        input_size: int,
        num_classes: int,
        reduce_gradients: Any = None,
        **options: Any,
    ) -> None:
        self.cell = cell
        self._reduce_gradients = reduce_gradients
        self.options = GraphOptions(
            num_steps=num_steps,
            batch_size=batch_size,
            input_size=input_size,
            num_classes=num_classes,
            **options,
        )
        self._made: dict[Any, Any] = {}
        self.tf_graph = home_graph(cell)
        with self.tf_graph.as_default(), tf.name_scope(f"width_{num_steps}"):
            self.network = Network(cell, self.options)
            self._reading = self.network.read()
            self._place_inputs()
            self._unrolled = self._unroll()
            self._place_losses()
            self._place_training()

    @property
    def num_steps(self) -> int:
        """The width n."""
        return self.options.num_steps

    @property
    def batch_size(self) -> int:
        """Examples side by side."""
        return self.options.batch_size

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of embedding, cell and readout, in the order of `Network.variables`.

        Those of a foreign cell are known where there is an optimizer: what it trains.
        """
        if self.network.is_layered or not self.gradients:
            return self.network.variables
        return tuple(variable for _, variable in self.gradients)

    @property
    def traces(self) -> list[list[ChunkTrace]]:
        """The steps of each layer as they were taken, in chunks; none of a foreign cell."""
        return self._unrolled.traces

    @property
    def cell_inputs(self) -> list[list[Any]]:
        """The vectors that each layer reads, n tensors [batch_size, ...] a layer."""
        vectors = [self.network.encoding.vectors(self._reading.embedding, x) for x in self.inputs]
        states = [self.cell.split_state(state) for state in self.states]
        layers = self.cell.layers
        outputs = [[layer.hidden(state[number]) for state in states] for number, layer in enumerate(layers)]
        read = enumerate([vectors, *outputs[:-1]])
        return [self._dropout.over_steps(place, steps, self._chunks) for place, steps in read]

    @property
    def loss_scale(self) -> float:
        """What `total_loss` is multiplied by to give the mean of a step."""
        return 1.0 if self.options.reduction == "mean" else 1 / self.options.newest

    def zero_state(self) -> Any:
        """S_{-1} = 0 as NumPy arrays [batch_size, state_size], in the structure of the state."""
        return tf.nest.map_structure(
            lambda tensor: np.zeros(tensor.shape, self.options.dtype), self.init_state
        )

    def feed(self, inputs: Any, targets: Any, state: Any) -> dict[Any, Any]:
        """Returns the feed dictionary of one block.

        Args:
            inputs: Class indices [batch_size, num_steps], or real values [batch_size, num_steps,
                input_size]; None where there are none.
            targets: Class indices [batch_size, num_steps], or real values [batch_size, num_steps,
                num_classes]. Where only the last step has a loss, the others are not looked at.
            state: What `final_state` gave, or `zero_state()`.

        Raises:
            OptionError: If a shape or the state's structure is another one, naming both; or if a
                class index is not whole.
        """
        fed = {self._packed_targets: checked_array("targets", targets, self._packed_targets)}
        if self.options.input_size:
            fed[self._packed_inputs] = checked_array("inputs", inputs, self._packed_inputs)
        return fed | checked_state(state, self.init_state)

    def runner(self, session: Any, *fetches: Any, feeding: Sequence[Any] = ()) -> Callable[..., Any]:
        """Returns a function (inputs, targets, state) -> values of `fetches`: `session.run`, prepared.

        The quick way to run the same fetches many times; to prepare them takes longer than a run.
        Arguments are as for `feed`, but of class indices it is not checked whether they are whole.
        An operation's value is None.

        Args:
            session: An open session of the graph.
            *fetches: Tensors, operations, or structures of them.
            feeding: Further tensors to feed (`learning_rate`, `dropout_seed`). Their values come last:
                (inputs, targets, state, ..., value, value).

        Raises:
            OptionError: When called: if a shape is another one, naming both, or a value is missing.
        """
        fed = [*tf.nest.flatten(self.init_state), *self._more_to_feed, *feeding]
        fed.insert(0, self._packed_targets)
        if self.options.input_size:
            fed.insert(0, self._packed_inputs)
        run = prepared_run(session, fetches, fed)

        def run_block(inputs: Any, targets: Any, state: Any, *more: Any) -> Any:
            given = [inputs] if self.options.input_size else []
            return run(*given, targets, *tf.nest.flatten(state), *more)

        return run_block

    def session(self, threads: int | None = None) -> Any:
        """Returns an ordinary `tf.Session` of `tf_graph`, all variables initialised.

        Args:
            threads: Upper limit on the threads used; None for the machine's cores.
        """
        return open_session(self.tf_graph, self._step_operations, threads)

    def forward(self, num_steps: int | None = None, batch_size: int | None = None) -> UnrolledGraph:
        """Returns a graph of another size on the same variables, without training step and dropout.

        For the same sizes it is the same graph each time.
        """
        options = dataclasses.replace(
            self.options,
            num_steps=self.num_steps if num_steps is None else num_steps,
            batch_size=self.batch_size if batch_size is None else batch_size,
            loss_steps="marked" if self.options.loss_steps == "marked" else "all",
            optimizer=None,
            dropout=0.0,
            recompute=None,
        )
        return self._sibling(options, UnrolledGraph)

    def with_steps(
        self,
        num_steps: int,
        loss_steps: str | int | None = None,
        kind: type[UnrolledGraph] | None = None,
    ) -> UnrolledGraph:
        """Returns a graph of another width that trains the same variables with the same optimizer.

        Args:
            num_steps: Its width.
            loss_steps: Which of its steps have a loss; None for what this graph has.
            kind: Its class; None for a plain `UnrolledGraph`.
        """
        options = dataclasses.replace(
            self.options,
            num_steps=num_steps,
            loss_steps=self.options.loss_steps if loss_steps is None else loss_steps,
        )
        return self._sibling(options, kind or UnrolledGraph)

    def once(self, make: Callable[[UnrolledGraph], T]) -> T:
        """What a function adds to the graph: made when it is first asked for, the same from then on.

        However often a graph is trained and evaluated, its `tf_graph` thus does not grow.

        Args:
            make: Given this graph, with its `tf_graph` as the default.
        """
        if make not in self._made:
            with self.tf_graph.as_default():
                self._made[make] = make(self)
        made: T = self._made[make]
        return made

    def _sibling(self, options: GraphOptions, kind: type[UnrolledGraph]) -> UnrolledGraph:
        if (options, kind) not in self._made:
            with self.tf_graph.as_default():
                self._made[options, kind] = kind(
                    self.cell, reduce_gradients=self._reduce_gradients, **dataclasses.asdict(options)
                )
        sibling: UnrolledGraph = self._made[options, kind]
        return sibling

    def _place_inputs(self) -> None:
        options = self.options
        self._more_to_feed: tuple[Any, ...] = ()
        self._chunks = Chunks(options, self._step_operations)
        self._dropout = Dropout(options, self.network)
        self.dropout_seed = self._dropout.seed
        self._packed_inputs = self.network.encoding.placeholder(options.batch_size, options.num_steps)
        self._packed_targets = self.network.loss.placeholder(options)
        self.inputs: list[Any] = tf.unstack(self._packed_inputs, axis=1)
        self.targets: list[Any] = tf.unstack(self._packed_targets, axis=1)
        zero_state = self.cell.zero_state(options.batch_size, tf.as_dtype(options.dtype))
        self.init_state: Any = tf.nest.map_structure(
            lambda zeros: tf.placeholder_with_default(zeros, zeros.shape, name="state"), zero_state
        )

    def _unroll(self) -> Unrolled:
        unroller = self._unroll_layers if self.network.is_layered else self._unroll_foreign
        return unroller(self._reading)

    def _unroll_layers(self, reading: Reading) -> Unrolled:
        lay = self._unroller_of(reading)
        self._segments: list[Segment] = []
        unrolled = Unrolled.before(self.cell.split_state(self.init_state))
        cut = self._chunks.segments
        for inputs, targets in zip(cut(self.inputs), cut(self.targets), strict=True):
            segment = Segment(inputs, targets, unrolled.num_steps, unrolled.num_chunks, unrolled.handed_on)
            self._segments.append(segment)
            unrolled = unrolled.then(segment.laid_by(lay))
        self.states = [self.cell.join_states(states) for states in unrolled.states]
        return unrolled

    def _unroller_of(self, reading: Reading) -> LayerUnroller:
        rows = self.batch_size * self.options.segment_steps
        return LayerUnroller(self.network, reading, self._dropout, self._hand_on, rows)

    def _unroll_foreign(self, reading: Reading) -> Unrolled:
        if self.options.recompute is not None:
            raise OptionError(
                "recompute", f"must be None for a cell with steps of its own, got {self.options.recompute!r}"
            )
        vectors = [self.network.encoding.vectors(reading.embedding, x) for x in self.inputs]
        vectors = self._dropout.over_steps(0, vectors, self._chunks)
        outputs, self.states = unroll(self.cell, vectors, self.init_state, self._hand_on)
        chunks = enumerate(join_rows(group) for group in self._chunks.cut(outputs))
        return Unrolled([self._dropout(1, number, chunk) for number, chunk in chunks], [], [], [])

    def _hand_on(self, t: int, state: Any) -> Any:
        """What becomes of the state after step t on its way to step t + 1: nothing."""
        return state

    def _hand_back(self, t: int, gradient: Any) -> Any:
        """What becomes of the gradient of that state on its way back, the derivative of `_hand_on`."""
        return gradient

    @property
    def _step_operations(self) -> float:
        return step_operations(self.network.cell, self.options)

    def _place_losses(self) -> None:
        self.final_state: Any = self.states[-1]
        self.predictions: list[Any] = []
        self.losses: list[Any] = []
        rows_of_loss = []
        chunks = self._chunks.cut(self.targets)
        for outputs, targets in zip(self._unrolled.outputs, chunks, strict=True):
            rows = self._rows_of_loss(self._reading, outputs, targets)
            logits = self.network.logits(self._reading, outputs)
            self.predictions += split_rows(self.network.loss.predict(logits), len(targets))
            self.losses += split_rows(rows, len(targets))
            rows_of_loss.append(rows)
        self.total_loss: Any = self._reduce(rows_of_loss)

    def _rows_of_loss(self, reading: Reading, outputs: Any, targets: list[Any]) -> Any:
        """The losses of a chunk, [steps * batch_size], time first."""
        network = self.network
        rows_of = network.marked_losses if self.options.loss_steps == "marked" else network.losses
        return rows_of(reading, outputs, join_rows(targets))

    def _reduce(self, rows_of_loss: list[Any]) -> Any:
        """The losses of the chunks, [steps * batch_size] each, to one scalar."""
        if self.options.newest < self.num_steps:
            rows_of_loss = self.losses[-self.options.newest :]
        total = tf.add_n([tf.reduce_sum(rows) for rows in rows_of_loss])
        return total / (self._count() if self.options.reduction == "mean" else self.batch_size)

    def _count(self) -> Any:
        """How many losses there are in a run, over examples and steps; at least 1."""
        if self.options.loss_steps != "marked":
            return self.batch_size * self.options.newest
        marks = [self.network.loss.marks(targets) for targets in self.targets]
        counts = [tf.count_nonzero(mark, dtype=self.options.dtype) for mark in marks]
        return tf.maximum(tf.add_n(counts), 1)

    def _shares(self) -> Any:
        """What the losses of each step are multiplied by in `total_loss`, [num_steps]."""
        first = self.num_steps - self.options.newest
        counts = np.arange(self.num_steps) >= first
        count = self._count() if self.options.reduction == "mean" else self.batch_size
        return tf.constant(counts, self.options.dtype) / count

    def _place_training(self) -> None:
        self.train_step: Any = None
        self.learning_rate: Any = None
        self.gradients: list[Any] = []
        self.gradient_norm: Any = None
        name = self.options.optimizer
        if name is None:
            return
        rate = tf.constant(self.options.learning_rate, self.options.dtype)
        self.learning_rate = tf.placeholder_with_default(rate, [], name="learning_rate")
        self.gradients = true_gradients(self._all_gradients(), name)
        gradients = [gradient for gradient, _ in self.gradients]
        if self._reduce_gradients is not None:
            gradients = self._reduce_gradients(gradients, self)
        self.gradient_norm = tf.global_norm(gradients)
        if self.options.clip_norm is not None:
            gradients, _ = tf.clip_by_global_norm(
                gradients, self.options.clip_norm, use_norm=self.gradient_norm
            )
        variables = [variable for _, variable in self.gradients]
        pairs = list(zip(gradients, variables, strict=True))
        optimizer = shared_optimizer(name, self.network.scope)
        with tf.name_scope(f"{self.network.scope}/"):  # variables' names must not tell the width
            self.train_step = optimizer.apply(pairs, self.learning_rate)

    def _all_gradients(self) -> list[Any]:
        if not self.network.is_layered:
            return plain_gradients(self.total_loss)
        if self.options.recompute is None:
            found = layered_gradients(
                self.total_loss, self.network, self._reading, self._unrolled, self._hand_back
            )
            return found.pairs
        return recomputed_gradients(
            self._segments,
            self._unroller_of,
            self._part_of_loss,
            self._hand_back,
            self.network,
            self._reading,
            self.total_loss,
        )

    def _part_of_loss(
        self, reading: Reading, outputs: list[Any], targets: list[list[Any]], first_step: int
    ) -> Any:
        """What some chunks of steps add to `total_loss`."""
        shares, parts, step = self._shares(), [], first_step
        for chunk, wanted in zip(outputs, targets, strict=True):
            rows = self._rows_of_loss(reading, chunk, wanted)
            sums = tf.reduce_sum(tf.reshape(rows, [len(wanted), self.batch_size]), axis=1)
            parts.append(tf.reduce_sum(sums * shares[step : step + len(wanted)]))
            step += len(wanted)
        return tf.add_n(parts)
