"""The Artifact Detection Module (ADM): multi-scale anchors that say where the artifact is.

Dong et al. 2023, "Implicit Identity Leakage", section 4.1; the layers are those of the published
model. An artifact at any scale must be located, so the features cannot get by on identity alone.
"""

from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from iid_jax import boxes
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
        y = _conv(self.width, self.kernel, self.dtype, "conv1")(x)
        y = nn.relu(BatchNorm(name="bn1")(y, train))
        y = _conv(self.width, 3, self.dtype, "conv2", padding=1, bias=False)(y)
        y = BatchNorm(name="bn2")(y, train)
        x = _conv(self.width, self.kernel, self.dtype, "shortcut_conv", bias=False)(x)
        return nn.relu(y + BatchNorm(name="shortcut_bn")(x, train))


class EndBlock(nn.Module):
    """An unpadded 3x3 and a 1x1 convolution and a shortcut, then the mean over what is left."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns (B, 1, 1, width); a 2x2 map (f = 6) is padded, or nothing would be left."""
        padding = 0 if min(x.shape[1:3]) >= 3 else 1
        y = nn.relu(_conv(self.width, 3, self.dtype, "conv1", padding)(x))
        y = _conv(self.width, 1, self.dtype, "conv2")(y)
        y = nn.relu(y + _conv(self.width, 3, self.dtype, "shortcut", padding)(x))
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
        rows = []
        for number, x in enumerate(maps.values()):
            kernel = 3 if number < 3 else 1
            channels = ANCHORS_PER_CELL * values
            head = _conv(
                channels, kernel, self.dtype, f"{name}{number}", kernel // 2, init=head_init
            )
            rows.append(head(x).reshape(x.shape[0], -1, values))
        return jnp.concatenate(rows, 1)


def _conv(
    width: int,
    kernel: int,
    dtype: Any,
    name: str,
    padding: int = 0,
    bias: bool = True,
    init: Any = he_init,
) -> nn.Conv:
    sides = [(padding, padding), (padding, padding)]
    return nn.Conv(
        width,
        (kernel, kernel),
        padding=sides,
        use_bias=bias,
        dtype=dtype,
        kernel_init=init,
        name=name,
    )
