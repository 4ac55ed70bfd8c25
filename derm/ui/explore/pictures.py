"""Pictures on the page: small ones in a grid, each with its condition and skin type, some blurred until clicked.

Knows what may be shown at once and how; the browser never receives a full photograph.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Any, Literal

import pandas as pd
import streamlit as st

from derm import thumbnails
from derm.errors import ImageError
from derm.schema import SkinType, display_name
from derm.settings import settings
from derm.ui import theme
from derm.ui.explore.view import View

Row = Mapping[Any, Any]  # a row of the canonical table, by column

PER_PAGE = 24
_PAGES = 320  # pixels; as wide as its content, the widget hides page numbers that would fit
_BLUR, _SHOWN, _ASKED = "blur", "shown-pictures", "asked-picture"
_SITES = "x_body_parts_"
_INTIMATE = re.compile(r"genit|groin|buttock|breast|nipple|areol|penis|vulv|vagin|scrot|\banal|\banus|perian"
                       r"|perin|pubi", re.IGNORECASE)
_UNSAID = re.compile(r"^(|unknown|other.*|none.*|not .*|n/?a)$", re.IGNORECASE)

_CSS = """
[class*="st-key-derm-grid"] { display: grid; gap: 1rem;
  grid-template-columns: repeat(auto-fill, minmax(9.5rem, 1fr)); }
[class*="st-key-derm-trio"] { display: grid; gap: .8rem; grid-template-columns: repeat(3, minmax(0, 15rem)); }
@media (max-width: 640px) {
  [class*="st-key-derm-grid"] { gap: .7rem; grid-template-columns: repeat(auto-fill, minmax(6.4rem, 1fr)); }
  [class*="st-key-derm-trio"] { grid-template-columns: repeat(2, minmax(0, 1fr)); }
}
[class*="st-key-derm-grid"] img, [class*="st-key-derm-trio"] img { width: 100%; aspect-ratio: 1;
  object-fit: contain; border-radius: .5rem; background: color-mix(in srgb, currentColor 8%, transparent); }
[class*="st-key-derm-grid"] [data-testid="stElementToolbar"],
[class*="st-key-derm-trio"] [data-testid="stElementToolbar"] { display: none; }
[class*="st-key-derm-grid"] > div > [data-testid="stVerticalBlock"] { height: 100%; }
[class*="st-key-derm-grid"] > div > [data-testid="stVerticalBlock"] > :last-child { margin-top: auto; }
.derm-picture { font-size: .85rem; line-height: 1.35; overflow-wrap: anywhere; }
.derm-picture small { display: block; opacity: .75; font-size: .8rem; }
.derm-tone { display: inline-block; width: .8rem; height: .8rem; border-radius: .2rem; margin-right: .3rem;
  vertical-align: -.08rem; border: 1px solid color-mix(in srgb, currentColor 30%, transparent); }
"""


@dataclass(frozen=True)
class Picture:
    """A row as its thumbnail needs it; `path` is None where there is no file, `skin` a numeral, a group or ''."""

    image_id: str
    path: Path | None
    condition: str
    skin: str
    sensitive: bool


def style() -> None:
    """Send this module's style sheet; each panel does, before it draws."""
    st.html(f"<style>{_CSS}</style>")


def blur_switch() -> bool:
    """The page's one switch, on unless somebody turned it off in this session."""
    return st.toggle("Blur pictures until clicked", value=True, key=_BLUR, persist_state="session",
                     help="Blurs pictures of intimate parts of the body, and those whose part is not known.")


def blurring() -> bool:
    """How that switch stands, for what is drawn where the switch is not."""
    return bool(st.session_state.get(_BLUR, True))


def of(view: View, rows: pd.DataFrame) -> list[Picture]:
    """The rows as pictures, in order."""
    return [_picture(view, row) for row in rows.to_dict("records")]


def _picture(view: View, row: Row) -> Picture:
    known = {column: value for column, value in row.items() if not pd.isna(value)}
    path, condition = known.get("path"), known.get("condition")
    skin = SkinType(known["fst"]).name if "fst" in known else str(known.get("x_skin_group", ""))
    return Picture(str(row["image_id"]), view.dataset.root / path if path else None,
                   display_name(condition) if condition else "", skin.replace("-", "–"), sensitive(known))


def sensitive(known: Row) -> bool:
    """Whether a picture may show an intimate part: its site is one, or nobody said which it is.

    `known` are a row's values that are not missing.
    """
    sites = [str(known.get("x_body_site", ""))]
    sites += [column.removeprefix(_SITES).replace("_", " ") for column in known if column.startswith(_SITES)]
    said = [site for site in sites if not _UNSAID.match(site.strip())]
    return not said or any(_INTIMATE.search(site) for site in said)


def hidden(picture: Picture, *, blur: bool) -> bool:
    """Whether it is still to be clicked before it may be seen."""
    return blur and picture.sensitive and picture.image_id not in st.session_state.get(_SHOWN, set())


def reveal(*image_ids: str) -> None:
    """Somebody clicked: show these sharp for the rest of the session."""
    st.session_state[_SHOWN] = st.session_state.get(_SHOWN, set()) | set(image_ids)


def jpeg(picture: Picture, *, blurred: bool, side: int = thumbnails.SIDE) -> bytes:
    """The thumbnail, or words in its place where there is no file or none that can be read."""
    if picture.path is None:
        return thumbnails.placeholder("Not on disk", side=side)
    try:
        return thumbnails.thumbnail(picture.path, side=side, blur=blurred, cache=settings().cache)
    except ImageError:
        return thumbnails.placeholder("Cannot\nbe read", side=side)


def draw(picture: Picture, *, blurred: bool, side: int = thumbnails.SIDE,
         width: Literal["stretch", "content"] = "stretch") -> None:
    """The thumbnail with words for who cannot see it, as wide as its place or as it is."""
    said = [picture.condition or "condition not known", f"skin type {picture.skin or 'not known'}"]
    st.image(jpeg(picture, blurred=blurred, side=side), width=width,
             alt=f"{'Blurred picture' if blurred else 'Picture'}: {', '.join(said)}")


def label(picture: Picture, *remarks: str) -> str:
    """HTML: the swatch and numeral, the condition, and remarks of a line each."""
    lines = "".join(f"<small>{escape(remark)}</small>" for remark in remarks if remark)
    return (f'<div class="derm-picture">{skin_label(picture.skin)} · '
            f"{escape(picture.condition or 'No condition')}{lines}</div>")


def skin_label(skin: str) -> str:
    """HTML: a swatch and 'IV'; of a group, its two swatches; 'no type' without."""
    ends = [SkinType[end] for end in skin.split("–") if end in SkinType.__members__]
    tones = "".join(f'<span class="derm-tone" style="background: {theme.SWATCHES[end]}"></span>' for end in ends)
    return f"{tones}<strong>{escape(skin)}</strong>" if skin else "<em>no skin type</em>"


def grid(pictures: list[Picture], *, key: str, blur: bool, remarks: Callable[[Picture], list[str]]) -> str | None:
    """Thumbnails as many abreast as fit, a button under each: 'Show' while blurred, then 'Record'.

    Returns the id of the picture whose record was asked for, if any.
    """
    with st.container(key=f"derm-grid-{key}"):
        for picture in pictures:
            covered = hidden(picture, blur=blur)
            with st.container(gap="xsmall"):
                draw(picture, blurred=covered)
                st.html(label(picture, *remarks(picture)))
                st.button("Show" if covered else "Record", key=f"{key}-{picture.image_id}", width="stretch",
                          on_click=reveal if covered else _ask, args=(picture.image_id,))
    return st.session_state.pop(_ASKED, None)


def _ask(image_id: str) -> None:
    st.session_state[_ASKED] = image_id


def pages(count: int, *, per_page: int, key: str) -> slice:
    """Which of `count` things to show, with the buttons to turn pages where one is not enough."""
    number = -(-count // per_page)
    page = st.pagination(number, max_visible_pages=5, width=_PAGES, key=key) if number > 1 else 1
    return slice((page - 1) * per_page, page * per_page)
