"""What training changes: parameters, BatchNorm statistics, the optimiser's memory, the step."""

from typing import Any

import flax.struct
import jax
import jax.numpy as jnp
import optax
from jax.sharding import Mesh

from iid_jax.models.initial import initialise
from iid_jax.training import sharding


class State(flax.struct.PyTreeNode):
    """The training state; `step` counts the updates done."""

    step: jax.Array
    params: Any
    batch_stats: Any
    opt_state: Any

    @property
    def variables(self) -> dict[str, Any]:
        """What the module's `apply` takes."""
        return {"params": self.params, "batch_stats": self.batch_stats}


def create(
    module: Any, spec: Any, tx: optax.GradientTransformation, seed: int, mesh: Mesh
) -> State:
    """Returns the state at step 0, laid out on the mesh; the same for any number of devices."""
    variables = initialise(module, spec, seed)
    params = variables["params"]
    state = State(
        step=jnp.zeros((), jnp.int32),
        params=params,
        batch_stats=variables["batch_stats"],
        opt_state=tx.init(params),
    )
    return sharding.place(state, sharding.state_sharding(state, mesh))
