"""A reading as a document: one self-contained printable page, or JSON. Knows no Streamlit and no files.

The photographs in the page are drawn anew from their pixels, so nothing else of the upload comes along.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from io import BytesIO
from typing import Any

import jinja2
import numpy as np
from PIL import Image

from derm import sheet
from derm.fairness.figure import Figure
from derm.registry import Bundle
from derm.schema import FAMILIES, FST_GROUPS, Diagnosis, Prediction, SkinType, combine, display_name

_MAX_SIDE = 900  # pixels; 85 mm of paper at 270 dots an inch
_JPEG_QUALITY = 88


@dataclass(frozen=True)
class Reading:
    """One photograph and what the model says of it.

    `pixels` and `overlay` are uint8 [H, W, 3]; `overlay` shows `method`'s heat map for `condition`;
    `notices` are sentences on the image quality and on how the file was read.
    """

    name: str
    pixels: np.ndarray
    diagnosis: Diagnosis
    overlay: np.ndarray | None = None
    condition: str | None = None
    method: str = "Grad-CAM"
    notices: tuple[str, ...] = ()


def html(readings: Sequence[Reading], *, bundle: Bundle, created: date,
         skin_type: SkinType | None = None) -> str:
    """One HTML page, A4 when printed, that needs nothing but itself: a section a photograph and, for
    several, the combined reading first. `skin_type` is what the clinician stated, None for not stated.
    """
    combined = combine([reading.diagnosis for reading in readings]) if len(readings) > 1 else None
    return _PAGE.render(
        bundle=bundle,
        created=f"{created.day} {created:%B %Y}",
        skin_type=f"Fitzpatrick type {skin_type.name}" if skin_type else "not stated",
        accuracy=_accuracy(bundle, skin_type),
        members=_members(bundle),
        sections=[_section(reading) for reading in readings],
        reads_more=bool(bundle.metadata),
        combined=_charts(combined) if combined else None,
    )


def to_json(diagnosis: Diagnosis, *, bundle: Bundle, path: str, image_id: str, top: int = 5) -> dict[str, Any]:
    """What `derm predict --json` prints for one photograph, ready for `json.dumps`; of an ensemble, `bundle`, also
    who voted and how; with metadata, what the model was told."""
    ensemble = {"members": list(bundle.members), "vote": bundle.vote, "weights": list(bundle.shares)}
    return {
        "path": path,
        "image_id": image_id,
        "model": diagnosis.model,
        "version": diagnosis.version,
        "predictions": [{"condition": line.condition, "probability": line.probability}
                        for line in diagnosis.top(top)],
        "seconds": diagnosis.seconds,
        **({"ensemble": ensemble} if bundle.members else {}),
        **({"metadata": dict(diagnosis.metadata)} if diagnosis.metadata else {}),
    }


@dataclass(frozen=True)
class _Bar:
    name: str
    percent: str
    width: str


@dataclass(frozen=True)
class _Section:
    name: str
    notices: tuple[str, ...]
    method: str
    photo: str
    overlay: str | None
    condition: str
    basis: str
    charts: Mapping[str, list[_Bar]]


def _section(reading: Reading) -> _Section:
    return _Section(
        name=reading.name,
        notices=reading.notices,
        method=reading.method,
        photo=_data_uri(reading.pixels),
        overlay=None if reading.overlay is None else _data_uri(reading.overlay),
        condition=display_name(reading.condition or ""),
        basis=reading.diagnosis.basis,
        charts=_charts(reading.diagnosis),
    )


def _charts(diagnosis: Diagnosis) -> dict[str, list[_Bar]]:
    """The differential, the merged reading where labels overlap, and the roll-up where it is known."""
    families = diagnosis.families()
    merged = families[:5] if any(line.condition in FAMILIES for line in families) else []
    partitions = diagnosis.partitions()
    charts = {"Differential": [_bar(line, line.name) for line in diagnosis.top(5)],
              "Overlapping labels as one": [_bar(line, line.name) for line in merged],
              "Benign or malignant": [_bar(line, line.condition.capitalize()) for line in partitions]}
    return {title: bars for title, bars in charts.items() if bars}


def _bar(line: Prediction, name: str) -> _Bar:
    percent = "<1 %" if line.probability < 0.005 else f"{100 * line.probability:.0f} %"
    return _Bar(name, percent, f"{100 * line.probability:.1f}%")


def _accuracy(bundle: Bundle, skin_type: SkinType | None) -> list[tuple[str, str, bool]]:
    """Label, measured accuracy and whether it is this patient's group: overall, then each skin-type group."""
    keys = [("Accuracy, all skin types", "accuracy"),
            *((f"Accuracy, types {group}", f"accuracy:{group}") for group in FST_GROUPS)]
    patient = f"accuracy:{skin_type.group}" if skin_type else ""
    return [(label, str(Figure(**bundle.figures[key])), key == patient)
            for label, key in keys if key in bundle.figures]


def _members(bundle: Bundle) -> str:
    """"a (weight 0.60), b (weight 0.40); soft vote"; '' for a single network."""
    named = ", ".join(f"{name} (weight {share:.2f})"
                      for name, share in zip(bundle.members, bundle.shares, strict=True))
    return f"{named}; {bundle.vote} vote" if named else ""


def _data_uri(pixels: np.ndarray) -> str:
    picture = Image.fromarray(np.ascontiguousarray(pixels, dtype=np.uint8))
    picture.thumbnail((_MAX_SIDE, _MAX_SIDE), Image.Resampling.LANCZOS)
    file = BytesIO()
    picture.save(file, "JPEG", quality=_JPEG_QUALITY)
    return "data:image/jpeg;base64," + base64.b64encode(file.getvalue()).decode("ascii")


_PAGE = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True,
                           undefined=jinja2.StrictUndefined).from_string("""\
<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; img-src data:; style-src 'unsafe-inline'">
<title>Derm reading, {{ created }}</title>
<style>
""" + sheet.CSS + """\
h2 { font-size: 12pt; margin: 5mm 0 2mm; overflow-wrap: anywhere; }
h3 { font-size: 9pt; margin: 0 0 1.5mm; color: #46566a; font-weight: 600; }
p { margin: 1.5mm 0; }
.notice { background: #fff4d6; border-left: 1mm solid #b7791f; padding: 1.5mm 3mm; margin: 3mm 0; }
.quiet { color: #46566a; font-size: 9pt; }
section { break-inside: avoid; }
.pictures { display: flex; gap: 4mm; margin-bottom: 2mm; }
figure { margin: 0; flex: 1 1 0; max-width: calc(50% - 2mm); }
figure img { display: block; width: 100%; max-height: 66mm; object-fit: contain;
  background: #f1f3f6; border-radius: 1mm; }
figcaption { font-size: 9pt; color: #46566a; margin-top: 1mm; }
.charts { display: grid; grid-template-columns: repeat(3, 1fr); gap: 4mm 6mm; margin-top: 3mm; }
.bar { display: grid; grid-template-columns: 1fr auto; column-gap: 2mm; margin-bottom: 1.2mm;
  font-size: 9.5pt; align-items: end; }
.bar b { font-weight: 500; text-align: right; font-variant-numeric: tabular-nums; }
.track { grid-column: 1 / -1; height: 2mm; background: #e4e9ef; border-radius: 1mm;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
.track i { display: block; height: 100%; min-width: 0.5mm; background: #1f6fb2; border-radius: 1mm;
  -webkit-print-color-adjust: exact; print-color-adjust: exact; }
table { border-collapse: collapse; width: 100%; font-size: 9.5pt; }
th, td { text-align: left; vertical-align: top; padding: 0.8mm 4mm 0.8mm 0;
  border-bottom: 0.2mm solid #d5dce4; overflow-wrap: anywhere; }
th { font-weight: 500; color: #46566a; width: 62mm; }
tr.patient th, tr.patient td { font-weight: 700; color: #1d2733; }
@media (max-width: 520px) { .pictures, .charts { display: block; } header { display: block; }
  figure { max-width: none; margin-bottom: 3mm; } .charts > div { margin-bottom: 4mm; } }
</style>
</head>
<body>
{% macro bars(charts) %}
<div class="charts">
{% for title, lines in charts.items() %}
<div><h3>{{ title }}</h3>
{% for line in lines %}
<div class="bar"><span>{{ line.name }}</span><b>{{ line.percent }}</b>
<div class="track"><i style="width: {{ line.width }}"></i></div></div>
{% endfor %}
</div>
{% endfor %}
</div>
{% endmacro %}
<header><h1>Derm reading</h1><span>{{ created }}</span></header>
<p class="notice">Research demo, not a medical device. Not for diagnosis or treatment.</p>
<p>Skin type: <b>{{ skin_type }}</b></p>
{% if combined %}
<section>
<h2>Combined reading of {{ sections | length }} photographs</h2>
<p class="quiet">The mean of the probabilities of each photograph below.</p>
{{ bars(combined) }}
</section>
{% endif %}
{% for section in sections %}
<section>
<h2>{{ section.name }}</h2>
<div class="pictures">
<figure><img src="{{ section.photo }}" alt="The photograph"><figcaption>The photograph</figcaption></figure>
{% if section.overlay %}
<figure><img src="{{ section.overlay }}" alt="Heat map for {{ section.condition }}">
<figcaption>{{ section.method }} heat map for {{ section.condition }}</figcaption></figure>
{% endif %}
</div>
{% if section.overlay %}
<p class="quiet">A heat map shows which areas weighed on the answer.
It is not evidence that the answer is right.</p>
{% endif %}
{% for notice in section.notices %}
<p>{{ notice }}</p>
{% endfor %}
{% if reads_more %}
<p>Answered {{ section.basis }}.</p>
{% endif %}
{{ bars(section.charts) }}
</section>
{% endfor %}
<section>
<h2>The model and its measured accuracy</h2>
<table>
<tr><th>Model</th><td>{{ bundle.name }}, version {{ bundle.version }}</td></tr>
{% if members %}
<tr><th>An ensemble of</th><td>{{ members }}</td></tr>
{% endif %}
<tr><th>Trained on</th><td>{{ bundle.data_name }}, {{ bundle.classes | length }} conditions</td></tr>
{% for label, figure, patient in accuracy %}
<tr{% if patient %} class="patient"{% endif %}><th>{{ label }}{% if patient %}, this patient{% endif %}</th>
<td>{{ figure }}</td></tr>
{% else %}
<tr><th>Accuracy</th><td>not measured</td></tr>
{% endfor %}
</table>
<p class="quiet">Accuracy: the share of held-out photographs whose first answer was the recorded condition,
with its 95 % interval and the number of photographs (n), by Fitzpatrick skin type.</p>
</section>
</body>
</html>
""")
