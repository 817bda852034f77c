"""The Artifact Detection Module (ADM): multi-scale anchors that say where the artifact is.

Dong et al. 2023, "Implicit Identity Leakage", section 4.1; the layers are those of the published
model. An artifact at any scale must be located, so the features cannot get by on identity alone.
"""

from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from iid_jax import boxes
from iid_jax.models.convolution import Conv
from iid_jax.models.initial import he_init, head_init
from iid_jax.models.norm import BatchNorm

ANCHORS_PER_CELL = 2


class Artifacts(NamedTuple):
    """What the ADM finds; A anchors, in the order of `boxes.anchors`.

    `vector` (B, C) is what it adds to the pooled features, `deltas` (B, A, 4) the encoded boxes,
    `box_logits` (B, A, 2) the logits of no artifact and artifact, `maps` the four feature maps.
    """

    vector: jax.Array
    deltas: jax.Array
    box_logits: jax.Array
    maps: dict[str, jax.Array]


class ResidualBlock(nn.Module):
    """A convolution (`kernel`, unpadded), a padded 3x3 one, and a shortcut like the first."""

    width: int
    kernel: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns (B, H - kernel + 1, W - kernel + 1, width)."""
        conv = partial(Conv, self.width, dtype=self.dtype)
        y = conv(self.kernel, bias=True, name="conv1")(x)
        y = nn.relu(BatchNorm(name="bn1")(y, train))
        y = conv(3, padding=1, name="conv2")(y)
        y = BatchNorm(name="bn2")(y, train)
        x = conv(self.kernel, name="shortcut_conv")(x)
        return nn.relu(y + BatchNorm(name="shortcut_bn")(x, train))


class EndBlock(nn.Module):
    """An unpadded 3x3 and a 1x1 convolution and a shortcut, then the mean over what is left."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns (B, 1, 1, width); a 2x2 map (f = 6) is padded, or nothing would be left."""
        padding = 0 if min(x.shape[1:3]) >= 3 else 1
        conv = partial(Conv, self.width, dtype=self.dtype, bias=True)
        y = nn.relu(conv(3, padding=padding, name="conv1")(x))
        y = conv(1, name="conv2")(y)
        y = nn.relu(y + conv(3, padding=padding, name="shortcut")(x))
        return jnp.mean(y, (1, 2), keepdims=True)


class ArtifactDetection(nn.Module):
    """The ADM; `width` None makes it as wide as the backbone's map, as published."""

    width: int | None = None
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> Artifacts:
        """Returns the Artifacts of a backbone's map x (B, f, f, C); f >= 6, refused otherwise.

        The maps' sides are f, f - 2, f - 4 and 1.
        """
        if min(x.shape[1:3]) < boxes.MIN_SIDE:
            raise ValueError(f"the ADM needs maps of side {boxes.MIN_SIDE} or more, got {x.shape}")
        channels = x.shape[-1]
        width = self.width or channels
        maps = {}
        for number, kernel in enumerate((1, 3, 3)):
            x = ResidualBlock(width, kernel, self.dtype, name=f"block{number}")(x, train)
            maps[f"artifact{number}"] = x
        maps["artifact3"] = EndBlock(width, self.dtype, name="end")(x)
        vector = maps["artifact3"][:, 0, 0]
        if width != channels:
            vector = nn.Dense(channels, dtype=self.dtype, kernel_init=he_init, name="widen")(vector)
        deltas = self._heads(maps, "box", 4)
        return Artifacts(vector, deltas, self._heads(maps, "score", 2), maps)

    def _heads(self, maps: dict[str, jax.Array], name: str, values: int) -> jax.Array:
        """Returns (B, A, values): map after map, row-major cells, two anchors per cell."""
        conv = partial(Conv, ANCHORS_PER_CELL * values, dtype=self.dtype, bias=True, init=head_init)
        rows = []
        for number, x in enumerate(maps.values()):
            kernel = 3 if number < 3 else 1
            head = conv(kernel, padding=kernel // 2, name=f"{name}{number}")
            rows.append(head(x).reshape(x.shape[0], -1, values))
        return jnp.concatenate(rows, 1)
