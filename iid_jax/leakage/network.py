"""What a detector computes, as arrays: logits and any of its named features, compiled once."""

import dataclasses
import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple, Protocol

import cv2
import numpy as np
from scipy import special

from iid_jax import metrics
from iid_jax.data import pipeline
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError, UsageError, nearest
from iid_jax.measures import Metric
from iid_jax.progress import Progress

PIXEL_SIDE = 24


class Loaded(Protocol):
    """A detector as `checkpoint.load_detector` returns it."""

    module: Any
    variables: Mapping[str, Any]
    input_spec: Any
    anchors: np.ndarray | None
    config: Any
    step: int


class Seen(NamedTuple):
    """What there is of N records: their catalog `rows` (N,), `features` name -> (N, D) float32.

    `logit` (N,) is the log-odds of fake, `unreadable` how many of the rows asked for have no
    pixels or no finite features and are missing here.
    """

    rows: np.ndarray
    features: dict[str, np.ndarray]
    logit: np.ndarray
    unreadable: int

    @property
    def score(self) -> np.ndarray:
        """P(fake) (N,), which is what a video's score is the mean of."""
        return special.expit(self.logit.astype(np.float64))


def video_auc(catalog: Catalog, seen: Seen, bootstrap: int, seed: int) -> Metric:
    """Returns the video AUC of what was seen, as reports have it."""
    video, label, person = (
        catalog.columns[name][seen.rows] for name in ("video_id", "label", "identity")
    )
    drawn = ("video_auc",), bootstrap, seed
    return metrics.evaluate_scores(video, label, seen.score, *drawn, identity=person)["video_auc"]


class Network:
    """A detector with its weights; maps are averaged over their cells.

    `name` is what tables and figures call it.
    """

    def __init__(self, name: str, loaded: Loaded, batch_size: int = 64):
        self.name, self.loaded, self.batch_size = name, loaded, batch_size
        self._compiled: dict[tuple[str, ...], Callable[..., Any]] = {}

    @property
    def spec(self) -> CanvasSpec:
        """What the detector expects of its input."""
        return self.loaded.input_spec

    def feature_widths(self) -> dict[str, int]:
        """Returns the names of the detector's features and how many values each has."""
        import jax

        images = jax.ShapeDtypeStruct((1, self.spec.size, self.spec.size, 3), np.uint8)
        outputs = jax.eval_shape(self.outputs, self.loaded.variables, images)
        return {name: value.shape[-1] for name, value in outputs.features.items()}

    def check_feature(self, feature: str) -> None:
        """Raises UsageError where the detector has no feature of this name."""
        known = self.feature_widths()
        if feature not in known:
            raise UsageError(f"{self.name} has no feature {feature!r}{nearest(feature, known)}")

    def __call__(self, images: np.ndarray, features: Sequence[str] = ()) -> dict[str, np.ndarray]:
        """Returns {"logit": (B,), feature: (B, D), ...} of canvases uint8 (B, S, S, 3)."""
        names = tuple(features)
        if names not in self._compiled:
            self._compiled[names] = self.spread(self._forward(names))
        return self._compiled[names](images)

    def outputs(self, variables: Any, images: Any) -> Any:
        """Returns the detector's Outputs for canvases (B, S, S, 3), to be traced by JAX."""
        return self.loaded.module.apply(variables, self.spec.normalise(images))

    def spread(self, function: Callable[..., Any]) -> Callable[..., Any]:
        """Compiles `function(variables, batch, *shared)` with this network's weights.

        The returned function takes (batch, *shared) and gives NumPy arrays (B, ...): the batch is
        split over this process's devices, what is shared lies on each of them.
        """
        import jax
        from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

        from iid_jax.models.xla import compiler_options

        devices = jax.local_devices()
        mesh = Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
        split = NamedSharding(mesh, PartitionSpec("data"))
        everywhere = NamedSharding(mesh, PartitionSpec())
        apply = jax.jit(function, out_shardings=split, compiler_options=compiler_options())
        placed = jax.device_put(dict(self.loaded.variables), everywhere)

        def run(batch: np.ndarray, *shared: np.ndarray) -> Any:
            missing = -len(batch) % len(devices)
            padded = np.pad(batch, ((0, missing), *((0, 0),) * (batch.ndim - 1)))
            beside = jax.device_put(shared, everywhere)
            found = apply(placed, jax.device_put(padded, split), *beside)
            return jax.tree.map(lambda value: np.asarray(value)[: len(batch)], found)

        return run

    def fingerprint(self) -> str:
        """Returns a sha256 of the detector's weights, configuration and input."""
        import jax

        digest = hashlib.sha256()
        about = [self.loaded.config.to_dict(), self.spec.to_dict()]
        digest.update(json.dumps(about, sort_keys=True).encode())
        for path, leaf in jax.tree_util.tree_leaves_with_path(dict(self.loaded.variables)):
            digest.update(jax.tree_util.keystr(path).encode())
            digest.update(np.ascontiguousarray(leaf).tobytes())
        return digest.hexdigest()

    def _forward(self, names: tuple[str, ...]) -> Callable[..., dict[str, Any]]:
        import jax.numpy as jnp

        def forward(variables, images):
            outputs = self.outputs(variables, images)
            chosen = {name: outputs.features[name].astype(jnp.float32) for name in names}
            means = {n: x.mean((1, 2)) if x.ndim == 4 else x for n, x in chosen.items()}
            return {"logit": log_odds(outputs), **means}

        return forward


def log_odds(outputs: Any) -> Any:
    """Returns the log-odds of fake (B,) float32 of a detector's Outputs."""
    logits = outputs.logits.astype(np.float32)
    return logits[:, 1] - logits[:, 0]


def random_network(like: Network, seed: int) -> Network:
    """Returns the same detector with fresh weights: what its architecture alone gives away."""
    from iid_jax.models.initial import initialise

    loaded = like.loaded
    variables = initialise(loaded.module, like.spec, seed)
    fresh = dataclasses.replace(loaded, variables=variables, step=0)
    return Network(f"random {loaded.config.model.backbone}", fresh, like.batch_size)


def look(
    network: Network,
    catalog: Catalog,
    rows: np.ndarray,
    features: Sequence[str] = (),
    quiet: bool = False,
) -> Seen:
    """Returns what the network computes of the catalog's rows, in their order.

    Raises:
      UsageError: it has no such feature.
      DataError: none of the rows can be used.
    """
    for name in features:
        network.check_feature(name)
    label = f"{network.name}: {catalog.name}"
    parts, kept = [], []
    for images, chosen in _batches(catalog, rows, network.spec, network.batch_size, label, quiet):
        found = network(images, features)
        parts.append({name: value[: len(chosen)] for name, value in found.items()})
        kept.append(chosen)
    joined = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    places = np.concatenate(kept)
    finite = np.all([np.isfinite(v.reshape(len(v), -1)).all(1) for v in joined.values()], axis=0)
    usable = finite & (places >= 0)
    _check(catalog, usable)
    logit = joined.pop("logit")[usable]
    joined = {name: value[usable] for name, value in joined.items()}
    return Seen(places[usable], joined, logit, int(len(rows) - usable.sum()))


def pixels(catalog: Catalog, rows: np.ndarray, spec: CanvasSpec, quiet: bool = False) -> Seen:
    """Returns the aligned canvases as 24 x 24 grey values, the feature `pixels` (N, 576).

    A control without any network: how far coarse appearance alone identifies people.
    """
    found, kept = [], []
    for images, chosen in _batches(catalog, rows, spec, 64, f"pixels: {catalog.name}", quiet):
        for image in images[: len(chosen)]:
            grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
            small = cv2.resize(grey, (PIXEL_SIDE, PIXEL_SIDE), interpolation=cv2.INTER_AREA)
            found.append(small.ravel().astype(np.float32))
        kept.append(chosen)
    places = np.concatenate(kept)
    usable = places >= 0
    _check(catalog, usable)
    values = np.stack(found)[usable]
    logit = np.full(len(values), np.nan)
    return Seen(places[usable], {"pixels": values}, logit, int(len(rows) - usable.sum()))


def _batches(catalog, rows, spec, batch_size, label, quiet):
    """Yields (canvases (B, S, S, 3), rows of the records in them, -1 for an unreadable one)."""
    if not len(rows):
        raise DataError(f"{catalog.name}: there are no records to look at")
    progress = Progress(len(rows), label, "records", quiet=quiet)
    for batch in pipeline.eval_batches(catalog, np.asarray(rows), spec, batch_size):
        present = batch["record"] >= 0
        yield batch["image"], np.where(batch["valid"], batch["record"], -1)[present]
        progress.update(int(present.sum()))
    progress.close()


def _check(catalog: Catalog, usable: np.ndarray) -> None:
    if not usable.any():
        raise DataError(
            f"{catalog.name}: none of {len(usable)} records could be used; prepare it again"
        )
