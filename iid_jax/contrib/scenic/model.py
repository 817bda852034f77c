"""The detector as a Scenic model: a Linen module, its loss and its metrics."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import ml_collections
import optax
from scenic.model_lib.base_models import base_model

from iid_jax.config import Config
from iid_jax.contrib.scenic import settings
from iid_jax.errors import UsageError, nearest
from iid_jax.models import InputSpec
from iid_jax.models import detector as detectors
from iid_jax.training.step import loss_terms

# Logits of an element that is only padding: its cross entropy and its gradient are 0.
SURE = 1e4
Batch = dict[str, jax.Array]
Found = dict[str, jax.Array]


class Module(detectors.Detector):
    """The detector on pixels as the batch holds them; the parameters are named as in iid_jax."""

    spec: InputSpec | None = None

    def __call__(self, inputs: jax.Array, *, train: bool = False, debug: bool = False) -> Found:
        """Returns {"logits" (B, 2)} and, with the ADM, deltas (B, A, 4) and box_logits (B, A, 2).

        `inputs` are RGB (B, S, S, 3), 0 to 255, of any type. `debug` has no effect.
        """
        outputs = super().__call__(self.spec.normalise(inputs), train)
        found = {name: getattr(outputs, name) for name in ("logits", "deltas", "box_logits")}
        return {name: value for name, value in found.items() if value is not None}


class DetectorModel(base_model.BaseModel):
    """The detector of `config.iid`, trained with L_cls + beta * L_det.

    Attributes: `experiment`, the checked Config; `spec` and `anchors` of the detector.
    """

    def build_flax_model(self) -> Module:
        """Returns the module; sets what belongs to it.

        Raises:
          UsageError: an impossible configuration, or a data set of another input size.
        """
        self.experiment: Config = settings.read_groups(self.config.iid)
        inner, self.spec, self.anchors = detectors.build_detector(self.experiment.model)
        size, given = self.spec.size, self.dataset_meta_data.get("input_shape")
        if given is not None and tuple(given[1:]) != (size, size, 3):
            raise UsageError(
                f"the data set's input_shape is {tuple(given)}, config.iid.model.canvas needs "
                f"{(-1, size, size, 3)}; give both the same canvas"
            )
        fields = {name: getattr(inner, name) for name in ("backbone", "adm", "adm_width", "dtype")}
        return Module(**fields, spec=self.spec)

    def default_flax_model_config(self) -> ml_collections.ConfigDict:
        """Returns the smallest config that a model can be built of."""
        return ml_collections.ConfigDict({"iid": settings.groups(Config())})

    def loss_function(self, logits: Found, batch: Batch, model_params: Any = None) -> jax.Array:
        """Returns the loss, a scalar, of what the module found in a training batch.

        Elements whose `batch_mask` is 0 take no part. Weight decay is the optimiser's:
        `model_params` are not looked at.
        """
        outputs, batch = _as_ours(logits), dict(batch)
        mask = batch.get("batch_mask", jnp.ones(batch["label"].shape)).astype(outputs.logits.dtype)
        outputs, batch = _without_padding(outputs, batch, mask)
        anchors = self.anchors if "boxes" in batch else None
        terms = loss_terms(outputs, batch, anchors, self.experiment.loss)
        share = mask.sum() / len(mask)
        return terms["loss"] - terms["loss_cls"] + terms["loss_cls"] / jnp.maximum(share, 1e-9)

    def get_metrics_fn(self, split: str | None = None) -> Callable[[Found, Batch], dict]:
        """Returns the metrics for use under pmap: sums over the axis `batch`. See the jit one."""

        def metrics(logits: Found, batch: Batch) -> dict:
            total = functools.partial(jax.lax.psum, axis_name="batch")
            return jax.tree.map(total, _metrics(logits, batch))

        return metrics

    def get_metrics_fn_jit(self, split: str | None = None) -> Callable[[Found, Batch], dict]:
        """Returns (logits, batch) -> {"accuracy", "loss_cls": (sum, number of elements)}.

        The same for every split; elements whose `batch_mask` is 0 are not counted.
        """
        return _metrics


def get_model_cls(name: str) -> type[DetectorModel]:
    """Returns the model class of a `config.model_name`.

    Raises:
      UsageError: no such model; the nearest name is given.
    """
    known = {"iid_detector": DetectorModel}
    if name not in known:
        raise UsageError(f"config.model_name: unknown model {name!r}{nearest(name, known)}")
    return known[name]


def _metrics(found: Found, batch: Batch) -> dict[str, tuple[jax.Array, jax.Array]]:
    logits, label = found["logits"], batch["label"]
    mask = batch.get("batch_mask", jnp.ones(label.shape)).astype(logits.dtype)
    entropy = optax.softmax_cross_entropy_with_integer_labels(logits, label)
    right = (jnp.argmax(logits, -1) == label).astype(logits.dtype)
    # An element that is only padding may hold anything.
    sums = {"accuracy": right, "loss_cls": entropy}
    return {n: (jnp.where(mask > 0, value, 0.0).sum(), mask.sum()) for n, value in sums.items()}


def _as_ours(found: Found) -> detectors.Outputs:
    return detectors.Outputs(found["logits"], found.get("deltas"), found.get("box_logits"), {})


def _without_padding(
    outputs: detectors.Outputs, batch: Batch, mask: jax.Array
) -> tuple[detectors.Outputs, Batch]:
    """Padding made into genuine elements, without boxes, that the detector is sure of."""
    kept = mask > 0
    sure = jnp.array([SURE, 0.0], outputs.logits.dtype)
    outputs = outputs._replace(logits=jnp.where(kept[:, None], outputs.logits, sure))
    batch["label"] = jnp.where(kept, batch["label"], 0)
    if "boxes" in batch and outputs.box_logits is not None:
        boxes = jnp.where(kept[:, None, None], outputs.box_logits, sure)
        outputs = outputs._replace(box_logits=boxes)
        batch["boxes_valid"] = batch["boxes_valid"] & kept[:, None]
    return outputs, batch
