"""Where things lie: a mesh of `data` x `fsdp` devices, batches split over both, state over fsdp."""

import contextlib
import os
from collections.abc import Sequence
from typing import Any

import jax
import numpy as np
from jax.experimental import multihost_utils
from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

from iid_jax.errors import UsageError

DATA, FSDP = "data", "fsdp"
# Splitting smaller arrays costs more in messages than it saves in memory.
SMALLEST_SPLIT = 2**14
SMALLEST_SHARE = 8


def start(batch_size: int, compilation_cache: str | None = None) -> None:
    """Settles what JAX must be told before it is first used; `batch_size` is the global one.

    * The persistent compilation cache: JAX_COMPILATION_CACHE_DIR, or the folder given.
    * The other processes of the run, where IID_COORDINATOR=host:port, IID_PROCESSES and
      IID_PROCESS (or IID_COORDINATOR=auto on a cluster that JAX knows) name them.
    * One CPU device per core, see `cpu_devices`.

    Raises:
      UsageError: IID_PROCESSES or IID_PROCESS is missing or no number.
    """
    if compilation_cache and "JAX_COMPILATION_CACHE_DIR" not in os.environ:
        jax.config.update("jax_compilation_cache_dir", os.path.expanduser(compilation_cache))
    coordinator = os.environ.get("IID_COORDINATOR")
    # JAX keeps the devices that it has once it was used: in a notebook these are as good.
    with contextlib.suppress(RuntimeError):
        if "xla_force_host_platform_device_count" not in os.environ.get("XLA_FLAGS", ""):
            count = 1 if coordinator else cpu_devices(batch_size, _cores())
            jax.config.update("jax_num_cpu_devices", count)
    if coordinator and not jax.distributed.is_initialized():
        _join(coordinator)


def cpu_devices(batch_size: int, cores: int) -> int:
    """Returns how many CPU devices to make: one per core, as far as they divide the batch.

    XLA runs much of a small network's step on one thread; split over two devices the step takes
    half as long. Each device gets `SMALLEST_SHARE` images at least.
    """
    most = max(1, min(cores, batch_size // SMALLEST_SHARE))
    return max(n for n in range(1, most + 1) if batch_size % n == 0)


def _join(coordinator: str) -> None:
    if coordinator == "auto":
        jax.distributed.initialize()
        return
    count, index = (os.environ.get(name, "") for name in ("IID_PROCESSES", "IID_PROCESS"))
    if not (count.isdigit() and index.isdigit() and int(index) < int(count)):
        raise UsageError(
            f"IID_COORDINATOR={coordinator} needs IID_PROCESSES (how many) and IID_PROCESS "
            f"(which, from 0), got {count!r} and {index!r}"
        )
    jax.distributed.initialize(coordinator, int(count), int(index))


def _cores() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def make_mesh(batch_size: int, fsdp: int = 1, devices: Sequence[jax.Device] | None = None) -> Mesh:
    """Returns the mesh of all devices (or of `devices`), `fsdp` of them sharing parameters.

    Raises:
      UsageError: the devices cannot be divided so, or do not divide the batch.
    """
    count = len(devices or jax.devices())
    if count % fsdp:
        raise UsageError(f"config.train.fsdp={fsdp} does not divide the {count} devices")
    if batch_size % count:
        raise UsageError(
            f"config.train.batch_size={batch_size} is not a multiple of the {count} devices"
        )
    kinds = (AxisType.Auto, AxisType.Auto)
    return jax.make_mesh((count // fsdp, fsdp), (DATA, FSDP), kinds, devices=devices)


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


def place(tree: Any, shardings: Any) -> Any:
    """Returns host or single-device arrays, the same in every process, laid out on the mesh."""

    def lay(leaf: Any, sharding: NamedSharding) -> jax.Array:
        values = np.asarray(leaf)
        return jax.make_array_from_callback(values.shape, sharding, lambda part: values[part])

    return jax.tree.map(lay, tree, shardings)


def fetch(tree: Any) -> Any:
    """Returns what this process alone can compute with: the arrays themselves, or NumPy copies.

    Copies are needed only where other processes hold a part.
    """
    if jax.process_count() == 1:
        return tree
    return multihost_utils.process_allgather(tree, tiled=True)


def meet(name: str) -> None:
    """Waits until every process of the run is here."""
    if jax.process_count() > 1:
        multihost_utils.sync_global_devices(name)
