"""Numbers in sentences."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

LONGEST_LIST = 4


def steps_word(count: int) -> str:
    """`1 step`, `4 steps`."""
    return f"{count} step{'' if count == 1 else 's'}"


def listed(numbers: Sequence[int | str], last: str = "and") -> str:
    """`2`, `2 and 3`, `2, 3 and 5`; many are cut short: `2, 3, 4, ...`."""
    shown = [str(number) for number in numbers[:LONGEST_LIST]]
    if len(numbers) > LONGEST_LIST:
        return f"{', '.join(shown[:-1])} {last} {len(numbers) - LONGEST_LIST + 1} more"
    return f" {last} ".join([", ".join(shown[:-1]), shown[-1]] if len(shown) > 1 else shown)
