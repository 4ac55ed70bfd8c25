"""The pages' charts: each from a small frame of derm.explore or derm.fairness, none from rows of pictures."""

from __future__ import annotations

from derm.ui.plots.bars import compare_bars, fst_bars, label_bars, missing_bars, source_bars
from derm.ui.plots.chart import Chart, export, lines
from derm.ui.plots.confusion import PAIR, confusion_map, difference_map, sensitivity_map
from derm.ui.plots.curves import calibration_curves, threshold_curves, training_lines
from derm.ui.plots.groups import GROUP, effect_bars, group_bars
from derm.ui.plots.maps import CELL, agreement_map, association_map, coverage_map
from derm.ui.plots.ranges import histogram, ita_boxes
from derm.ui.plots.scatter import Compared, model_scatter

__all__ = ["CELL", "GROUP", "PAIR", "Chart", "Compared", "agreement_map", "association_map", "calibration_curves",
           "compare_bars", "confusion_map", "coverage_map", "difference_map", "effect_bars", "export", "fst_bars",
           "group_bars", "histogram", "ita_boxes", "label_bars", "lines", "missing_bars", "model_scatter",
           "sensitivity_map", "source_bars", "threshold_curves", "training_lines"]
