"""What the searches share: a folder that command lines may name, made once."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from workplace import furnish

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture(scope="session")
def furnished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("furnished")
    furnish(folder)
    return folder
