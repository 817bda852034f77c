"""Training a classifier of people, whose backbone detectors may start from.

The strongest features of identity there are: they stand in for the pretrained weights that the
paper starts from. With `config.model.people` the same loop trains it on genuine pictures alone.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iid_jax.config import Config
from iid_jax.data import identities, pipeline
from iid_jax.data.catalog import Catalog
from iid_jax.errors import UsageError
from iid_jax.evaluation import summary
from iid_jax.evaluation.score import DetectorFunction
from iid_jax.leakage import section
from iid_jax.measures import Metric
from iid_jax.training import sharding

TOP1 = "identity_top1"


def resolved(config: Config, catalog: Catalog) -> Config:
    """Returns the configuration with the number of people that there are in training.

    Raises:
      UsageError: another number is configured.
    """
    count, asked = len(identities.people_of(catalog)), config.model.people
    if asked not in (0, count):
        raise UsageError(
            f"config.model.people={asked}: the training of {catalog.name} has {count}; leave it at "
            "0 to take them all"
        )
    return dataclasses.replace(config, model=dataclasses.replace(config.model, people=count))


class Recognition:
    """The look during training: how many held-out pictures of training's people are recognised.

    Of data sets without a `probe` split there is nothing to look at, and the last step counts.
    """

    def __init__(self, config: Config, module: Any, spec: Any, anchors: None, catalog: Catalog):
        self._catalog, self._spec, self._batch_size = catalog, spec, config.eval.batch_size
        self._people = identities.people_of(catalog)
        self._function = DetectorFunction(module, spec, anchors)
        self.rows = identities.held_out(catalog)

    def __call__(self, variables: Any) -> dict[str, float]:
        """Returns the share of the held-out pictures whose person is found first, if any."""
        hit = self.hits(variables)
        return {TOP1: float(hit.mean())} if len(hit) else {}

    def merit(self, found: Mapping[str, float]) -> float | None:
        """Returns what the best step has most of."""
        return found.get(TOP1)

    def hits(self, variables: Any) -> np.ndarray:
        """Returns for each of `rows` whether its person is found first, bool (N,)."""
        detect = self._function.bind(sharding.fetch(variables))
        return np.concatenate([np.zeros(0, bool), *self._batches(detect)])

    def _batches(self, detect: Any) -> Iterator[np.ndarray]:
        identity = self._catalog.columns["identity"]
        given = self._catalog, self.rows, self._spec, self._batch_size
        for batch in pipeline.eval_batches(*given):
            found = self._people[detect(batch["image"]).logits.argmax(axis=1)]
            # Who cannot be seen is not recognised.
            hit = batch["valid"] & (found == identity[batch["record"]])
            yield hit[batch["record"] >= 0]


def told(made: Mapping[str, Any]) -> str:
    """Returns the sentence that sums up a summary of `summarise`, "" of any other."""
    row = next((row for row in made["results"] if row["metric"] == TOP1), None)
    if row is None:
        return ""
    if row["value"] is None:
        return f"{row['data']}: {row['reason']};"
    between = "" if row["lo"] is None else f" ({row['lo']:.3f} to {row['hi']:.3f})"
    found = f"{row['value']:.3f}{between}"
    return f"{row['data']}: {found} of the held-out pictures of training's people recognised;"


def summarise(
    detector: Any,
    config: Config,
    catalog: Catalog,
    workdir: Path,
    command: str,
    stats: Mapping[str, Any],
) -> dict[str, Any]:
    """Writes and returns the summary of a run: top-1 on held-out pictures, interval over people."""
    look = Recognition(config, detector.module, detector.input_spec, None, catalog)
    measured = Metric(None, reason="the data set has no held-out pictures of training's people")
    if len(look.rows):
        hit = look.hits(detector.variables).astype(float)
        who = catalog.columns["identity"][look.rows]
        measured = section.mean(who, hit, config.eval.bootstrap, config.seed)
    row = {"data": catalog.name, "split": "probe", "method": "all", "metric": TOP1}
    made = summary.build(
        command,
        config.seed,
        config,
        {catalog.name: summary.describe_data(catalog)},
        [{**row, **dataclasses.asdict(measured)}],
        stats,
    )
    summary.write(workdir, made)
    return made
