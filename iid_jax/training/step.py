"""One step of training: loss, gradients, update; jitted once over the mesh."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
from jax.sharding import Mesh, NamedSharding, PartitionSpec

from iid_jax import boxes, losses
from iid_jax.config import LossConfig
from iid_jax.models.xla import compiler_options
from iid_jax.training import sharding
from iid_jax.training.state import State

Batch = dict[str, jax.Array]
FED = ("image", "label", "boxes", "boxes_valid", "coverage")


def loss_terms(
    outputs: Any, batch: Batch, anchors: np.ndarray | None, config: LossConfig
) -> dict[str, jax.Array]:
    """Returns the scalars loss, loss_cls and, with the ADM, loss_conf, loss_loc and positives."""
    cls = losses.cross_entropy(outputs.logits, batch["label"])
    if anchors is None:
        return {"loss": cls, "loss_cls": cls}
    matched = boxes.match(batch["boxes"], batch["boxes_valid"], anchors, config.iou_threshold)
    if config.negatives == "outside_mask":
        ignored = boxes.ignored(matched.positive, batch["coverage"], config.ignore_above)
    else:
        ignored = jnp.zeros_like(matched.positive)
    found = losses.multibox(
        outputs.deltas,
        outputs.box_logits,
        matched.deltas,
        matched.positive,
        ignored,
        negatives_per_positive=config.negatives_per_positive,
        min_negatives=config.min_negatives,
        alpha=config.alpha,
    )
    return {
        "loss": cls + config.beta * found.total,
        "loss_cls": cls,
        "loss_conf": found.conf,
        "loss_loc": found.loc,
        "positives": matched.positive.sum(),
    }


def make_step(
    module: Any,
    spec: Any,
    anchors: np.ndarray | None,
    config: LossConfig,
    tx: optax.GradientTransformation,
    state: State,
    mesh: Mesh,
    seed: int = 0,
) -> Callable[[State, Batch], tuple[State, dict[str, jax.Array]]]:
    """Returns the jitted (state, batch) -> (state, scalars); the state given is used up.

    The batch holds `FED`, its images as uint8; BatchNorm sees the global batch. The scalars are
    those of `loss_terms` and grad_norm. What is dropped depends on `seed` and the state's step.
    """

    def loss(params: Any, state: State, batch: Batch) -> tuple[jax.Array, tuple[Any, Any]]:
        outputs, updated = module.apply(
            {"params": params, "batch_stats": state.batch_stats},
            spec.normalise(batch["image"]),
            train=True,
            mutable=["batch_stats"],
            rngs={"dropout": jax.random.fold_in(jax.random.key(seed), state.step)},
        )
        terms = loss_terms(outputs, batch, anchors, config)
        return terms["loss"], (terms, updated["batch_stats"])

    def step(state: State, batch: Batch) -> tuple[State, dict[str, jax.Array]]:
        grads, (terms, batch_stats) = jax.grad(loss, has_aux=True)(state.params, state, batch)
        updates, opt_state = tx.update(grads, state.opt_state, state.params)
        state = State(
            step=state.step + 1,
            params=optax.apply_updates(state.params, updates),
            batch_stats=batch_stats,
            opt_state=opt_state,
        )
        return state, {**terms, "grad_norm": optax.tree.norm(grads)}

    placed = sharding.state_sharding(state, mesh)
    everywhere = NamedSharding(mesh, PartitionSpec())
    return jax.jit(
        step,
        in_shardings=(placed, sharding.batch_sharding(mesh)),
        out_shardings=(placed, everywhere),
        donate_argnums=0,
        compiler_options=compiler_options(),
    )
