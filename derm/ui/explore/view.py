"""What every part of the Explore page is handed. Knows tables; draws nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from derm.datasets import Dataset

if TYPE_CHECKING:
    from derm.inspection.scan import Scan


@dataclass(frozen=True, eq=False)
class View:
    """A data set as filtered. `table` and `whole` are canonical tables with what was measured joined on;
    `key` names the data set in caches and widgets, `list_path` the list of pictures to exclude."""

    dataset: Dataset
    table: pd.DataFrame
    whole: pd.DataFrame
    scan: Scan | None
    key: str
    list_path: Path

    @property
    def pictures(self) -> bool:
        """Whether any picture is on disk."""
        return bool(self.whole["path"].notna().any())
