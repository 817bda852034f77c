"""Backbones, the Artifact Detection Module and the detector; importing this loads no JAX."""

from iid_jax.models.input_spec import InputSpec
from iid_jax.models.registry import create, entry, names, register

__all__ = ["InputSpec", "create", "entry", "names", "register"]
