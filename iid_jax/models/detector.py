"""The detector: a backbone, the ADM or none, and the real/fake classifier."""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np

from iid_jax import boxes
from iid_jax.config import ModelConfig
from iid_jax.errors import UsageError
from iid_jax.models.artifact import ArtifactDetection
from iid_jax.models.initial import head_init
from iid_jax.models.input_spec import InputSpec
from iid_jax.models.registry import create
from iid_jax.models.xla import compute_dtype


class Outputs(NamedTuple):
    """What a detector returns; float32 (float64 if it computes in that).

    `logits` (B, 2) of real and fake; `deltas` (B, A, 4) encoded boxes and `box_logits` (B, A, 2)
    of no artifact and artifact, None without the ADM. `features`: the backbone's ("stem",
    "stage1", ...), "map" (B, f, f, C), "global" (B, C) its mean, with the ADM "artifact0" to
    "artifact3" (its maps) and "artifact" (B, C) its vector, and "embedding" (B, C), what the
    classifier sees.
    """

    logits: jax.Array
    deltas: jax.Array | None
    box_logits: jax.Array | None
    features: dict[str, jax.Array]


class Detector(nn.Module):
    """The detector with the ADM, or the plain binary classifier on the same backbone without.

    `dropout` (of what the classifier sees) and `drop_connect` are those published with the backbone
    unless given. With more `classes` it is a classifier of people, for others to start from.
    """

    backbone: str = "resnet_small"
    adm: bool = True
    adm_width: int | None = None
    dtype: Any = jnp.float32
    dropout: float | None = None
    drop_connect: float | None = None
    classes: int = 2

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> Outputs:
        """Returns the Outputs for normalised images (B, S, S, 3).

        With `train`, BatchNorm uses and updates the batch's statistics, and what is dropped is
        drawn: apply with `mutable=["batch_stats"]` and `rngs={"dropout": key}`.
        """
        wide = jnp.promote_types(self.dtype, jnp.float32)
        given = {} if self.drop_connect is None else {"drop_connect": self.drop_connect}
        trunk = create(self.backbone, dtype=self.dtype, name="trunk", **given)
        x, features = trunk(images, train)
        embedding = jnp.mean(x, (1, 2), dtype=wide)
        features = {**features, "map": x, "global": embedding}
        deltas = box_logits = None
        if self.adm:
            found = ArtifactDetection(self.adm_width, self.dtype, name="artifact")(x, train)
            deltas, box_logits = found.deltas.astype(wide), found.box_logits.astype(wide)
            vector = found.vector.astype(wide)
            embedding = embedding + vector
            features = {**features, **found.maps, "artifact": vector}
        rate = getattr(trunk, "dropout", 0.0) if self.dropout is None else self.dropout
        seen = nn.Dropout(rate, deterministic=not train)(embedding)
        head = nn.Dense(self.classes, dtype=wide, kernel_init=head_init, name="classifier")
        logits = head(seen)
        return Outputs(logits, deltas, box_logits, {**features, "embedding": embedding})


def build_detector(config: ModelConfig) -> tuple[Detector, InputSpec, np.ndarray | None]:
    """Returns (module, input spec, anchors (A, 4) or None without the ADM) of a configuration.

    Raises:
      UsageError: an unknown backbone, or a canvas that does not suit it.
    """
    side = feature_side(config)
    dtype = compute_dtype(config.dtype)
    rates = config.dropout, config.drop_connect
    classes = config.people or 2
    module = Detector(config.backbone, config.adm, config.adm_width, dtype, *rates, classes)
    anchors = boxes.anchors(config.canvas, side) if config.adm else None
    return module, InputSpec(config.canvas), anchors


def feature_side(config: ModelConfig) -> int:
    """Returns the side of the backbone's feature map, which the anchors are laid on.

    Raises:
      UsageError: an unknown backbone, a canvas that is no multiple of its stride, or a map below
        6x6 (the ADM needs three smaller maps; the plain classifier keeps the same canvas, so
        that the two can be compared).
    """
    given = {} if config.drop_connect is None else {"drop_connect": config.drop_connect}
    stride = create(config.backbone, **given).stride
    least = boxes.MIN_SIDE
    side, rest = divmod(config.canvas, stride)
    if side >= least and rest == 0:
        return side
    nearest = max(least, round(config.canvas / stride)) * stride
    raise UsageError(
        f"config.model.canvas must be a multiple of {stride} px, at least {least * stride}, "
        f"for {config.backbone}, got {config.canvas} (nearest: {nearest})"
    )
