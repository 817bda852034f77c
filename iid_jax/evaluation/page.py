"""report.html: one file with every figure in it, to be read without a network."""

import dataclasses
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from iid_jax import leak_metrics, plots
from iid_jax.config import Config
from iid_jax.data import schema
from iid_jax.errors import DataError
from iid_jax.evaluation import calibration, graphs, localisation, results, robustness, statistics
from iid_jax.evaluation.compare import Difference
from iid_jax.evaluation.table import ScoreTable

TEMPLATE = "report.html.jinja"
TITLE = "Detection of manipulated faces"
_DETECTION = {
    "video_auc": "video AUC",
    statistics.FACE_BLUR_AUC: "video AUC of face blur alone",
    "frame_auc": "frame AUC",
    "video_ap": "video AP",
    "video_eer": "video EER",
    "video_acc": "video accuracy",
    "frame_acc": "frame accuracy",
    "video_tpr_at_1pct_fpr": "video TPR at 1 % FPR",
    "video_tpr_at_0.1pct_fpr": "at 0.1 %",
}
_CALIBRATION = {
    calibration.ECE: "calibration error (ECE)",
    calibration.CALIBRATED: "after temperature",
    calibration.TEMPERATURE: "temperature",
}
_LEAK = {leak_metrics.LEAK: "leak AUC", leak_metrics.FAMILIARITY: "familiarity AUC"}
_LOCALISATION = {
    localisation.BOX_RECALL: "box recall",
    localisation.BOX_PRECISION: "box precision",
    localisation.FALSE_BOXES: "false boxes per genuine picture",
    localisation.PAIR_WIN: "pair win",
}


@dataclasses.dataclass(frozen=True)
class Part:
    """What the page shows of one data set and split."""

    table: ScoreTable
    results: list[results.Result]
    from_scores: str
    pictures: Sequence[plots.Picture] = ()
    swaps: Sequence[plots.Picture] = ()
    notes: Sequence[str] = ()
    validation: ScoreTable | None = None
    robustness: Sequence[results.Result] = ()


def render(
    summary: Mapping[str, Any],
    config: Config | None,
    parts: Sequence[Part],
    lines: Sequence[Mapping[str, Any]],
    commands: Mapping[str, str],
    comparison: Sequence[Difference] = (),
) -> str:
    """Returns the page. `lines` are those of metrics.jsonl; `commands`: this, train, evaluate."""
    import jinja2

    loader = jinja2.FileSystemLoader(Path(__file__).parent)
    environment = jinja2.Environment(
        loader=loader,
        autoescape=True,
        trim_blocks=True,
        lstrip_blocks=True,
        undefined=jinja2.StrictUndefined,
    )
    return environment.get_template(TEMPLATE).render(
        title=_title(summary),
        verdict=[line for part in parts for line in verdict(part.results)],
        unscored=any(not part.table.scored.all() for part in parts),
        summary=summary,
        config=json.dumps(config.to_dict(), indent=1) if config else "",
        training=_training(summary["train"]),
        hardware=", ".join(f"{k.replace('_', ' ')} {v}" for k, v in summary["hardware"].items()),
        versions=", ".join(f"{k} {v}" for k, v in summary["versions"].items()),
        curves=graphs.embed(plots.training_curves(lines)) if lines else "",
        parts=[_section(part) for part in parts],
        commands=commands,
        comparison=comparison,
    )


def verdict(rows: Sequence[results.Result]) -> list[str]:
    """Returns the sentences that sum up the results of one data set and split."""
    value = {(r["method"], r["metric"]): r for r in rows}
    overall = value[results.ALL, "video_auc"]
    where = f"{overall['data']}, {overall['split']} split"
    if overall["value"] is None:
        lines = [f"{where}: the video AUC is undefined: {overall['reason']}."]
    else:
        lines = [f"{where}: video AUC {_interval(overall)}{_weakest(rows)}."]
    lines += _blur(rows)
    leak = value.get((results.ALL, leak_metrics.LEAK))
    if leak is not None and leak["value"] is not None:
        lines.append(f"Identity leakage (0.5 is none): leak AUC {_interval(leak)}.")
    return lines + _boxes(value)


def _boxes(value: Mapping[tuple[str, str], results.Result]) -> list[str]:
    """How many true boxes are found, and how many boxes are right there and false elsewhere."""
    recall = value.get((localisation.PARTIAL_SWAP, localisation.BOX_RECALL))
    precision = value.get((localisation.PARTIAL_SWAP, localisation.BOX_PRECISION))
    false = value.get((results.ALL, localisation.FALSE_BOXES))
    if not all(row and row["value"] is not None for row in (recall, false)):
        return []
    right = ""
    if precision and precision["value"] is not None:
        right = f", {100 * precision['value']:.0f} % of the boxes there are right"
    return [
        f"On partial swaps of held-out people {100 * recall['value']:.0f} % of the true boxes "
        f"are found{right}, at {false['value']:.2f} false boxes per genuine picture."
    ]


def _weakest(rows: Sequence[results.Result]) -> str:
    found = [
        r
        for r in rows
        if r["metric"] == "video_auc" and r["method"] != results.ALL and r["value"] is not None
    ]
    if len(found) < 2:
        return ""
    weakest = min(found, key=lambda r: r["value"])
    return f"; the manipulation found least is {weakest['method']}, {weakest['value']:.3f}"


def _blur(rows: Sequence[results.Result]) -> list[str]:
    """What is told by the face's blur alone, of the manipulation where that is most."""
    known = {(r["method"], r["metric"]): r["value"] for r in rows}
    blur = {m: v for (m, name), v in known.items() if name == statistics.FACE_BLUR_AUC and v}
    if not blur:
        return []
    method = max(blur, key=blur.get)
    detector = known.get((method, "video_auc"))
    beside = f", the detector's {detector:.3f}" if detector is not None else ""
    return [f"Face blur alone has a video AUC of {blur[method]:.3f} on {method}{beside}."]


def read_log(path: Path | None) -> list[dict[str, Any]]:
    """Returns the lines of a metrics.jsonl; none where there is no such file.

    A last line cut off by a kill is left out.

    Raises:
      DataError: another line is no JSON object.
    """
    if path is None or not path.exists():
        return []
    texts = path.read_text(encoding="utf-8").splitlines()
    lines = []
    for number, text in enumerate(texts, 1):
        try:
            lines.append(dict(json.loads(text)))
        except (ValueError, TypeError) as error:
            if number < len(texts):
                raise DataError(f"{path}: line {number} is damaged; delete it") from error
    return lines


def _title(summary: Mapping[str, Any]) -> str:
    return f"{TITLE}: {', '.join(summary['data'])}"


def _interval(row: results.Result) -> str:
    if row["lo"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} (95 % interval {row['lo']:.3f} to {row['hi']:.3f})"


def _training(train: Mapping[str, Any]) -> str:
    if not train.get("steps"):
        return ""
    text = f"{train['steps']} steps"
    if train.get("images"):
        text += f", {train['images']} pictures"
    if train.get("seconds"):
        text += f", in {train['seconds']:.0f} s"
    if train.get("compile_seconds"):
        text += f" and {train['compile_seconds']:.0f} s of compilation"
    return text


def _section(part: Part) -> dict[str, Any]:
    data, split = _name(part)
    figures = {"pictures": part.pictures, "swaps": part.swaps}
    return {
        "data": data,
        "split": split,
        "counts": _counts(part.table),
        "failures": _failures(part.table),
        "detection": _numbers(part.results, _DETECTION),
        "leak": _numbers(part.results, _LEAK, "", "people"),
        "localisation": _numbers(part.results, _LOCALISATION),
        "calibration": _numbers(part.results, _CALIBRATION, ""),
        "robustness": robustness.rows_by_kind(part.results, part.robustness),
        "from_scores": part.from_scores,
        **graphs.quality(part.table, part.validation, part.results, part.robustness),
        "notes": list(part.notes),
        **{name: graphs.embed(plots.examples(p)) if p else "" for name, p in figures.items()},
    }


def _numbers(
    rows: Sequence[results.Result],
    metric_names: Mapping[str, str],
    first: str = "manipulation",
    last: str = "videos",
) -> dict[str, Any] | None:
    """A table of metrics by method; None where none of them was looked at."""
    cells = {(r["method"], r["metric"]): r for r in rows if r["metric"] in metric_names}
    if not cells:
        return None
    measured = {metric for _, metric in cells}
    metric_names = {name: text for name, text in metric_names.items() if name in measured}
    table = []
    for method in dict.fromkeys(method for method, _ in cells):
        row = [cells.get((method, metric)) for metric in metric_names]
        videos = max(cell["n_videos"] for cell in row if cell is not None)
        table.append({"name": method if first else "", "cells": row, "count": videos})
    return {"first": first, "last": last, "columns": list(metric_names.values()), "rows": table}


def _counts(table: ScoreTable) -> str:
    genuine = table["label"] == schema.REAL
    videos = [len(np.unique(table["video_id"][side])) for side in (genuine, ~genuine)]
    return (
        f"{int(genuine.sum())} genuine records of {videos[0]} videos, "
        f"{int((~genuine).sum())} fakes of {videos[1]}; {len(np.unique(table['identity']))} people."
    )


def _failures(table: ScoreTable) -> list[str]:
    missing = table.failures()
    if not missing:
        return []
    kinds = ", ".join(f"{status} {count}" for status, count in missing.items())
    return [f"{sum(missing.values())} of {len(table)} records have no score: {kinds}."]


def _name(part: Part) -> tuple[str, str]:
    return str(part.table["data"][0]), str(part.table["split"][0])
