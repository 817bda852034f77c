"""The model card: `detector.json` told to people, and nothing that is not in it."""

from collections.abc import Mapping
from typing import Any

from iid_jax import config_file
from iid_jax.data import people

UNKNOWN = "unknown"
LIMITS = """\
* It has learned from the data named above and is untested on other cameras, compressions,
  manipulations and people than those it was measured on: expect it to be worse there.
* Faces that are small, turned away, covered or strongly compressed are scored with less right.
* What it finds are traces of manipulation. A picture that was generated whole, or changed without
  touching a face, is outside its task.
* Scores differ between groups of people as far as the training data does; this was not measured
  unless a number above says so."""
DRAWN = """
* It was trained on drawn faces and has never seen a photograph: of one, its score says little."""
MISUSE = """\
* **A score is not proof.** It must not be the ground on which somebody is accused, punished,
  refused or believed. A person has to look, at the source and at the context too.
* It is not for identifying people, and not for watching them.
* Whoever makes fakes can train against it: a low score does not make a picture genuine."""


def render(description: Mapping[str, Any]) -> str:
    """Returns the MODEL_CARD.md of a description, as `inference_checkpoint.describe` makes it."""
    model, spec = description["model"], description["input_spec"]
    kind = "with an Artifact Detection Module" if model["adm"] else "a plain classifier"
    parts = [
        f"# {model['backbone']}: a detector of manipulated faces",
        f"{model['parameters'] / 1e6:.1f} M parameters, {kind}. It takes an aligned face, "
        f"{spec['channels']}, {spec['size']} x {spec['size']} px, and returns P(fake)"
        + (" and boxes around artifacts." if model["adm"] else "."),
        f"Licence of the weights: {description['licence'] or 'not stated by their owner'}.",
        "## Data",
        _data(description),
        "## Measured",
        _measured(description["metrics"]),
        "## Operating point",
        _points(description),
        "## Limits",
        LIMITS + (DRAWN if str(description["landmarker"]).startswith("drawn/") else ""),
        "## Misuse",
        MISUSE,
    ]
    return "\n\n".join(parts) + "\n"


def _data(description: Mapping[str, Any]) -> str:
    parts = [
        f"Trained on: {_trained_on(description)}. "
        f"Landmarks: {description['landmarker'] or UNKNOWN}."
    ]
    if description["source"]:
        parts.append(f"Made by: `{description['source']}`")
    sets = [
        f"* {name}: {entry.get('videos', UNKNOWN)} videos, {entry.get('frames', UNKNOWN)} "
        f"frames, fingerprint `{str(entry.get('fingerprint', UNKNOWN))[:16]}`"
        for name, entry in sorted(description["data"].items())
    ]
    return "\n\n".join([*parts, *(["\n".join(sets)] if sets else [])])


def _trained_on(description: Mapping[str, Any]) -> str:
    """The data set, who and what of it was left out, for how many steps and with which seed."""
    if not description["train"]:
        return UNKNOWN
    config = config_file.from_dict(description["config"])
    told = [people.data_name(config.data)]
    told += [f"{', '.join(config.data.methods)} alone"] if config.data.methods else []
    told += [f"without {', '.join(config.data.without)}"] if config.data.without else []
    return ", ".join([*told, f"{description['train']['steps']} steps, seed {config.seed}"])


def _measured(metrics: list[Mapping[str, Any]]) -> str:
    """A table of the AUCs by data set and manipulation; with 95 % intervals."""
    rows = [row for row in metrics if row["metric"] in ("video_auc", "frame_auc", "leak_auc")]
    if not rows:
        return "Nothing was measured."
    lines = ["| data | split | manipulation | metric | value | 95 % interval | videos |"]
    lines.append("|---|---|---|---|---|---|---|")
    for row in rows:
        value = "-" if row["value"] is None else f"{row['value']:.3f}"
        where = "-" if row["lo"] is None else f"{row['lo']:.3f} to {row['hi']:.3f}"
        what = (row["data"], row["split"], row["method"], row["metric"], value, where)
        lines.append(f"| {' | '.join(map(str, what))} | {row['n_videos']} |")
    return "\n".join(lines)


def _points(description: Mapping[str, Any]) -> str:
    told = {
        "score_threshold": "P(fake) from which to say fake (equal errors on validation frames)",
        "temperature": "temperature that calibrates the logit",
        "box_threshold": "score from which a box is shown (validation)",
    }
    lines = []
    for name, what in told.items():
        value, reason = description[name]["value"], description[name]["reason"]
        lines.append(f"* {what}: {f'{value:.3f}' if value is not None else f'none: {reason}'}")
    return "\n".join(lines)
