"""Makes `pytorch_reference.npz`, predictions of PyTorch's recurrent modules with their weights and inputs.

    pip install torch && python tests/pytorch_reference.py

Two layers of 5 units with dropout between them, in evaluation mode, and a linear readout.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

FILE = Path(__file__).with_name("pytorch_reference.npz")
KINDS = ("RNN", "GRU", "LSTM")
INPUTS, UNITS, TARGETS, LENGTH = 3, 5, 2, 36


def main() -> None:
    """Writes the file."""
    import torch  # type: ignore[import-not-found, unused-ignore] # noqa: PLC0415 -- not required by the tests

    class Network(torch.nn.Module):  # type: ignore[misc, unused-ignore]
        def __init__(self, kind: str) -> None:
            super().__init__()
            self.rnn = getattr(torch.nn, kind)(INPUTS, UNITS, num_layers=2, dropout=0.5)
            self.head = torch.nn.Linear(UNITS, TARGETS)

        def forward(self, x: Any) -> Any:
            return self.head(self.rnn(x)[0])

    torch.manual_seed(3)
    inputs = torch.randn(LENGTH, 1, INPUTS)
    found = {"inputs": inputs[:, 0].numpy(), "version": np.array(torch.__version__)}
    for kind in KINDS:
        network = Network(kind).eval()
        found[f"{kind}/predictions"] = network(inputs)[:, 0].detach().numpy()
        found |= {f"{kind}/weights/{name}": value.numpy() for name, value in network.state_dict().items()}
    np.savez_compressed(FILE, **found)


if __name__ == "__main__":
    main()
