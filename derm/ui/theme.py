"""How the pages look: colours, swatches, the one style sheet. Knows CSS; no data, no models."""

from __future__ import annotations

from collections.abc import Mapping

from derm.schema import SkinType

# Six tones of our own choosing, one a Fitzpatrick skin type; the numeral always stands with the colour.
SWATCHES: Mapping[SkinType, str] = {
    SkinType.I: "#f5ddcb",
    SkinType.II: "#e8c19f",
    SkinType.III: "#cf9f74",
    SkinType.IV: "#a9744a",
    SkinType.V: "#75492d",
    SkinType.VI: "#42281c",
}
# (light, dark) of each; told apart by colour-blind people, and always named beside.
PARTITION_COLOURS: Mapping[str, tuple[str, str]] = {
    "malignant": ("#c2571a", "#f0955a"),
    "benign": ("#0f7f78", "#4fbfb0"),
    "non-neoplastic": ("#5868b0", "#97a5ea"),
}
ACCENT = ("#0f6e6a", "#5dc4b6")  # primaryColor in .streamlit/config.toml

_CSS = """
[data-testid="stMainBlockContainer"] { max-width: 76rem; padding-top: 3.75rem; padding-bottom: 3rem; }
@media (max-width: 640px) {
  .st-key-skin_type [data-variant="pills"] { min-width: 2.45rem; padding-left: .4rem; padding-right: .4rem; }
}
.st-key-skin_type [data-variant="pills"][data-selected] { border-color: var(--derm-accent);
  box-shadow: inset 0 0 0 3px var(--derm-accent), inset 0 0 0 5px light-dark(#fff, #101a1d); }
"""


def apply() -> None:
    """Send the style sheet; once a run, before anything is drawn."""
    import streamlit as st  # only here: the charts need the colours alone

    st.html(f"<style>{_variables()}{_CSS}{_swatch_rules()}</style>")


def kind_class(partition: str | None) -> str:
    """The CSS class that colours a bar by benign / malignant / non-neoplastic; '' if not known."""
    return f"derm-{partition}" if partition in PARTITION_COLOURS else ""


def _variables() -> str:
    # Streamlit sets color-scheme on the app, so light-dark() follows the viewer's choice without a re-run.
    rules = [f".stApp {{ --derm-accent: light-dark({ACCENT[0]}, {ACCENT[1]}); }}"]
    rules += [f".derm-{name} {{ --derm-accent: light-dark({light}, {dark}); }}"
              for name, (light, dark) in PARTITION_COLOURS.items()]
    return "\n".join(rules)


def _swatch_rules() -> str:
    rules = []
    for skin, colour in SWATCHES.items():
        ink = "#241812" if skin <= SkinType.III else "#fff6ee"
        pill = f'.st-key-skin_type [data-variant="pills"]:nth-of-type({int(skin)})'
        rules.append(f"{pill}, {pill}:hover, {pill}[data-selected] {{ background: {colour}; }}"
                     f"{pill}, {pill} p {{ color: {ink}; font-weight: 600; }}")
    return "\n".join(rules)
