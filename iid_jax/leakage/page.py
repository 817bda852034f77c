"""leakage.html: every measurement of a folder on one page, to be read without a network."""

import base64
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from iid_jax.leakage import wording
from iid_jax.leakage.section import ALL, Row

TEMPLATE = "leakage.html.jinja"


def render(measurements: Mapping[str, Any], pictures: Mapping[str, bytes], command: str) -> str:
    """Returns the page of the measurements of a results.json; `pictures` are its PNGs by file."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    ordered = [name for name in wording.MEASUREMENTS if name in measurements]
    detectors = {}
    for name in ordered:
        detectors |= measurements[name]["detectors"]
    return environment.get_template(TEMPLATE).render(
        title=f"Identity leakage: {', '.join(detectors)}",
        verdict=[line for name in ordered for line in wording.verdict(name, measurements[name])],
        detectors=detectors,
        parts=[_part(name, measurements[name], pictures) for name in ordered],
        command=command,
    )


def _part(name: str, measured: Mapping[str, Any], pictures: Mapping[str, bytes]) -> dict[str, Any]:
    figures = [
        {"source": _embed(pictures[figure["file"]]), "caption": figure["caption"]}
        for figure in measured["figures"]
        if figure["file"] in pictures
    ]
    made_with = [f"seed {measured['seed']}"]
    for kind in ("hardware", "versions"):
        made_with += [f"{k.replace('_', ' ')} {v}" for k, v in measured[kind].items()]
    return {
        "title": wording.MEASUREMENTS[name].title,
        "meaning": wording.MEASUREMENTS[name].meaning,
        "tables": _tables(measured["results"]),
        "notes": measured["notes"],
        "figures": figures,
        "command": measured["command"],
        "made_with": ", ".join(made_with),
        "commit": measured["commit"],
    }


def _tables(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For each data set a table of what is over all manipulations, and one of what is by them.

    One table where both have the same metrics.
    """
    tables = []
    for data in dict.fromkeys(row["data"] for row in rows):
        here = [row for row in rows if row["data"] == data]
        sides = [[r for r in here if (r["method"] == ALL) is whole] for whole in (True, False)]
        metrics = [{row["metric"] for row in side} for side in sides]
        parts = [here] if metrics[0] & metrics[1] else [side for side in sides if side]
        tables += [{"data": data, **_table(part)} for part in parts]
    return tables


def _table(rows: Sequence[Row]) -> dict[str, Any]:
    """Detectors and methods down, metrics across."""
    metrics = list(dict.fromkeys(row["metric"] for row in rows))
    cells = {(row["detector"], row["method"], row["metric"]): row for row in rows}
    lines = [
        {
            "name": detector,
            "method": "" if method == ALL else method,
            "cells": [_cell(cells.get((detector, method, metric))) for metric in metrics],
        }
        for detector, method in dict.fromkeys((r["detector"], r["method"]) for r in rows)
    ]
    columns = [wording.METRICS.get(metric, metric.replace("_", " ")) for metric in metrics]
    return {"columns": columns, "rows": lines, "methods": any(line["method"] for line in lines)}


def _cell(row: Row | None) -> dict[str, str]:
    if row is None:
        return {"value": "", "interval": "", "reason": ""}
    if row["value"] is None:
        return {"value": "", "interval": "", "reason": row["reason"]}
    value = f"{row['value']:{wording.FORMATS.get(row['metric'], '.3f')}}"
    interval = "" if row["lo"] is None else f"{row['lo']:.3f} to {row['hi']:.3f}"
    return {"value": value, "interval": interval, "reason": ""}


def _embed(png: bytes) -> str:
    return "data:image/png;base64," + base64.b64encode(png).decode()
