"""ResNet (He et al. 2016, arXiv:1512.03385) as torchvision has it, and a small one for CPUs."""

from collections.abc import Callable
from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from iid_jax.models.convolution import Conv
from iid_jax.models.norm import BatchNorm
from iid_jax.models.pool import max_pool
from iid_jax.models.registry import register


class BasicBlock(nn.Module):
    """Two 3x3 convolutions and a shortcut; `width` channels out."""

    width: int
    stride: int
    norm: Callable[..., Any]
    dtype: Any
    expansion = 1

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns (B, H / stride, W / stride, width) for x (B, H, W, C)."""
        y = Conv(self.width, 3, self.stride, 1, self.dtype, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y, train))
        y = Conv(self.width, 3, 1, 1, self.dtype, name="conv2")(y)
        y = self.norm(name="bn2")(y, train)
        return nn.relu(y + _shortcut(self, x, y.shape[-1], train))


class Bottleneck(nn.Module):
    """1x1, 3x3 (with the stride) and 1x1 convolutions and a shortcut; 4 `width` channels out."""

    width: int
    stride: int
    norm: Callable[..., Any]
    dtype: Any
    expansion = 4

    @nn.compact
    def __call__(self, x: jax.Array, train: bool) -> jax.Array:
        """Returns (B, H / stride, W / stride, 4 width) for x (B, H, W, C)."""
        y = Conv(self.width, 1, 1, 0, self.dtype, name="conv1")(x)
        y = nn.relu(self.norm(name="bn1")(y, train))
        y = Conv(self.width, 3, self.stride, 1, self.dtype, name="conv2")(y)
        y = nn.relu(self.norm(name="bn2")(y, train))
        y = Conv(self.width * self.expansion, 1, 1, 0, self.dtype, name="conv3")(y)
        y = self.norm(name="bn3")(y, train)
        return nn.relu(y + _shortcut(self, x, y.shape[-1], train))


def _shortcut(block: Any, x: jax.Array, width: int, train: bool) -> jax.Array:
    if block.stride == 1 and x.shape[-1] == width:
        return x
    x = Conv(width, 1, block.stride, 0, block.dtype, name="shortcut_conv")(x)
    return block.norm(name="shortcut_bn")(x, train)


class ResNet(nn.Module):
    """A ResNet without its classifier.

    `blocks` and `widths` have one value per stage. With `pooled_stem` the stem is a 7x7
    convolution and a max pool (stride 4) and the first stage has stride 1; without it the stem is
    a 3x3 convolution of stride 2 and every stage halves the map.
    """

    blocks: tuple[int, ...] = (2, 2, 2, 2)
    widths: tuple[int, ...] = (64, 128, 256, 512)
    block: type[nn.Module] = BasicBlock
    stem_width: int = 64
    pooled_stem: bool = True
    dtype: Any = jnp.float32
    bn_momentum: float = 0.9
    bn_epsilon: float = 1e-5

    @property
    def stride(self) -> int:
        """Side of the input over the side of the feature map."""
        return 2 ** (len(self.blocks) + 1)

    @property
    def feature_width(self) -> int:
        """Channels of the feature map."""
        return self.widths[-1] * self.block.expansion

    @nn.compact
    def __call__(self, images: jax.Array, train: bool = False) -> tuple[jax.Array, dict]:
        """Returns (map (B, S / stride, S / stride, feature_width), {"stem", "stage1", ...}).

        `images` are normalised floats (B, S, S, 3).
        """
        norm = partial(BatchNorm, self.bn_momentum, self.bn_epsilon)
        x = self._stem(images.astype(self.dtype), norm, train)
        features = {"stem": x}
        for stage, (count, width) in enumerate(zip(self.blocks, self.widths, strict=True), 1):
            for number in range(count):
                halves = number == 0 and (stage > 1 or not self.pooled_stem)
                name = f"stage{stage}_block{number}"
                block = self.block(width, 2 if halves else 1, norm, self.dtype, name=name)
                x = block(x, train)
            features[f"stage{stage}"] = x
        return x, features

    def _stem(self, x: jax.Array, norm: Callable[..., Any], train: bool) -> jax.Array:
        kernel = 7 if self.pooled_stem else 3
        x = Conv(self.stem_width, kernel, 2, kernel // 2, self.dtype, name="stem_conv")(x)
        x = nn.relu(norm(name="stem_bn")(x, train))
        if not self.pooled_stem:
            return x
        return max_pool(x)


HE_2016 = "He et al. 2016, arXiv:1512.03385, table 1; the count is torchvision's without `fc`"

register("resnet18", ResNet, parameters=11_176_512, canvas=224, source=HE_2016, blocks=(2, 2, 2, 2))
register("resnet34", ResNet, parameters=21_284_672, canvas=224, source=HE_2016, blocks=(3, 4, 6, 3))
register(
    "resnet50",
    ResNet,
    parameters=23_508_032,
    canvas=224,
    source=HE_2016,
    blocks=(3, 4, 6, 3),
    block=Bottleneck,
)
register(
    "resnet_small",
    ResNet,
    parameters=598_288,
    canvas=112,
    source="our own: the ResNet that two CPU cores train in minutes; dense 3x3 convolutions only",
    blocks=(1, 1, 2),
    widths=(32, 64, 128),
    stem_width=16,
    pooled_stem=False,
)
