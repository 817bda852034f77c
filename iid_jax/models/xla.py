"""How to compute on the device at hand: in which type, and compiled with which options."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

# XLA's newer CPU kernels (jax 0.10) take up to twice as long as Eigen's for the weight gradients
# of 3x3 convolutions in float32: a quarter more CPU time for `resnet_small`'s train step.
EIGEN_KERNELS = {"xla_cpu_experimental_ynn_fusion_type": ""}


def compute_dtype(name: str) -> Any:
    """Returns the type to compute in: float32, bfloat16, or for "auto" what the device is good at.

    "auto" is bfloat16 on TPU, GPU and CPUs with AVX512-BF16, float32 elsewhere.
    """
    if name != "auto":
        return jnp.dtype(name)
    fast = jax.default_backend() != "cpu" or _cpu_has_bfloat16()
    return jnp.dtype(jnp.bfloat16 if fast else jnp.float32)


@functools.cache
def compiler_options() -> dict[str, str]:
    """Returns what to give `jax.jit(..., compiler_options=)` for a network's train and eval steps.

    Not for float64, which Eigen convolves 20 times slower. Empty on TPU, GPU and CPUs that compute
    in bfloat16, and where this version of XLA doesn't know the option.
    """
    if jax.default_backend() != "cpu" or _cpu_has_bfloat16():
        return {}
    try:
        jax.jit(lambda: jnp.zeros(()), compiler_options=EIGEN_KERNELS)()
    except jax.errors.JaxRuntimeError:
        return {}
    return dict(EIGEN_KERNELS)


def _cpu_has_bfloat16() -> bool:
    cpuinfo = Path("/proc/cpuinfo")
    return cpuinfo.exists() and "avx512_bf16" in cpuinfo.read_text()
