"""Which pictures of a data set are unreadable or poor, in single words. Knows measures; hides and removes nothing.

cleanvision 0.3 judges light, information, size and shape. Its Imagelab is not used: one broken file ends its
whole run, it prints, and it starts processes, which a server's threads should not. What it measures of a picture
and how it judges the numbers is used as it is, with these limits, set by looking at what is flagged of the 4,087
AJL 2025 photographs:

- dark: 0.47, the limit of `derm.images`, where cleanvision's 0.32 flags none. It flags 13 dim pictures, of skin
  types I to VI 1, 3, 3, 1, 2 and 1.
- blurred: not cleanvision's, which looks at 64 pixels and flags 369 (9 %), most of them sharp pictures of smooth
  skin before a dark background. The detail of `derm.images`, at its limit, flags 36, nearly all of them soft.
- grey: cleanvision goes by the file's mode, but a scan without colour is usually saved with three channels.
  Flagged is a picture whose channels differ by less than 10 in all but a hundredth of it; none here.
- bright, low-information: cleanvision's, for blank pictures; none here.
- odd-shape: cleanvision's, for strips about three times as long as wide; 2 here.
- odd-size: cleanvision's, relative to the data set (3 interquartile ranges); 52 here, most of them the 130-pixel
  thumbnails among pictures of 256.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pandas as pd

from derm.inspection import measures
from derm.inspection.measures import Progress

UNREADABLE = "unreadable"
# What cleanvision calls it, and what we do.
_CLEANVISION = {"dark": "dark", "light": "bright", "low_information": "low-information", "odd_size": "odd-size",
                "odd_aspect_ratio": "odd-shape"}
_DARK = 0.47    # brightness of the pixel that one in a hundred exceeds
_DETAIL = 5.0   # at 256 pixels; see derm.images.quality
_COLOUR = 10.0  # of 255
WORDS = (UNREADABLE, "dark", "bright", "blurred", "low-information", "odd-size", "odd-shape", "grey")


def flags(paths: Sequence[Path], *, cache: Path | None = None, progress: Progress | None = None) -> pd.DataFrame:
    """One row a path, in order: `flags` (WORDS that apply, joined by ';', '' if none), `unreadable` (bool),
    `reason` (a sentence, missing if readable), `width`, `height` (Int64, pixels) and `ita` (Float64, degrees).

    `cache` and `progress` as in `measures.measure`. No file makes it fail; an unreadable one is only that.
    """
    measured = measures.measure(paths, cache=cache, progress=progress)
    unreadable = measured["reason"].notna()
    found = pd.DataFrame(False, index=measured.index, columns=list(WORDS))
    found[UNREADABLE] = unreadable
    if not unreadable.all():
        found.update(_judged(measured[~unreadable]))
    words = found.to_numpy(dtype=bool)
    text = [";".join(word for word, applies in zip(WORDS, row, strict=True) if applies) for row in words]
    return pd.DataFrame({"flags": pd.Series(text, index=measured.index, dtype="str"),
                         "unreadable": unreadable, "reason": measured["reason"],
                         "width": measured["width"].astype("Int64"), "height": measured["height"].astype("Int64"),
                         "ita": measured["ita"]})


def _judged(measured: pd.DataFrame) -> pd.DataFrame:
    """Whether each word but `unreadable` applies, bool; the rows are those of readable pictures, at least one."""
    from cleanvision.issue_managers.image_property_issue_manager import ImagePropertyIssueManager

    numbers = measured[list(measures.NUMBERS)].astype("float64")
    judge = ImagePropertyIssueManager()
    judge.update_params({"dark": {"threshold": _DARK}})
    judge.issues = pd.DataFrame(index=numbers.index)
    judge.update_issues(numbers, list(_CLEANVISION))
    found = pd.DataFrame({word: judge.issues[f"is_{issue}_issue"] for issue, word in _CLEANVISION.items()})
    # A dark, bright or empty picture has no detail however sharp it is.
    plain = found[["dark", "bright", "low-information"]].any(axis=1)
    return found.assign(blurred=(numbers["detail"] < _DETAIL) & ~plain, grey=numbers["colour"] < _COLOUR)
