"""How to compute on the device at hand: in which type, and compiled with which options."""

import functools
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp

# XLA's newer CPU kernels (jax 0.10) take up to twice as long as Eigen's for the weight gradients
# of 3x3 convolutions in float32: a quarter more CPU time for `resnet_small`'s train step.
EIGEN_KERNELS = {"xla_cpu_experimental_ynn_fusion_type": ""}
# Without it XLA copies all parameters in every step before it updates them in place: 1.2 GB for
# EfficientNet-b4 with the whole ADM.
UPDATE_IN_PLACE = {"xla_cpu_copy_insertion_use_region_analysis": True}


def compute_dtype(name: str) -> Any:
    """Returns the type to compute in: float32, bfloat16, or for "auto" what the device is good at.

    "auto" is bfloat16 on TPU, GPU and CPUs with AVX512-BF16 (but not AMX), float32 elsewhere.
    """
    if name != "auto":
        return jnp.dtype(name)
    fast = jax.default_backend() != "cpu" or _cpu_has_bfloat16()
    return jnp.dtype(jnp.bfloat16 if fast else jnp.float32)


@functools.cache
def compiler_options() -> dict[str, str | bool]:
    """Returns what to give `jax.jit(..., compiler_options=)` for a network's train and eval steps.

    Not for float64, which Eigen convolves 20 times slower. Empty on TPU and GPU; without what this
    version of XLA doesn't know, and without Eigen's kernels on CPUs that compute in bfloat16.
    """
    if jax.default_backend() != "cpu":
        return {}
    wanted = UPDATE_IN_PLACE | ({} if _cpu_has_bfloat16() else EIGEN_KERNELS)
    return {name: value for name, value in wanted.items() if _is_known({name: value})}


def _is_known(option: dict[str, str | bool]) -> bool:
    try:
        jax.jit(lambda: jnp.zeros(()), compiler_options=option)()
    except jax.errors.JaxRuntimeError:
        return False
    return True


def _cpu_has_bfloat16() -> bool:
    """Whether XLA's bfloat16 kernels are this CPU's fastest: with AVX512-BF16 and without AMX.

    With AMX (Sapphire and Emerald Rapids) they take up to twice as long as Eigen's in float32: a
    train step of EfficientNet-b0 2.76 s of CPU time for 1.29 s, of `resnet_small` 0.31 for 0.18.
    """
    flags = _cpu_flags()
    return "avx512_bf16" in flags and "amx_bf16" not in flags


def _cpu_flags() -> frozenset[str]:
    cpuinfo = Path("/proc/cpuinfo")
    return frozenset(cpuinfo.read_text().split() if cpuinfo.exists() else ())
