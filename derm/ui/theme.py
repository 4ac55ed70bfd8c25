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
  [data-testid="stMainBlockContainer"] { padding-left: 1rem; padding-right: 1rem; padding-top: 3.5rem; }
}
.derm-lead { opacity: .78; margin: 0; max-width: 60rem; }
.stHtml .derm-bars { list-style: none; margin: 0; padding: 0; display: grid; gap: .8rem; }
.stHtml .derm-bars li, .stHtml .derm-legend li { margin: 0; padding: 0; }
.derm-row { display: flex; justify-content: space-between; align-items: baseline; gap: 1rem; }
.derm-name { font-weight: 600; overflow-wrap: anywhere; }
.derm-kind { font-weight: 400; font-size: .85em; opacity: .75; white-space: nowrap; }
.derm-percent { font-weight: 600; font-variant-numeric: tabular-nums; white-space: nowrap; }
.derm-track { height: .6rem; border-radius: .3rem; margin-top: .25rem; overflow: hidden;
  background: color-mix(in srgb, currentColor 10%, transparent); }
.derm-fill { height: 100%; border-radius: .3rem; min-width: 2px; background: var(--derm-accent); }
.derm-small .derm-name, .derm-small .derm-percent { font-weight: 400; }
.stHtml .derm-small { gap: .55rem; font-size: .94rem; }
.derm-small .derm-track { height: .35rem; }
.derm-rest { font-size: .875rem; opacity: .75; margin: .7rem 0 0; }
.derm-stack { display: flex; gap: 2px; height: .9rem; border-radius: .45rem; overflow: hidden; }
.derm-stack > div { height: 100%; background: var(--derm-accent); }
.stHtml .derm-legend { display: flex; flex-wrap: wrap; gap: .3rem 1.3rem; list-style: none; margin: .55rem 0 0;
  padding: 0; font-size: .94rem; }
.derm-legend li { display: flex; align-items: center; gap: .45rem; }
.derm-dot { width: .75rem; height: .75rem; border-radius: 50%; background: var(--derm-accent); flex: none; }
.derm-notice { font-size: .82rem; opacity: .7; margin: 2rem 0 0; padding-top: .8rem;
  border-top: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
[data-testid="stFileUploaderDropzone"] { border-style: dashed; border-width: 1.5px;
  border-color: color-mix(in srgb, var(--derm-accent) 55%, transparent); }
[data-testid="stFileUploaderDropzone"]:not(:has([data-testid="stFileChip"])) { min-height: 7rem; }
.derm-note { margin: .4rem 0 0; padding: .8rem 1rem; border-radius: .3rem .6rem .6rem .3rem;
  border-left: 3px solid var(--derm-accent);
  background: color-mix(in srgb, var(--derm-accent) 8%, transparent); }
.derm-groups { display: grid; gap: .3rem 1.5rem; margin-top: .7rem;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
.derm-groups h5 { font-size: .875rem; font-weight: 600; padding: .3rem 0; margin: 0; }
.stHtml .derm-ranges { list-style: none; margin: 0; padding: 0; display: grid; gap: .45rem; font-size: .875rem; }
.stHtml .derm-ranges li { margin: 0; padding: 0; font-variant-numeric: tabular-nums; }
.derm-chosen { font-weight: 700; }
.derm-range { position: relative; height: .5rem; border-radius: .25rem; margin-top: .2rem;
  background: color-mix(in srgb, currentColor 10%, transparent); }
.derm-range i, .derm-range b { position: absolute; top: 0; height: 100%; border-radius: .25rem; }
.derm-range i { background: color-mix(in srgb, var(--derm-accent) 45%, transparent); }
.derm-range b { width: .3rem; margin-left: -.15rem; background: var(--derm-accent); }
.derm-set p { margin: .4rem 0; }
.stHtml .derm-set ul { display: flex; flex-wrap: wrap; gap: .35rem; list-style: none; margin: 0; padding: 0; }
.stHtml .derm-set li { font-size: .875rem; padding: .1rem .65rem; margin: 0; border-radius: 1rem;
  border: 1px solid color-mix(in srgb, var(--derm-accent) 45%, transparent); overflow-wrap: anywhere; }
.derm-case { margin: 0; font-size: .875rem; line-height: 1.35; }
.derm-case .derm-dot { display: inline-block; margin-right: .35rem; }
.derm-fact { display: grid; grid-template-columns: 7.5rem 1fr; gap: .2rem .8rem; margin: 0 0 .3rem;
  font-size: .94rem; overflow-wrap: anywhere; }
.derm-fact span { opacity: .7; }
.derm-scroll { overflow-x: auto; }
.stHtml .derm-differences { border-collapse: collapse; font-size: .94rem; font-variant-numeric: tabular-nums; }
.derm-differences th, .derm-differences td { text-align: left; padding: .4rem 1.2rem .4rem 0; font-weight: 400;
  border-bottom: 1px solid color-mix(in srgb, currentColor 15%, transparent); white-space: nowrap; }
.derm-differences thead th, .derm-differences td span { opacity: .7; }
@media (max-width: 640px) {
  .derm-differences td span { display: block; }
  .stHtml .derm-differences { font-size: .8rem; }
  .stHtml .derm-differences th, .stHtml .derm-differences td { padding-right: .55rem; vertical-align: top; }
  .derm-differences thead th { white-space: normal; }
}
.derm-differences .derm-worse, .derm-differences .derm-better { font-weight: 600; }
.derm-differences .derm-worse { color: light-dark(#b3461b, #f0955a); }
[class*="st-key-derm-tiles"] { display: grid; gap: .6rem; align-items: stretch;
  grid-template-columns: repeat(auto-fit, minmax(9.75rem, 1fr)); }
[class*="st-key-derm-tiles"] > div { width: auto !important; padding: .6rem .8rem .65rem; border-radius: .6rem;
  border: 1px solid color-mix(in srgb, currentColor 15%, transparent); }
[class*="st-key-derm-tiles"] [data-testid="stMetricLabel"] * { white-space: normal; overflow: visible; }
[class*="st-key-derm-tiles"] [data-testid="stMetricValue"] { font-size: 1.5rem; line-height: 1.35;
  font-variant-numeric: tabular-nums; }
[class*="st-key-derm-tiles"] [data-testid="stMetricDelta"] { background: none; padding: 0; border-radius: 0;
  color: inherit; opacity: .75; font-size: .8rem; }
[class*="st-key-derm-tiles"] [data-testid="stMetricDelta"] * { white-space: normal; overflow: visible; }
[class*="st-key-files-"] button { font-size: .85rem; min-height: 2rem; padding: 0; opacity: .75; }
.derm-filtered { display: flex; flex-wrap: wrap; align-items: center; gap: .35rem .8rem; }
.stHtml .derm-filtered ul { display: flex; flex-wrap: wrap; gap: .35rem; list-style: none; margin: 0; padding: 0; }
.derm-filtered li { font-size: .85rem; padding: .1rem .65rem; border-radius: 1rem; margin: 0;
  border: 1px solid color-mix(in srgb, var(--derm-accent) 45%, transparent);
  background: color-mix(in srgb, var(--derm-accent) 8%, transparent); overflow-wrap: anywhere; }
.stHtml .derm-said { margin: 0; padding-left: 1.1rem; font-size: .94rem; display: grid; gap: .3rem;
  max-width: 46rem; }
.stHtml .derm-said li { margin: 0; padding: 0; }
.st-key-model [data-testid="stRadioCaption"] { min-height: 2lh; }
.st-key-skin_type [data-variant="pills"] { min-width: 2.75rem; min-height: 2.6rem;
  justify-content: center;
  border: 1px solid color-mix(in srgb, currentColor 25%, transparent); }
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
