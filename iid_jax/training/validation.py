"""The look at held-out people during training."""

from typing import Any

import numpy as np

from iid_jax import metrics
from iid_jax.config import Config
from iid_jax.data import sampler
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.evaluation.score import DetectorFunction, score
from iid_jax.training import sharding

ALWAYS = ("video_auc", "frame_auc")
LOWER_IS_BETTER = ("video_eer", "frame_eer")


class Validation:
    """Scores the validation split, at most `config.eval.val_frames` records evenly over it.

    Raises:
      DataError: the data set has no validation split.
    """

    def __init__(
        self, config: Config, module: Any, spec: Any, anchors: np.ndarray | None, catalog: Catalog
    ):
        self._best = config.train.best_metric
        self._names = tuple(dict.fromkeys((*ALWAYS, self._best)))
        self._batch_size, self._spec, self._catalog = config.eval.batch_size, spec, catalog
        self._function = DetectorFunction(module, spec, anchors)
        rows = catalog.select("val", methods=sampler.chosen_methods(catalog, config.data))
        if not len(rows):
            raise DataError(f"{catalog.name} has no val split, which chooses the best step")
        count = min(len(rows), config.eval.val_frames)
        self.rows = rows[np.linspace(0, len(rows) - 1, count).astype(int)]

    def __call__(self, variables: Any) -> dict[str, float]:
        """Returns the defined ones of video AUC, frame AUC and the metric that chooses."""
        detect = self._function.bind(sharding.fetch(variables))
        args = (detect, self._catalog, self.rows, self._spec, self._batch_size)
        table = score(*args, quiet=True, label="val").table
        columns = table["video_id"], table["label"], table["score"]
        found = metrics.evaluate_scores(*columns, self._names, bootstrap=0)
        return {name: m.value for name, m in found.items() if m.value is not None}

    def merit(self, found: dict[str, float]) -> float | None:
        """Returns what the best step has most of, None where the metric is undefined."""
        value = found.get(self._best)
        return -value if value is not None and self._best in LOWER_IS_BETTER else value
