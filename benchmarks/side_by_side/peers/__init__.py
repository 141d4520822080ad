"""The libraries that are compared, and in which ways each is used.

A module here is one way to write the training step. Its function `make(problem, **options)` builds the
model from the problem's weights and returns a function (inputs, targets) -> loss which makes one
training step, carries the state on to the next call, and gives the mean loss of a token, before the
update, as something that `float` takes.
"""

from __future__ import annotations

import os
from typing import Any, NamedTuple

OWN = "tf_rnn"
CORES = os.cpu_count() or 1


class Peer(NamedTuple):
    """One way to use one library.

    Attributes:
        family: The word on the command line for all ways to use it.
        variant: What is special about this one.
        package: The Python package that has to be installed.
        module: The module that has `make`.
        options: What `make` is called with beside the problem.
    """

    family: str
    variant: str
    package: str
    module: str
    options: dict[str, Any]

    @property
    def name(self) -> str:
        """For a person to read."""
        return f"{self.family}, {self.variant}" if self.variant else self.family


def _version1(family: str, threads: str) -> Peer:
    variant = threads if family != "naive" else ""
    return Peer(family, variant, "tensorflow", f"{__name__}.version1", {"unroll": family, "threads": threads})


def _keras(variant: str, **options: Any) -> Peer:
    return Peer("keras", variant, "keras", f"{__name__}.keras_layers", options)


def _torch(variant: str, **options: Any) -> Peer:
    return Peer("torch", variant, "torch", f"{__name__}.pytorch", options)


# The naive unroll with double precision: what every loss is compared with.
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
