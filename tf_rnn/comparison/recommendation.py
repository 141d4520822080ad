"""A recommended width and the measurements behind it."""

from __future__ import annotations

import dataclasses
from typing import TYPE_CHECKING, Any

from tf_rnn.comparison.tables import cost_table
from tf_rnn.comparison.verify import verification
from tf_rnn.files import plain, write_figure, write_json, write_text
from tf_rnn.reporting import Heading, Image, Page, Plain, Table
from tf_rnn.reporting.folder import results_folder
from tf_rnn.reporting.page import command_code

if TYPE_CHECKING:
    import os
    from collections.abc import Sequence
    from pathlib import Path

    from tf_rnn.analysis.advice import Advice
    from tf_rnn.analysis.study import LagStudy
    from tf_rnn.comparison.sweep import Sweep

FILES = ("report.md", "recommendation.json", "recommendation.csv", "recommendation.png")
# The folder, within that of a recommendation, for the runs that verify it.
VERIFY = "verify"


@dataclasses.dataclass(frozen=True)
class Recommendation:
    """A recommended width and the measurements behind it.

    Attributes:
        advice: The width and the reasons for it.
        studies: The gradient by lag of each network, by seed.
        sweep: The runs that verify the width; None without verification.
        identity: The configuration, ready for JSON.
        line: The configuration in words.
        files: The files that were written.
    """

    advice: Advice
    studies: list[LagStudy] = dataclasses.field(repr=False)
    sweep: Sweep | None
    identity: dict[str, Any] = dataclasses.field(repr=False)
    line: str
    files: Sequence[Path] = ()

    @property
    def num_steps(self) -> int:
        """The recommended width."""
        return self.advice.num_steps

    @property
    def reason(self) -> str:
        """Why, in words."""
        return self.advice.reason

    @property
    def verification(self) -> str | None:
        """Whether the width is as good as its half and its double, in words; None without verification."""
        return verification(self.sweep.summaries, self.num_steps) if self.sweep else None

    @property
    def records(self) -> list[dict[str, Any]]:
        """A dictionary for truncation after each number of steps, as in `recommendation.csv`."""
        return [
            {"truncation": K} | {f"relative_bias_seed_{seed}": bias for seed, bias in enumerate(biases)}
            for K, biases in enumerate(zip(*self._biases, strict=True), start=1)
        ]

    @property
    def _biases(self) -> list[list[float]]:
        return [study.last.relative_bias for study in self.studies]

    def table(self) -> Table:
        """What the width, its half, its double and the longest cost."""
        return cost_table(self.advice.costs)

    def figure(self) -> Any:
        """The bias of truncation of each network: a `matplotlib.figure.Figure`."""
        from tf_rnn.analysis.plots import advice_figure  # noqa: PLC0415 (loads TensorFlow)

        title = f"Fraction of the gradient lost to truncation\n{self.line}"
        return advice_figure(self._biases, self.advice.tolerance, self.num_steps, title)

    def as_json(self) -> dict[str, Any]:
        """The content of `recommendation.json`."""
        content = {
            **dataclasses.asdict(self.advice),
            "task": self.identity["task"],
            "cell": self.identity["cell"],
            "config": self.identity,
            "verification": self.verification,
        }
        plain_content: dict[str, Any] = plain(content)
        return plain_content

    def page(self, command: Sequence[str] = ()) -> Page:
        """The report.

        Args:
            command: The command line to show, without `python -m tf_rnn`.
        """
        networks = f"{len(self.studies)} networks were" if len(self.studies) > 1 else "1 network was"
        return Page(
            "Which width to use",
            self.reason,
            self.verification,
            Plain(f"{self.line}."),
            command_code(command),
            Image("Bias of truncation", "recommendation.png"),
            Heading("What it costs"),
            self.table(),
            Heading("How it was found"),
            (
                f"{networks} trained at width {len(self._biases[0])}, each from its own initial weights. "
                "Then errors were followed back, and the contribution of each step to the gradient of the "
                "recurrent weights was measured. The recommended width is the smallest from which on "
                "truncation loses no more than the tolerance, for the network that needs the most steps."
            ),
        )

    def require_no_failures(self) -> None:
        """Raises WorkerDiedError if runs of the verification failed, naming them."""
        if self.sweep:
            self.sweep.require_no_failures()

    def write(self, out: str | os.PathLike[str], command: Sequence[str] = ()) -> list[Path]:
        """Writes `report.md`, `recommendation.json`, `recommendation.csv` and `recommendation.png`.

        Args:
            out: The folder.
            command: The command line to show in the report, without `python -m tf_rnn`.

        Returns:
            The files.

        Raises:
            OptionError: For `out`, if it cannot be written or holds other results.
        """
        with results_folder(out, self.identity) as folder:
            if self.sweep:
                self.sweep.saved_in(folder / VERIFY)
            return self.write_files(folder, command)

    def write_files(self, folder: Path, command: Sequence[str]) -> list[Path]:
        """Writes the files to a folder that is claimed and locked; see `write`."""
        write_json(folder / "recommendation.json", self.as_json())
        records = self.records
        write_text(folder / "recommendation.csv", Table.of_records("", records, list(records[0])).csv())
        write_figure(folder / "recommendation.png", self.figure())
        self.page(command).write(folder / "report.md")
        return [folder / name for name in FILES]
