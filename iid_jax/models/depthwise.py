"""Depthwise convolution: XLA's own on TPU and GPU, a sum of shifted products on CPU.

XLA convolves channel by channel on CPU, in loops that take 8 to 30 times as long as k * k products
of shifted maps; the gradients written out here save as much again.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from iid_jax.models.convolution import Padding
from iid_jax.models.initial import he_init
from iid_jax.models.norm import channel_sum


class DepthwiseConv(nn.Module):
    """A convolution of every channel with its own square `kernel`, without bias.

    `padding` is ((top, bottom), (left, right)), in pixels.
    """

    kernel: int
    stride: int
    padding: Padding
    dtype: Any = jnp.float32

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns (B, H', W', C) for x (B, H, W, C)."""
        shape = (self.kernel, self.kernel, 1, x.shape[-1])
        kernel = self.param("kernel", he_init, shape, jnp.float32)
        # Initialising asks for shapes alone, and tracing the shifts takes a quarter of its time.
        convolve = by_xla if self.is_initializing() else depthwise
        return convolve(x.astype(self.dtype), kernel.astype(self.dtype), self.stride, self.padding)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def depthwise(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Returns x (B, H, W, C) correlated with kernel (k, k, 1, C), in x's type."""
    return jax.lax.platform_dependent(
        x,
        kernel,
        cpu=partial(by_shifts, stride=stride, padding=padding),
        default=partial(by_xla, stride=stride, padding=padding),
    )


def by_xla(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Returns the same by XLA's grouped convolution."""
    return jax.lax.conv_general_dilated(
        x,
        kernel,
        (stride, stride),
        padding,
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
        feature_group_count=x.shape[-1],
    )


def by_shifts(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Returns the same as a sum of shifted products, added up in float32 or wider."""
    wide = jnp.promote_types(x.dtype, jnp.float32)
    padded, weights = _pad(x.astype(wide), padding), kernel[:, :, 0].astype(wide)
    sides = _sides(padded, len(kernel), stride)
    total = None
    for row, column in _places(len(kernel)):
        part = _shifted(padded, row, column, sides, stride) * weights[row, column]
        total = part if total is None else total + part
    return total.astype(x.dtype)


def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> tuple[Any, Any]:
    return depthwise(x, kernel, stride, padding), (x, kernel)


def _backward(stride: int, padding: Padding, saved: Any, gradient: jax.Array) -> tuple[Any, Any]:
    return jax.lax.platform_dependent(
        *saved,
        gradient,
        cpu=partial(_shifts_backward, stride=stride, padding=padding),
        default=partial(_xla_backward, stride=stride, padding=padding),
    )


depthwise.defvjp(_forward, _backward)


def _xla_backward(
    x: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int, padding: Padding
) -> tuple[jax.Array, jax.Array]:
    _, pull = jax.vjp(partial(by_xla, stride=stride, padding=padding), x, kernel)
    return pull(gradient)


def _shifts_backward(
    x: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int, padding: Padding
) -> tuple[jax.Array, jax.Array]:
    side, sides = len(kernel), gradient.shape[1:3]
    # The map's gradient: the dilated gradient, correlated with the kernel turned by 180 degrees.
    spread = [
        (side - 1 - low, total + low - (count - 1) * stride - 1, stride - 1)
        for (low, _), total, count in zip(padding, x.shape[1:3], sides, strict=True)
    ]
    dilated = jax.lax.pad(gradient, jnp.zeros((), gradient.dtype), [(0, 0, 0), *spread, (0, 0, 0)])
    x_gradient = by_shifts(dilated, kernel[::-1, ::-1], 1, ((0, 0), (0, 0)))
    wide = jnp.promote_types(x.dtype, jnp.float32)
    padded, gradient = _pad(x.astype(wide), padding), gradient.astype(wide)
    sums = [
        channel_sum(_shifted(padded, row, column, sides, stride) * gradient)
        for row, column in _places(side)
    ]
    kernel_gradient = jnp.stack(sums).reshape(kernel.shape).astype(kernel.dtype)
    return x_gradient, kernel_gradient


def _pad(x: jax.Array, padding: Padding) -> jax.Array:
    return jnp.pad(x, ((0, 0), *padding, (0, 0)))


def _sides(padded: jax.Array, kernel: int, stride: int) -> tuple[int, int]:
    return tuple((side - kernel) // stride + 1 for side in padded.shape[1:3])


def _places(kernel: int) -> list[tuple[int, int]]:
    return [(row, column) for row in range(kernel) for column in range(kernel)]


def _shifted(
    padded: jax.Array, row: int, column: int, sides: tuple[int, int], stride: int
) -> jax.Array:
    """What the kernel's cell (row, column) meets, (B, *sides, C)."""
    last = [
        start + (side - 1) * stride + 1 for start, side in zip((row, column), sides, strict=True)
    ]
    return padded[:, row : last[0] : stride, column : last[1] : stride]
