"""Registry of the libraries to compare and the variants of each.

Each module implements the training step in one library. Its function `make(problem, **options)` builds
the model from the problem's weights and returns a function (inputs, targets) -> loss. That function
runs one training step, carries the state to the next call, and returns the mean loss per token before
the update, as a value that `float` accepts.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

from tf_rnn.options.words import FLOAT32, MIXED_BFLOAT16

OWN = "tf_rnn"
# What the names of peers and floors end with, by precision.
LABELS = {FLOAT32: "", MIXED_BFLOAT16: ", bfloat16"}
CORES = os.cpu_count() or 1


class Peer(NamedTuple):
    """A variant of using a library.

    Attributes:
        family: Name of the library on the command line, shared by its variants.
        variant: Name of the variant; may be empty.
        package: Python package that must be installed.
        module: Module that defines `make`.
        options: Keyword arguments of `make`.
        precision: "float32", or "mixed_bfloat16" for the lower precision that the library is best in.
    """

    family: str
    variant: str
    package: str
    module: str
    options: dict[str, Any]
    precision: str = FLOAT32

    @property
    def name(self) -> str:
        """Display name."""
        name = f"{self.family}, {self.variant}" if self.variant else self.family
        return name + LABELS[self.precision]


def _version1(family: str, threads: str) -> Peer:
    variant = threads if family != "naive" else ""
    return Peer(family, variant, "tensorflow", f"{__name__}.version1", {"unroll": family, "threads": threads})


def _keras(variant: str, **options: Any) -> Peer:
    return Peer("keras", variant, "keras", f"{__name__}.keras_layers", options)


def _torch(variant: str, **options: Any) -> Peer:
    return Peer("torch", variant, "torch", f"{__name__}.pytorch", options)


def _lower(peer: Peer, **options: Any) -> Peer:
    """The same with products of lower precision."""
    options = {"precision": MIXED_BFLOAT16} | options
    return peer._replace(options=peer.options | options, precision=MIXED_BFLOAT16)


# The naive unroll in double precision, whose losses are the reference.
REFERENCE = Peer(
    "naive",
    "float64",
    "tensorflow",
    f"{__name__}.version1",
    {"unroll": "naive", "threads": "default", "dtype": "float64"},
)
RECOMPUTED = Peer(OWN, "recompute", "tensorflow", f"{__name__}.unrolled_graph", {"recompute": "sqrt"})
_KERAS = (
    _keras("train_on_batch", way="train_on_batch"),
    _keras("tf.function", way="function"),
    _keras("tf.function, unroll", way="function", unroll=True),
    _keras("tf.function, jit_compile", way="function", jit_compile=True),
)
_TORCH = tuple(
    _torch(f"{how}, {threads} thread{'s' if threads > 1 else ''}", threads=threads, compiled=compiled)
    for how, compiled in (("eager", False), ("compile", True))
    for threads in sorted({1, CORES})
)
_JAX = tuple(
    Peer("jax", how, "jax", f"{__name__}.jax_arrays", {"how": how})
    for how in ("scan", "scan a layer", "unrolled")
)
PEERS = (
    Peer(OWN, "runner", "tensorflow", f"{__name__}.unrolled_graph", {}),
    Peer(OWN, "session.run", "tensorflow", f"{__name__}.unrolled_graph", {"prepared": False}),
    _version1("naive", "default"),
    *(
        _version1(family, threads)
        for family in ("static_rnn", "dynamic_rnn")
        for threads in ("default", "intra 1", "one thread")
    ),
    *_KERAS,
    *_TORCH,
    *_JAX,
)
# The same work with products of lower precision, in the ways that each library has for that on a CPU.
LOWER_PEERS = (
    _lower(PEERS[0]),
    *map(_lower, _KERAS),
    *(
        _lower(peer._replace(variant=f"{peer.variant}, {how}"), precision=how)
        for peer in _TORCH
        for how in ("autocast", "medium")
    ),
    *map(_lower, _JAX),
)
FAMILIES = tuple(dict.fromkeys(peer.family for peer in PEERS))
