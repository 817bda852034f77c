"""EfficientNet b0 to b7 (Tan and Le 2019, arXiv:1905.11946)."""

import math
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from iid_jax.models.convolution import Conv, Padding
from iid_jax.models.depthwise import DepthwiseConv
from iid_jax.models.norm import BatchNorm
from iid_jax.models.registry import register


class Stage(NamedTuple):
    """A stage of b0 (table 1): blocks, the first with the stride; `width` channels out."""

    blocks: int
    kernel: int
    stride: int
    expansion: int
    width: int


STAGES = (
    Stage(1, 3, 1, 1, 16),
    Stage(2, 3, 2, 6, 24),
    Stage(2, 5, 2, 6, 40),
    Stage(3, 3, 2, 6, 80),
    Stage(3, 5, 1, 6, 112),
    Stage(4, 5, 2, 6, 192),
    Stage(1, 3, 1, 6, 320),
)
STEM_WIDTH, HEAD_WIDTH = 32, 1280
SQUEEZE = 4


def scaled_width(width: int, factor: float) -> int:
    """Returns the channels of b0 times `factor`, a multiple of 8 and at most 10 % too few."""
    wanted = width * factor
    rounded = max(8, int(wanted + 4) // 8 * 8)
    return rounded + 8 if rounded < 0.9 * wanted else rounded


def same_padding(sides: tuple[int, int], kernel: int, stride: int) -> Padding:
    """Returns TensorFlow's 'SAME' padding of a map: the odd pixel is below and right."""
    totals = [max((math.ceil(side / stride) - 1) * stride + kernel - side, 0) for side in sides]
    return tuple((total // 2, total - total // 2) for total in totals)


class Block(nn.Module):
    """An inverted residual block with squeeze-and-excitation (MBConv); `width` channels out.

    `drop` is the probability that an image's branch is left out in training.
    """

    width: int
    kernel: int
    stride: int
    expansion: int
    drop: float
    norm: Any
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns (B, H / stride, W / stride, width) for x (B, H, W, C)."""
        y, inner = x, x.shape[-1] * self.expansion
        if self.expansion > 1:
            y = Conv(inner, 1, dtype=self.dtype, name="expand_conv")(y)
            y = nn.silu(self.norm(name="expand_bn")(y, train))
        padding = same_padding(x.shape[1:3], self.kernel, self.stride)
        y = DepthwiseConv(self.kernel, self.stride, padding, self.dtype, name="depthwise_conv")(y)
        y = nn.silu(self.norm(name="depthwise_bn")(y, train))
        y = y * self._excitation(y, max(1, x.shape[-1] // SQUEEZE))
        y = self.norm(name="project_bn")(
            Conv(self.width, 1, dtype=self.dtype, name="project_conv")(y), train
        )
        if self.stride > 1 or x.shape[-1] != self.width:
            return y
        return x + self._kept(y, train)

    def _excitation(self, y: jax.Array, width: int) -> jax.Array:
        conv = partial(Conv, kernel=1, dtype=self.dtype, bias=True)
        squeezed = jnp.mean(y, (1, 2), keepdims=True)
        squeezed = nn.silu(conv(width, name="se_reduce")(squeezed))
        return nn.sigmoid(conv(y.shape[-1], name="se_expand")(squeezed))

    def _kept(self, y: jax.Array, train: bool) -> jax.Array:
        if not train or not self.drop:
            return y
        kept = jax.random.bernoulli(self.make_rng("dropout"), 1 - self.drop, (len(y), 1, 1, 1))
        return jnp.where(kept, y / (1 - self.drop), 0).astype(y.dtype)


class EfficientNet(nn.Module):
    """An EfficientNet without its classifier.

    `drop_connect` is the probability at the end of the blocks; it grows from 0 at the first.
    `dropout` is for what the classifier sees.
    """

    width: float = 1.0
    depth: float = 1.0
    dropout: float = 0.2
    drop_connect: float = 0.2
    dtype: Any = jnp.float32
    bn_momentum: float = 0.99
    bn_epsilon: float = 1e-3

    @property
    def stride(self) -> int:
        """Side of the input over the side of the feature map."""
        return 2 * math.prod(stage.stride for stage in STAGES)

    @property
    def feature_width(self) -> int:
        """Channels of the feature map."""
        return scaled_width(HEAD_WIDTH, self.width)

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, dict]:
        """Returns (map (B, S / 32, S / 32, feature_width), {"stem", "stage1", ..., "head"}).

        `images` are normalised floats (B, S, S, 3). With `train` and a `drop_connect` above 0 a
        "dropout" key is needed.
        """
        norm = partial(BatchNorm, self.bn_momentum, self.bn_epsilon)
        padding = same_padding(images.shape[1:3], 3, 2)
        width = scaled_width(STEM_WIDTH, self.width)
        x = Conv(width, 3, 2, padding, self.dtype, name="stem_conv")(images)
        x = nn.silu(norm(name="stem_bn")(x, train))
        counts = [math.ceil(stage.blocks * self.depth) for stage in STAGES]
        features, number = {"stem": x}, 0
        for stage, (layout, count) in enumerate(zip(STAGES, counts, strict=True), 1):
            for repeat in range(count):
                x = Block(
                    scaled_width(layout.width, self.width),
                    layout.kernel,
                    layout.stride if repeat == 0 else 1,
                    layout.expansion,
                    self.drop_connect * number / sum(counts),
                    norm,
                    self.dtype,
                    name=f"block{number}",
                )(x, train)
                number += 1
            features[f"stage{stage}"] = x
        x = Conv(self.feature_width, 1, dtype=self.dtype, name="head_conv")(x)
        features["head"] = x = nn.silu(norm(name="head_bn")(x, train))
        return x, features


# Width, depth and dropout as published, and the parameters without the classifier.
VARIANTS = {
    "efficientnet_b0": (1.0, 1.0, 0.2, 4_007_548),
    "efficientnet_b1": (1.0, 1.1, 0.2, 6_513_184),
    "efficientnet_b2": (1.1, 1.2, 0.3, 7_700_994),
    "efficientnet_b3": (1.2, 1.4, 0.3, 10_696_232),
    "efficientnet_b4": (1.4, 1.8, 0.4, 17_548_616),
    "efficientnet_b5": (1.6, 2.2, 0.4, 28_340_784),
    "efficientnet_b6": (1.8, 2.6, 0.5, 40_735_704),
    "efficientnet_b7": (2.0, 3.1, 0.5, 63_786_960),
}
for _name, (_width, _depth, _dropout, _parameters) in VARIANTS.items():
    register(
        _name,
        EfficientNet,
        parameters=_parameters,
        canvas=224,
        source="Tan and Le 2019, arXiv:1905.11946; at 224 px, as the paper's detectors",
        width=_width,
        depth=_depth,
        dropout=_dropout,
    )
