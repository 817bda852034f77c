"""Xception (Chollet 2017, arXiv:1610.02357), laid out as the common PyTorch port of it is."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp

from iid_jax.models.convolution import Conv
from iid_jax.models.depthwise import DepthwiseConv
from iid_jax.models.norm import BatchNorm
from iid_jax.models.pool import max_pool
from iid_jax.models.registry import register


class Layout(NamedTuple):
    """A block of figure 5: the widths of its separable convolutions, and its stride."""

    widths: tuple[int, ...]
    stride: int


BLOCKS = (
    Layout((128, 128), 2),
    Layout((256, 256), 2),
    Layout((728, 728), 2),
    *[Layout((728, 728, 728), 1)] * 8,
    Layout((728, 1024), 2),
)
# The blocks after which the map has another size or the middle flow ends.
STAGES = (1, 2, 3, 11, 12)
STEM, EXIT = (32, 64), (1536, 2048)
ONE_EACH_SIDE = ((1, 1), (1, 1))


class Separable(nn.Module):
    """A 3x3 convolution of every channel and a 1x1 one of them all, without biases."""

    width: int
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns (B, H, W, width) for x (B, H, W, C)."""
        x = DepthwiseConv(3, 1, ONE_EACH_SIDE, self.dtype, name="depthwise")(x)
        return Conv(self.width, 1, 1, dtype=self.dtype, name="pointwise")(x)


class Block(nn.Module):
    """Separable convolutions, a 3x3 max pool where the stride is 2, and a shortcut."""

    layout: Layout
    starts_with_relu: bool
    norm: Callable[..., Any]
    dtype: Any

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns (B, ceil(H / stride), ceil(W / stride), width) for x (B, H, W, C)."""
        (*_, width), stride = self.layout
        y = x
        for number, inner in enumerate(self.layout.widths, 1):
            y = nn.relu(y) if number > 1 or self.starts_with_relu else y
            y = Separable(inner, self.dtype, name=f"separable{number}")(y)
            y = self.norm(name=f"bn{number}")(y, train)
        if stride > 1:
            y = max_pool(y)
        if stride > 1 or x.shape[-1] != width:
            x = Conv(width, 1, stride, dtype=self.dtype, name="shortcut_conv")(x)
            x = self.norm(name="shortcut_bn")(x, train)
        return y + x


class Xception(nn.Module):
    """Xception without its classifier."""

    dtype: Any = jnp.float32
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5

    @property
    def stride(self) -> int:
        """Side of the input over the side of the feature map."""
        return 32

    @property
    def feature_width(self) -> int:
        """Channels of the feature map."""
        return EXIT[-1]

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, dict]:
        """Returns (map (B, S / 32, S / 32, 2048), {"stem", "stage1", ..., "head"}).

        `images` are normalised floats (B, S, S, 3). The two convolutions of the stem are unpadded,
        as published.
        """
        norm = partial(BatchNorm, self.bn_momentum, self.bn_epsilon)
        x = images.astype(self.dtype)
        for number, (width, stride) in enumerate(zip(STEM, (2, 1), strict=True), 1):
            x = Conv(width, 3, stride, dtype=self.dtype, name=f"stem_conv{number}")(x)
            x = nn.relu(norm(name=f"stem_bn{number}")(x, train))
        features = {"stem": x}
        for number, layout in enumerate(BLOCKS, 1):
            x = Block(layout, number > 1, norm, self.dtype, name=f"block{number}")(x, train)
            if number in STAGES:
                features[f"stage{STAGES.index(number) + 1}"] = x
        for number, width in enumerate(EXIT, 1):
            x = Separable(width, self.dtype, name=f"head{number}")(x)
            x = nn.relu(norm(name=f"head_bn{number}")(x, train))
        return x, {**features, "head": x}


register(
    "xception",
    Xception,
    parameters=20_806_952,
    canvas=224,
    source="Chollet 2017, arXiv:1610.02357, table 3; at 224 px, as the paper's detectors",
)
