"""Convolution: forward XLA's own, and on CPU gradients by matrix products where those are faster.

For the map's gradient XLA turns the kernel over in memory, element by element; under a small map
with many channels (the ADM's: 115 MB of kernel, 7x7 positions) that takes up to ten times as long
as the products themselves. For the kernel's gradient it turns both maps, which a 1x1 kernel needs
not at all.
"""

from functools import partial
from typing import Any

import flax.linen as nn
import jax
import jax.numpy as jnp

from iid_jax.models.initial import he_init

Padding = tuple[tuple[int, int], tuple[int, int]]


class Conv(nn.Module):
    """A convolution with a square `kernel`, `width` channels out.

    `padding` is that of every side, or ((top, bottom), (left, right)), in pixels: 'SAME' would pad
    a stride-2 convolution otherwise than PyTorch.
    """

    width: int
    kernel: int
    stride: int = 1
    padding: int | Padding = 0
    dtype: Any = jnp.float32
    bias: bool = False
    init: Any = he_init

    @nn.compact
    def __call__(self, x: jax.Array) -> jax.Array:
        """Returns (B, H', W', width) for x (B, H, W, C), in `dtype`."""
        shape = (self.kernel, self.kernel, x.shape[-1], self.width)
        kernel = self.param("kernel", self.init, shape, jnp.float32).astype(self.dtype)
        sides = self.padding
        padding = ((sides, sides), (sides, sides)) if isinstance(sides, int) else sides
        y = convolve(x.astype(self.dtype), kernel, self.stride, padding)
        if not self.bias:
            return y
        bias = self.param("bias", nn.initializers.zeros, (self.width,), jnp.float32)
        return y + bias.astype(self.dtype)


@partial(jax.custom_vjp, nondiff_argnums=(2, 3))
def convolve(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Returns x (B, H, W, I) correlated with kernel (k, k, I, O): (B, H', W', O), in x's type."""
    return by_xla(x, kernel, stride, padding)


def by_xla(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> jax.Array:
    """Returns the same, with XLA's own gradients."""
    strides, layout = (stride, stride), ("NHWC", "HWIO", "NHWC")
    return jax.lax.conv_general_dilated(x, kernel, strides, padding, dimension_numbers=layout)


def _forward(x: jax.Array, kernel: jax.Array, stride: int, padding: Padding) -> tuple[Any, Any]:
    return convolve(x, kernel, stride, padding), (x, kernel)


def _backward(stride: int, padding: Padding, saved: Any, gradient: jax.Array) -> tuple[Any, Any]:
    x, kernel = saved
    xla = partial(xla_gradients, stride=stride, padding=padding)
    few = gradient.size // gradient.shape[-1] < kernel.shape[-1]
    if not few and len(kernel) > 1:
        return xla(x, kernel, gradient)

    def cpu(*given: jax.Array) -> tuple[jax.Array, jax.Array]:
        own = product_gradients(*given, stride, padding)
        return own if few else (xla(*given)[0], own[1])

    return jax.lax.platform_dependent(x, kernel, gradient, cpu=cpu, default=xla)


convolve.defvjp(_forward, _backward)


def xla_gradients(
    x: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int, padding: Padding
) -> tuple[jax.Array, jax.Array]:
    """Returns the gradients of x and kernel, given that of `convolve`'s result, as XLA has them."""
    return jax.vjp(partial(by_xla, stride=stride, padding=padding), x, kernel)[1](gradient)


def product_gradients(
    x: jax.Array, kernel: jax.Array, gradient: jax.Array, stride: int, padding: Padding
) -> tuple[jax.Array, jax.Array]:
    """Returns the same as two products with what the kernel meets at each position."""
    side, channels, width = len(kernel), *kernel.shape[2:]
    met, fold = jax.vjp(lambda x: _met(x, side, stride, padding), x)
    rows = gradient.reshape(-1, width)
    kernel_gradient = met.reshape(len(rows), -1).T @ rows
    # The kernel is the left factor and stays as it lies; the small product is what is turned.
    products = jax.lax.dot_general(kernel.reshape(-1, width), rows, (((1,), (1,)), ((), ())))
    (x_gradient,) = fold(products.T.reshape(met.shape))
    return x_gradient, kernel_gradient.reshape(side, side, channels, width)


def _met(x: jax.Array, side: int, stride: int, padding: Padding) -> jax.Array:
    """Returns what the kernel meets at every position, (B, H', W', k * k * I)."""
    x = jnp.pad(x, ((0, 0), *padding, (0, 0)))
    height, width = ((length - side) // stride * stride + 1 for length in x.shape[1:3])
    places = [(row, column) for row in range(side) for column in range(side)]
    parts = [x[:, r : r + height : stride, c : c + width : stride] for r, c in places]
    return jnp.concatenate(parts, -1)
