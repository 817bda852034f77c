"""Where a detector says "fake", and how sure it may be: fitted on its validation split."""

import os

import numpy as np
from sklearn.metrics import roc_curve

from iid_jax.checkpoint import Loaded
from iid_jax.data import people, sampler
from iid_jax.data.catalog import open_catalog
from iid_jax.errors import DataError
from iid_jax.evaluation import calibration
from iid_jax.evaluation.score import DetectorFunction, score
from iid_jax.measures import Metric


def fit(loaded: Loaded, data_dir: str | os.PathLike, quiet: bool = True) -> dict[str, Metric]:
    """Returns the `temperature` and the `score_threshold` of a detector's frames.

    Both from the validation split of the data it was trained on, at most `config.eval.val_frames`
    records evenly over it. Without a value and with the reason where that is not prepared.
    """
    config = loaded.config
    try:
        catalog = open_catalog(people.data_name(config.data), data_dir)
    except DataError:
        reason = f"{people.data_name(config.data)} is not prepared where this was exported"
        return {name: Metric(None, reason=reason) for name in ("temperature", "score_threshold")}
    rows = catalog.select("val", methods=sampler.chosen_methods(catalog, config.data))
    rows = rows[np.linspace(0, len(rows) - 1, min(len(rows), config.eval.val_frames)).astype(int)]
    detect = DetectorFunction(loaded.module, loaded.input_spec, loaded.anchors)
    table = score(
        detect.bind(loaded.variables), catalog, rows, loaded.input_spec, config.eval.batch_size,
        quiet=quiet, label="val",
    ).table  # fmt: skip
    known = table.take(table.scored)
    return {
        "temperature": calibration.fit_temperature(known["label"], known["logit"]),
        "score_threshold": equal_error_threshold(known["label"], known["score"]),
    }


def equal_error_threshold(label: np.ndarray, chance: np.ndarray) -> Metric:
    """Returns the P(fake) from which to say "fake" so that both errors are as equal as they can be.

    Labels 0/1 and scores (N,); without a value where there is one class only.
    """
    if len(np.unique(label)) < 2:
        return Metric(None, reason="validation scores of one class only, or none")
    false_alarms, hits, cuts = roc_curve(label, chance, drop_intermediate=False)
    finite = np.isfinite(cuts)
    gap = np.abs(false_alarms - (1.0 - hits))[finite]
    return Metric(float(cuts[finite][np.argmin(gap)]))
