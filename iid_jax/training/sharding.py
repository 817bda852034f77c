"""Where things lie: a mesh of `data` x `fsdp` devices, batches split over both, state over fsdp."""

import os
from typing import Any

import jax
import numpy as np
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from iid_jax.errors import UsageError

DATA, FSDP = "data", "fsdp"
# Splitting smaller arrays costs more in messages than it saves in memory.
SMALLEST_SPLIT = 2**14


def use_cpu_cores(batch_size: int) -> None:
    """Makes one CPU device per core, as far as they divide the batch; before JAX is first used.

    XLA runs much of a small network's step on one thread; split over two devices the step takes
    half as long. Nothing changes where a device count is given or an accelerator is used.
    """
    if "xla_force_host_platform_device_count" in os.environ.get("XLA_FLAGS", ""):
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    count = max(n for n in range(1, (cores or 1) + 1) if batch_size % n == 0)
    jax.config.update("jax_num_cpu_devices", count)


def make_mesh(batch_size: int, fsdp: int = 1) -> Mesh:
    """Returns the mesh of all devices, `fsdp` of them sharing parameters.

    Raises:
      UsageError: the devices cannot be divided so, or do not divide the batch.
    """
    devices = jax.device_count()
    if devices % fsdp:
        raise UsageError(f"config.train.fsdp={fsdp} does not divide the {devices} devices")
    if batch_size % devices:
        raise UsageError(
            f"config.train.batch_size={batch_size} is not a multiple of the {devices} devices"
        )
    return jax.make_mesh((devices // fsdp, fsdp), (DATA, FSDP), axis_types=(AxisType.Auto,) * 2)


def batch_sharding(mesh: Mesh) -> NamedSharding:
    """Returns how batches lie: split along their first axis over all devices."""
    return NamedSharding(mesh, PartitionSpec((DATA, FSDP)))


def state_sharding(tree: Any, mesh: Mesh) -> Any:
    """Returns a sharding per leaf: its largest axis that fsdp divides, or a copy everywhere."""

    def place(leaf: Any) -> NamedSharding:
        count = mesh.shape[FSDP]
        axes = [None] * leaf.ndim
        fitting = [i for i in range(leaf.ndim) if leaf.shape[i] % count == 0]
        if count > 1 and fitting and leaf.size >= SMALLEST_SPLIT:
            axes[max(fitting, key=lambda i: leaf.shape[i])] = FSDP
        return NamedSharding(mesh, PartitionSpec(*axes))

    return jax.tree.map(place, tree)


def to_devices(batch: dict[str, np.ndarray], sharding: NamedSharding) -> dict[str, jax.Array]:
    """Returns this process's share of a batch as part of the global arrays."""
    return {
        name: jax.make_array_from_process_local_data(sharding, values)
        for name, values in batch.items()
    }


def cache_compilations() -> None:
    """Keeps compiled programs between runs, in JAX_COMPILATION_CACHE_DIR or ~/.cache/iid_jax."""
    if "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        folder = os.path.join(os.path.expanduser("~"), ".cache", "iid_jax", "xla")
        jax.config.update("jax_compilation_cache_dir", folder)
