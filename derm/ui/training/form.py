"""The form of a new run: every setting as a widget, and what is wrong with one told where it is.

Widgets; what the form says is in the session, so that it survives a change of page.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields, replace
from pathlib import Path

import streamlit as st

from derm import registry
from derm.errors import ConfigError
from derm.nn.config import TrainConfig, override, preset
from derm.settings import settings
from derm.ui.components import plain
from derm.ui.explore import sources
from derm.ui.explore.view import View
from derm.ui.training import fields as named
from derm.ui.training.fields import Field

_PREFIX, _PRESET, _STRENGTH = "train-", "train--preset", "train--strength"
_DEFAULTS = asdict(TrainConfig())
_SPECS = {spec.name: spec.metadata for spec in fields(TrainConfig)}
_CSS = """
[class*="st-key-derm-fields"] { display: grid; gap: .9rem 1.6rem; align-items: start;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 15rem), 1fr)); }
[class*="st-key-derm-fields"] > div { width: auto !important; }
"""


def fill(config: TrainConfig, *, name: str) -> None:
    """Make the form say what `config` says; `name` is the preset that it began with."""
    for key, value in asdict(config).items():
        st.session_state[_PREFIX + key] = value
    st.session_state[_PRESET] = name


def begun_with() -> str:
    """The preset that the form began with."""
    return str(st.session_state.get(_PRESET) or "default")


def panel() -> tuple[TrainConfig, View] | None:
    """The form; what it says and the data set, or None where something is wrong, which stands in its place."""
    st.html(f"<style>{_CSS}</style>")
    choices = {str(choice.root): choice for choice in sources.choices() if choice.adapter != sources.COUNTS}
    if not choices:
        st.info("No data set with photographs is here yet. Whoever runs this app can name its folder with "
                "DERM_DATA or in derm.toml; `derm data list` says how to get one.")
        return None
    if _PREFIX + "backbone" not in st.session_state:
        fill(preset("default"), name="default")
    config, problem = _said()
    with st.container(key="derm-fields-data"):
        chosen = _data(list(choices), {root: choice.title for root, choice in choices.items()})
        _field(named.SPLIT, problem)
    whole = sources.whole(choices[chosen])
    _preset()
    with st.container(key="derm-fields-basic"):
        for field in named.BASIC:
            _field(field, problem)
        _strength()
    for title, part in named.MORE.items():
        _more(title, part, problem, whole)
    return None if config is None else (config, whole)


def _said() -> tuple[TrainConfig | None, ConfigError | None]:
    """The form as a config, or what is wrong with it."""
    values = {key: st.session_state.get(_PREFIX + key, value) for key, value in _DEFAULTS.items()}
    try:
        return override(TrainConfig(), values), None
    except ConfigError as error:
        return None, error


def _data(roots: list[str], titles: Mapping[str, str]) -> str:
    key = f"{_PREFIX}data"
    if st.session_state.get(key) not in roots:  # gone, or of a run on another machine
        st.session_state[key] = roots[0]
    chosen = st.selectbox("Data set", roots, key=key, format_func=lambda root: titles.get(root, root),
                          persist_state="session", help="The folders that this app was told of.")
    return chosen if chosen in roots else roots[0]


def _preset() -> None:
    """Three ways to begin; each sets all that is below and leaves the data as it is."""
    chosen = st.segmented_control("Begin with", list(named.PRESETS), key=_PRESET, required=True,
                                  format_func=lambda name: named.PRESETS[name], on_change=_take,
                                  persist_state="session")
    st.caption(named.PRESET_WHY.get(str(chosen), ""))


def _take() -> None:
    name = begun_with()
    kept = {key: st.session_state[_PREFIX + key] for key in ("data", "split", "split_file", "fold", "exclude")}
    fill(override(preset(name), kept), name=name)


def _strength() -> None:
    now = named.strength({key: st.session_state[_PREFIX + key] for key in _DEFAULTS})
    st.session_state[_STRENGTH] = now
    names = [*named.STRENGTHS, *([named.OWN_STRENGTH] if now == named.OWN_STRENGTH else [])]
    with st.container(gap="xsmall"):
        st.selectbox("Changes to the photographs", names, key=_STRENGTH, on_change=_strengthen)
        st.caption("Each time a photograph is shown it is cropped, turned and lit a little differently, so that "
                   "none is learnt by heart.")


def _strengthen() -> None:
    for key, value in named.STRENGTHS.get(st.session_state[_STRENGTH], {}).items():
        st.session_state[_PREFIX + key] = value


def _more(title: str, part: tuple[Field, ...], problem: ConfigError | None, whole: View) -> None:
    """Settings that most people leave as they are; those that are not are counted."""
    usual = asdict(preset(begun_with()))
    changed = [field.label for field in part if st.session_state[_PREFIX + field.key] != usual[field.key]]
    here = problem is not None and any(field.key == problem.key for field in part)
    label = f"{title} ({len(changed)} changed)" if changed else title
    with st.expander(label, expanded=here, key=f"train--{title}"), \
            st.container(key=f"derm-fields-more-{title.split()[0].lower()}"):
        for field in part:
            _field(field, problem, whole)


def _field(field: Field, problem: ConfigError | None, whole: View | None = None) -> None:
    with st.container(gap="xsmall"):
        if field.key == "metadata" and whole is not None:
            _metadata(field, whole)
        elif field.key == "exclude" and whole is not None:
            _exclude(field, whole)
        elif field.key == "weights":
            _widget(replace(field, names={**field.names, **_earlier()}))
        else:
            _widget(field)
        if problem is not None and problem.key == field.key:
            st.error(plain(str(problem)), icon=":material/error:")
        else:
            st.caption(field.why)


def _widget(field: Field) -> None:
    key, default, spec = _PREFIX + field.key, _DEFAULTS[field.key], _SPECS[field.key]
    off = field.only is not None and st.session_state.get(_PREFIX + field.only[0]) not in field.only[1]
    if field.names:
        options = list(field.names)
        if (now := st.session_state[key]) not in options:
            options.append(now)  # a file of weights, say
        st.selectbox(field.label, options, key=key, disabled=off, persist_state="session",
                     format_func=lambda value: field.names.get(value, str(value)),
                     on_change=_suit if field.key == "backbone" else None)
    elif isinstance(default, bool):
        st.toggle(field.label, key=key, disabled=off, persist_state="session")
    elif isinstance(default, str):
        st.text_input(field.label, key=key, disabled=off, persist_state="session")
    elif isinstance(default, int):
        st.number_input(field.label, int(spec["low"]), int(spec["high"]), step=int(field.step), key=key,
                        disabled=off, persist_state="session")
    else:
        st.session_state[key] = float(st.session_state[key])
        st.number_input(field.label, float(spec["low"]), float(spec["high"]), step=float(field.step), format="%g",
                        key=key, disabled=off, persist_state="session")


def _earlier() -> dict[str, str]:
    """The models that a network of the chosen kind can go on from."""
    kind = st.session_state[f"{_PREFIX}backbone"]
    return {bundle.name: f"The model {bundle.name}" for bundle in registry.list_bundles()
            if bundle.backbone == kind}


def _suit() -> None:
    """The plain network has no published weights."""
    st.session_state[f"{_PREFIX}weights"] = "none" if st.session_state[f"{_PREFIX}backbone"] == "baseline" else (
        "imagenet")


def _metadata(field: Field, whole: View) -> None:
    """Columns to choose from, kept as the text that the config has for them."""
    key, own = _PREFIX + field.key, "train--columns"
    columns = [str(name) for name in whole.dataset.table.columns if str(name).startswith("x_")
               and name != "x_excluded"]
    said = [part.strip() for part in st.session_state[key].split(",")]
    st.session_state[own] = [name for name in said if name in columns]

    def chosen() -> None:
        st.session_state[key] = ", ".join(st.session_state[own])

    st.multiselect(field.label, columns, key=own, on_change=chosen, disabled=not columns,
                   placeholder="Nothing" if columns else "This data set has nothing more")


def _exclude(field: Field, whole: View) -> None:
    """The list that was saved on the Explore page of this data set, if there is one."""
    key = _PREFIX + field.key
    lists = ["", *(str(path) for path in (whole.list_path,) if path.is_file())]
    if (now := st.session_state[key]) not in lists:
        lists.append(now)
    st.selectbox(field.label, lists, key=key, persist_state="session",
                 format_func=lambda name: Path(name).name or "None")


def runs_folder() -> Path:
    """Where runs are kept."""
    return settings().runs
