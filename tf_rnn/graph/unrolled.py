"""The n-wide graph."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import math
import threading
from typing import TYPE_CHECKING, Any, TypeVar

from tf_rnn._tensorflow import tf
from tf_rnn.cells.concat import split_rows
from tf_rnn.cells.products import products_in
from tf_rnn.graph.block import Block
from tf_rnn.graph.borders import Borders
from tf_rnn.graph.forward_pass import ForwardPass
from tf_rnn.graph.gradients import (
    GradientAndVariable,
    layered_gradients,
    plain_gradients,
    plain_state_gradients,
    state_gradients,
)
from tf_rnn.graph.network import Network, Reading, home_graph
from tf_rnn.graph.objective import FedWeights, LossWeights, Objective, TargetWeights, UniformWeights
from tf_rnn.graph.recompute import recomputed_gradients
from tf_rnn.graph.reweighting import Reweighting
from tf_rnn.graph.session import open_session, step_operations
from tf_rnn.graph.training_step import NO_TRAINING, make_training_step
from tf_rnn.options import GraphOptions, OptionError, shown
from tf_rnn.options.words import FLOAT32

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tf_rnn.graph.unroll import ChunkTape

T = TypeVar("T")


class UnrolledGraph:
    """One time step laid side by side `num_steps` times, on one set of variables.

        P_t, S_t = G(X_t, S_{t-1}),   t = 0 ... n-1,   S_{-1} = init_state
        L_t = loss(P_t, Y_t),   total_loss = mean over examples and steps of L_t

    Errors flow back through all n steps and stop at `init_state`: feeding the `final_state` of one
    run to the next carries the state over the border, but not the gradient. Threads may share a graph, and
    what `cached`, `forward`, `with_steps` and `runner` give; training is for one thread at a time.

    Attributes:
        inputs: n tensors X_t, int32 [batch_size], or [batch_size, input_size].
        targets: n tensors Y_t, int32 [batch_size], or [batch_size, num_classes].
        starts: n tensors, bool [batch_size], to feed: in the rows where one is set a sequence starts at
            step t, from the initial state; none is set if not fed. Empty unless the option `starts` is True.
        target_weights: n tensors [batch_size], to feed: how much each target counts, from 0 on; 1 if not fed.
            Empty unless the option `target_weights` is True.
        states: n states S_t, in the structure of the cell's state, [batch_size, state_size].
        predictions: n tensors P_t, [batch_size, num_classes].
        losses: n tensors L_t, [batch_size], in nats or squared units, whether or not they count.
        init_state: S_{-1}, to feed; `zero_state()` if not fed.
        final_state: S_{n-1}, to fetch; of a reweighted graph the state after the last weighted step.
        total_loss: Scalar, the sum over steps and examples of w_t L_t, with w as `loss_steps` says.
        gradients: (gradient, variable) pairs, before clipping; empty without an optimizer.
        gradient_norm: Scalar, the norm of all gradients together, before clipping.
        learning_rate: Scalar tensor, to feed where the rate changes.
        dropout_seed: int32 [2], which determines what is dropped: feed it to make a run repeatable;
            random at each run if not fed. None where `dropout` is 0.
        train_step: The operation that updates the variables; None without an optimizer.
        network: The variables, shared by all graphs on the same cell.
        reweighting: Factors to feed (`Reweighting`); None unless `reweighted`.
        tf_graph: The `tf.Graph` that all of this is in.

    Args:
        cell: A cell of `tf_rnn.cells`, or any duck-typed v1 RNN cell. Graphs on the same cell share
            all variables, the readout's and the optimizer's slots too, and are in one `tf.Graph`.
        num_steps: The width n, at most 10,000.
        batch_size: Examples side by side.
        input_size: Number of input classes, or of real inputs at each step; 0 for none.
        num_classes: Number of classes predicted, or of real outputs.
        input_kind: "classes", "real" or "none".
        embedding_size: Size of a learnt vector for each input class; None for unit vectors.
        loss: "cross_entropy" of the softmax, "squared_error" (the mean over outputs), or "pinball" for
            `quantiles`, see `tf_rnn.graph.losses.Pinball`.
        quantiles: For "pinball": output j is to be the quantile j modulo their number.
        loss_steps: Which losses count in `total_loss`: "all"; "last", the last step's; a number k, those
            of the last k steps; or "marked", those of steps that have a target (-1, or nan for real
            targets, means none). Targets of steps that do not count are not read.
        readout: "linear" for H U + b_p; "tied" for H E^T + b_p with E the embedding, of the cell's
            output size, and as many classes predicted as read (Press & Wolf 2017); or "none" where
            the cell's output is the prediction.
        reduction: "mean" over steps, or "sum" over steps as in Zaremba et al. 2014; always the mean
            over examples.
        optimizer: "sgd", "momentum", "adagrad", "adam", "rmsprop", or None for a graph without a
            training step.
        learning_rate: The optimizer's rate.
        clip_norm: Upper limit on the norm of the gradient (Pascanu et al. 2013). It is the norm of the
            true gradient: that of an embedding looked up twice is the sum of both.
        weight_decay: How fast weights decay beside the optimizer's step u, with every optimizer:

                W <- W - u(dL/dW) - learning_rate * weight_decay * W

            for W before the step and the learning rate that is fed. All matrices decay (the embedding, all
            its rows at each step, the cell's weights, the readout), biases do not. Neither the norm nor the
            optimizer's averages see it (Loshchilov & Hutter 2019, algorithm 2, where lambda stands for
            learning_rate * weight_decay at the full rate).
        dropout: The share of elements dropped, independently at every step, from embedded inputs, from
            each layer's outputs that the next layer reads, and from those that the readout reads; the
            rest is divided by 1 - dropout. The state that a layer carries to the next step is never
            dropped (Zaremba et al. 2014, section 3.2). See `Dropout`.
        init_scale: Initial weights (all matrices; not the biases) are uniform in +-init_scale; None
            for Glorot and the cell's `recurrent_init`. A third-party cell initialises its own.
        recompute: None keeps all that the backward pass needs in memory. k keeps only every k-th state,
            and computes the steps between them again during the backward pass; "sqrt" is
            k = sqrt(num_steps), near which the memory is least. The gradient is the same.
        dtype: "float32" or "float64".
        precision: "float32", or "mixed_bfloat16" for matrix products (of inputs, recurrence and readout, and
            in the backward pass) of bfloat16 operands, added up in float32 and rounded to bfloat16. All else
            is float32: variables, states, gates, losses, sums of gradients, what clips and applies them, and
            rows that are looked up, such as those of one-hot inputs. It is for training: `forward` and
            `StepGraph` are float32. Third-party cells make their own products, and take "float32" alone.
        starts: Whether a row may hold several sequences end to end. Where `graph.starts` is set, the state
            before a step is the initial state, and no gradient crosses.
        target_weights: Whether to feed how much each target counts: `total_loss` is then the sum of weight
            times loss, divided by the sum of the weights of the targets that count ("mean"), or by the batch
            size ("sum"). Weights of 0 and 1 are the same as marked targets.
        initial_state: The state before a sequence: "zero", or "learnt", a vector s_0 for each part of the
            state that is trained like the biases, zero at first (Forcada & Carrasco 1995). Its gradient is
            the sum of dL/dS_{t-1} over all rows and steps t in which a sequence starts: where `starts` is
            set, and where `zero_state()` is fed.
        seed: Initial weights are a function of it, and so is, in each session, what is dropped where
            `dropout_seed` is not fed; None for random ones.
        reduce_gradients: A function of the list of gradients (tensors or `tf.IndexedSlices`, duplicate
            rows summed, in the order of `gradients`) and of this graph that returns a list of the same
            length, applied before norm and clipping: the mean over workers in data-parallel training,
            see `tf_rnn.parallel.all_reduce.AllReduce`. Graphs of other widths made by `with_steps`
            inherit it.
        reweighted: Whether to feed how much each loss counts and how much of the gradient crosses each
            step; see `Reweighting`. `loss_steps` must then be "all".

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
        *,
        reduce_gradients: Callable[..., list[Any]] | None = None,
        reweighted: bool = False,
        **options: Any,
    ) -> None:
        self.cell = cell
        self.options = GraphOptions(
            num_steps=num_steps,
            batch_size=batch_size,
            input_size=input_size,
            num_classes=num_classes,
            **options,
        )
        if reweighted and self.options.loss_steps != "all":
            raise OptionError(
                "loss_steps", f"must be 'all' for a reweighted graph, got {self.options.loss_steps!r}"
            )
        if reweighted and self.options.target_weights:
            raise OptionError("target_weights", "must be False for a reweighted graph, got True")
        self._reduce_gradients = reduce_gradients
        self._cache: dict[Any, Any] = {}
        self._lock = threading.RLock()  # of all graphs on the same variables
        self._siblings: dict[tuple[GraphOptions, bool], UnrolledGraph] = {(self.options, reweighted): self}
        self.tf_graph = home_graph(cell)
        with self.tf_graph.as_default(), tf.name_scope(f"width_{num_steps}"), self._products():
            self._place(reweighted)

    def __repr__(self) -> str:
        names = ("num_steps", "batch_size", "input_size", "num_classes")
        sizes = ", ".join(f"{name}={getattr(self.options, name)}" for name in names)
        return f"UnrolledGraph({shown(self.cell)}, {sizes}; {self.num_parameters:,} parameters)"

    @property
    def num_parameters(self) -> int:
        """The number of weights, all variables together."""
        return sum(math.prod(variable.shape.as_list()) for variable in self.variables)

    def _place(self, reweighted: bool) -> None:
        """Makes all tensors but those of `losses` and `predictions`."""
        options = self.options
        self.network = Network(self.cell, options)
        self._reading = self.network.read()
        self._block = Block(self.network, options)
        self.inputs, self.targets = self._block.inputs, self._block.targets
        self.init_state: Any = self._block.init_state
        self.starts: list[Any] = self._block.starts.flags if self._block.starts else []
        self.reweighting = Reweighting(options) if reweighted else None
        self._borders = Borders(self.reweighting, self._block.starts)
        self._forward = ForwardPass(self.network, options, self._reading, self._block, self._borders.on_state)
        self.dropout_seed = self._forward.dropout.seed
        self.states = self._forward.states
        self.final_state: Any = self.states[-1]
        packed_targets, of_targets = self._block.packed_targets, self._block.target_weights
        self.target_weights: list[Any] = [] if of_targets is None else tf.unstack(of_targets, axis=1)
        weights: LossWeights
        if of_targets is None:
            weights = UniformWeights(options, self.network.head, packed_targets)
        else:
            packed = tf.stack(self.target_weights, axis=1)  # of which single ones may be fed
            weights = TargetWeights(options, self.network.head, packed_targets, packed)
        if self.reweighting:
            self.final_state = self.reweighting.last_state(self.states)
            weights = FedWeights(self.reweighting.loss_weights, options.batch_size)
        self._objective = Objective(self.network.head, weights, options.batch_size)
        outputs, targets = self._forward.unrolled.outputs, self._forward.targets
        self._counted = self._objective.counted_losses(self._reading.head, outputs, targets)
        self.total_loss: Any = self._objective.total(self._counted)
        training = NO_TRAINING
        if options.optimizer is not None:
            pairs = self._find_gradients()
            reduce = self._reduce_gradients and functools.partial(self._reduce_gradients, graph=self)
            training = make_training_step(pairs, options, self.network.scope, reduce)
        self.learning_rate, self.gradients, self.gradient_norm, self.train_step = training

    @property
    def num_steps(self) -> int:
        """The width n."""
        return self.options.num_steps

    @property
    def batch_size(self) -> int:
        """Examples side by side."""
        return self.options.batch_size

    @functools.cached_property
    def losses(self) -> list[Any]:
        """Losses L_t, n tensors [batch_size], made at first use."""
        with self._adding():
            chunks = self._counted
            if self.options.num_loss_steps < self.num_steps:
                outputs, targets = self._forward.unrolled.outputs, self._forward.targets
                chunks = self._objective.losses(self._reading.head, outputs, targets)
            return self._by_step([chunk.rows for chunk in chunks])

    @functools.cached_property
    def predictions(self) -> list[Any]:
        """Predictions P_t, n tensors [batch_size, num_classes], made at first use."""
        with self._adding():
            head, weights = self.network.head, self._reading.head
            return self._by_step([head.predict(weights, rows) for rows in self._forward.unrolled.outputs])

    @property
    def variables(self) -> tuple[Any, ...]:
        """The variables of embedding, cell and readout, in the order of `Network.variables`.

        Those of a third-party cell are known only where there is an optimizer that trains them.
        """
        if self.network.is_layered or not self.gradients:
            return self.network.variables
        return tuple(variable for _, variable in self.gradients)

    @property
    def tapes(self) -> list[list[ChunkTape]]:
        """The steps of each layer, in chunks; none of a third-party cell."""
        return self._forward.unrolled.tapes

    @property
    def cell_inputs(self) -> list[list[Any]]:
        """The vectors that each layer reads, n tensors [batch_size, ...] a layer."""
        return self._forward.cell_inputs()

    @property
    def loss_count(self) -> Any:
        """The number of losses that `total_loss` is the mean of, or the sum of their weights, a scalar.

        1 unless targets are marked or have weights.
        """
        return self._objective.loss_count

    @property
    def loss_scale(self) -> float:
        """The factor from `total_loss` to the mean loss of a step."""
        return 1.0 if self.options.reduction == "mean" else 1 / self.options.num_loss_steps

    def zero_state(self) -> Any:
        """What to feed as S_{-1} where nothing came before, in the structure of the state.

        NumPy arrays [batch_size, state_size]: zeros, or where the initial state is learnt -inf, in whose
        place the graph puts s_0.
        """
        return self._block.zero_state()

    def feed(
        self, inputs: Any, targets: Any, state: Any, starts: Any = None, target_weights: Any = None
    ) -> dict[Any, Any]:
        """The feed dictionary of one block.

        Args:
            inputs: Class indices [batch_size, num_steps], or real values [batch_size, num_steps,
                input_size]; None where there are none.
            targets: Class indices [batch_size, num_steps], or real values [batch_size, num_steps,
                num_classes].
            state: A `final_state` that was fetched, or `zero_state()`.
            starts: Where sequences start: truth values, or zeros and ones, [batch_size, num_steps]; None
                for nowhere.
            target_weights: How much each target counts, finite and at least 0, [batch_size, num_steps]; None
                for 1.

        Raises:
            OptionError: If a shape or the state's structure does not fit, naming both; if a class index
                is not whole, or out of range where it is read; or if starts or weights are not allowed, or
                given to a graph that was not made for them.
        """
        return self._block.feed(inputs, targets, state, starts, target_weights)

    def runner(self, session: Any, *fetches: Any, feeding: Sequence[Any] = ()) -> Callable[..., Any]:
        """A function (inputs, targets, state) -> values of `fetches`: `session.run`, prepared.

        The fast way to run the same fetches many times; preparing takes longer than one run.
        Arguments are as for `feed`, with `starts=` and `target_weights=` by name. Arrays of int32, or of the
        graph's dtype, are fed as they are; others are converted and checked each time. TensorFlow finds class
        indices out of range. The value of an operation is None.

        Args:
            session: An open session of the graph.
            *fetches: Tensors, operations, or structures of them.
            feeding: Further tensors to feed (`learning_rate`, `dropout_seed`). Their values come last:
                (inputs, targets, state, ..., value, value). Those of a reweighted graph, `flow` and
                `loss_weights`, come directly after the state.

        Raises:
            OptionError: When called: if a shape does not fit, naming both, or a value is missing; or if
                starts or weights are given that the graph was not made for.
        """
        more = [self.reweighting.flow, self.reweighting.loss_weights] if self.reweighting else []
        return self._block.runner(session, fetches, [*more, *feeding])

    def session(self, threads: int | None = None) -> Any:
        """An ordinary `tf.Session` of `tf_graph`, all variables initialised.

        Args:
            threads: Upper limit on the threads used; None for the machine's cores.
        """
        return open_session(self.tf_graph, step_operations(self.cell, self.options), threads)

    def forward(self, num_steps: int | None = None, batch_size: int | None = None) -> UnrolledGraph:
        """A graph of another size on the same variables, without training step and dropout, in float32.

        The same object each time for the same sizes.
        """
        return self._sibling(
            num_steps=self.num_steps if num_steps is None else num_steps,
            batch_size=self.batch_size if batch_size is None else batch_size,
            optimizer=None,
            dropout=0.0,
            recompute=None,
            precision=FLOAT32,
        )

    def with_steps(
        self, num_steps: int, loss_steps: str | int | None = None, *, reweighted: bool = False
    ) -> UnrolledGraph:
        """A graph of another width that trains the same variables with the same optimizer.

        The same object each time for the same arguments.

        Args:
            num_steps: Its width.
            loss_steps: Which of its losses count; None for the same as of this graph, but at most
                `num_steps` of them.
            reweighted: See the class.
        """
        return self._sibling(reweighted, num_steps=num_steps, loss_steps=loss_steps)

    def cached(self, build: Callable[..., T], *arguments: Any) -> T:
        """The result of a function that adds operations to the graph; called once for the same arguments.

        However often a graph is trained and evaluated, its `tf_graph` thus does not grow.

        Args:
            build: Called with this graph and the arguments, with its `tf_graph` as the default.
            *arguments: Hashable.
        """
        key = (build, *arguments)
        with self._lock:
            if key not in self._cache:
                with self._adding():
                    self._cache[key] = build(self, *arguments)
            built: T = self._cache[key]
        return built

    def state_gradients(self, loss: Any) -> list[Any]:
        """The gradient dL/dS_t of a loss of the last step with respect to each state, n structures.

        A state is what the following steps start from: dL/dS_t is the derivative of L as a function of S_t,

            L(S_t),   (P_{t+1}, S_{t+1}) = G(X_{t+1}, S_t),   (P_{t+2}, S_{t+2}) = G(X_{t+2}, S_{t+1}), ...

        All parts of S_t are independent variables: that an LSTM's H_t was computed from C_t, and a layer's
        state from the layer below, within step t, is not counted again. (TensorFlow's `tf.gradients` with
        respect to the tensors of `states` counts it.) With J_t = dS_t / dS_{t-1}, the Jacobian of a step,

            dL/dS_{t-1} = J_t^T dL/dS_t;   dL/dS_{n-1} is the derivative of the last readout alone

        In a reweighted graph, what flows back to S_t is multiplied by `flow[t]`; nothing flows back over
        the start of a sequence.

        Args:
            loss: A scalar; it depends on outputs and predictions of the last step alone.
        """
        with self._adding():
            if not self.network.is_layered:
                return plain_state_gradients(loss, self.states)
            network, reading, unrolled = self.network, self._reading, self._forward.unrolled
            return state_gradients(loss, network, reading, unrolled, self._borders)

    @contextlib.contextmanager
    def _adding(self) -> Iterator[None]:
        """Adds operations to the graph, whatever the context of the caller."""
        with self.tf_graph.as_default(), tf.control_dependencies(None), self._products():
            yield

    def _products(self) -> Any:
        """Makes products in the precision of this graph."""
        return products_in(self.options.precision)

    def _by_step(self, chunks: list[Any]) -> list[Any]:
        """Splits the rows of each chunk, [steps * batch_size, ...], into those of each step."""
        pairs = zip(chunks, self._forward.targets, strict=True)
        return [step for rows, targets in pairs for step in split_rows(rows, len(targets))]

    def _sibling(self, reweighted: bool = False, **changes: Any) -> UnrolledGraph:
        own = self.options.loss_steps
        if changes.get("loss_steps") is None:
            changes["loss_steps"] = own if isinstance(own, str) else min(own, changes["num_steps"])
        options = dataclasses.replace(self.options, **changes)
        key = (options, reweighted)
        with self._lock:
            if key not in self._siblings:
                with self.tf_graph.as_default():
                    sibling = UnrolledGraph(
                        self.cell,
                        reduce_gradients=self._reduce_gradients,
                        reweighted=reweighted,
                        **dataclasses.asdict(options),
                    )
                sibling._siblings, sibling._lock = self._siblings, self._lock
                self._siblings[key] = sibling
            return self._siblings[key]

    def _find_gradients(self) -> list[GradientAndVariable]:
        if not self.network.is_layered:
            return plain_gradients(self.total_loss)
        network, reading, forward, borders = self.network, self._reading, self._forward, self._borders
        loss = self.total_loss
        if self.options.recompute is None:
            return layered_gradients(loss, network, reading, forward.unrolled, borders).pairs
        return recomputed_gradients(
            forward.segments, forward.unroller_of, self._part_of_loss, borders, network, reading, loss
        )

    def _part_of_loss(
        self, reading: Reading, outputs: list[Any], targets: list[list[Any]], first_step: int
    ) -> Any:
        """The part of `total_loss` that comes from some chunks of steps; None where none of them counts."""
        counted = self._objective.counted_losses(reading.head, outputs, targets, first_step)
        return self._objective.total(counted)
