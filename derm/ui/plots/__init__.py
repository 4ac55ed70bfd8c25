"""The Explore page's charts: each from a small frame of derm.explore, none from rows of pictures."""

from __future__ import annotations

from derm.ui.plots.bars import compare_bars, fst_bars, label_bars, missing_bars, source_bars
from derm.ui.plots.chart import Chart, export, lines
from derm.ui.plots.maps import CELL, agreement_map, association_map, coverage_map
from derm.ui.plots.ranges import histogram, ita_boxes

__all__ = ["CELL", "Chart", "agreement_map", "association_map", "compare_bars", "coverage_map", "export",
           "fst_bars", "histogram", "ita_boxes", "label_bars", "lines", "missing_bars", "source_bars"]
