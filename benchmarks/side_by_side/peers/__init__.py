"""Registry of the libraries to compare and the variants of each.

Each module implements the training step in one library. Its function `make(problem, **options)` builds
the model from the problem's weights and returns a function (inputs, targets) -> loss. That function
runs one training step, carries the state to the next call, and returns the mean loss per token before
the update, as a value that `float` accepts.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

OWN = "tf_rnn"
CORES = os.cpu_count() or 1


class Peer(NamedTuple):
    """A variant of using a library.

    Attributes:
        family: Name of the library on the command line, shared by its variants.
        variant: Name of the variant; may be empty.
        package: Python package that must be installed.
        module: Module that defines `make`.
        options: Keyword arguments of `make`.
    """

    family: str
    variant: str
    package: str
    module: str
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """Display name."""
        return f"{self.family}, {self.variant}" if self.variant else self.family


def _version1(family: str, threads: str) -> Peer:
    variant = threads if family != "naive" else ""
    return Peer(family, variant, "tensorflow", f"{__name__}.version1", {"unroll": family, "threads": threads})


def _keras(variant: str, **options: Any) -> Peer:
    return Peer("keras", variant, "keras", f"{__name__}.keras_layers", options)


def _torch(variant: str, **options: Any) -> Peer:
    return Peer("torch", variant, "torch", f"{__name__}.pytorch", options)


# The naive unroll in double precision, whose losses are the reference.
REFERENCE = Peer(
    "naive",
    "float64",
    "tensorflow",
    f"{__name__}.version1",
    {"unroll": "naive", "threads": "default", "dtype": "float64"},
)
RECOMPUTED = Peer(OWN, "recompute", "tensorflow", f"{__name__}.unrolled_graph", {"recompute": "sqrt"})
PEERS = (
    Peer(OWN, "runner", "tensorflow", f"{__name__}.unrolled_graph", {}),
    Peer(OWN, "session.run", "tensorflow", f"{__name__}.unrolled_graph", {"prepared": False}),
    _version1("naive", "default"),
    *(
        _version1(family, threads)
        for family in ("static_rnn", "dynamic_rnn")
        for threads in ("default", "intra 1", "one thread")
    ),
    _keras("train_on_batch", way="train_on_batch"),
    _keras("tf.function", way="function"),
    _keras("tf.function, unroll", way="function", unroll=True),
    _keras("tf.function, jit_compile", way="function", jit_compile=True),
    *(
        _torch(f"{how}, {threads} thread{'s' if threads > 1 else ''}", threads=threads, compiled=compiled)
        for how, compiled in (("eager", False), ("compile", True))
        for threads in sorted({1, CORES})
    ),
    *(
        Peer("jax", how, "jax", f"{__name__}.jax_arrays", {"how": how})
        for how in ("scan", "scan a layer", "unrolled")
    ),
)
FAMILIES = tuple(dict.fromkeys(peer.family for peer in PEERS))
