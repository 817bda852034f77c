"""The losses: cross entropy, and SSD's multibox loss with hard-negative mining.

L = L_cls + beta * (L_conf + alpha * L_loc) / N ("Implicit Identity Leakage", equations 5 and 6).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax
from jax.typing import ArrayLike


class MultiboxLoss(NamedTuple):
    """Scalars, each over N, the number of positives of the batch (1 when there is none)."""

    loc: jax.Array
    conf: jax.Array
    total: jax.Array


@jax.jit
def cross_entropy(logits: ArrayLike, labels: ArrayLike) -> jax.Array:
    """Returns the mean cross entropy, at least float32, of logits (B, C) and labels (B,)."""
    return optax.softmax_cross_entropy_with_integer_labels(_wide(logits), labels).mean()


@jax.jit
def multibox(
    deltas: ArrayLike,
    box_logits: ArrayLike,
    target_deltas: ArrayLike,
    positive: ArrayLike,
    ignored: ArrayLike,
    *,
    negatives_per_positive: int = 2,
    min_negatives: int = 4,
    alpha: float = 1.0,
) -> MultiboxLoss:
    """Returns the multibox loss, at least float32, of deltas (B, A, 4) and box_logits (B, A, 2).

    Smooth L1 on `positive` (B, A) anchors; cross entropy on them and on each image's hardest
    negatives: `negatives_per_positive` per positive, at least `min_negatives` (0: the reference,
    which shows its detector no genuine face). `ignored` (B, A) anchors that are not positive take
    no part. Targets matter at positives only. A prediction that is not finite there makes a loss
    that is not finite: a broken model must show.
    """
    error = jnp.where(positive[..., None], _wide(deltas) - target_deltas, 0.0)
    loc = optax.huber_loss(error, delta=1.0).sum()
    entropy = optax.softmax_cross_entropy_with_integer_labels(
        _wide(box_logits), positive.astype(jnp.int32)
    )
    wanted = jnp.maximum(negatives_per_positive * positive.sum(-1), min_negatives)
    chosen = positive | _hardest(entropy, ~positive & ~ignored, wanted)
    conf = jnp.where(chosen, entropy, 0.0).sum()
    count = jnp.maximum(positive.sum(), 1)
    return MultiboxLoss(loc / count, conf / count, (conf + alpha * loc) / count)


def _hardest(entropy: jax.Array, candidates: jax.Array, wanted: jax.Array) -> jax.Array:
    """Returns bool (B, A): the `wanted` (B,) candidates of highest loss, ties by lowest index."""
    score = jnp.where(candidates, jax.lax.stop_gradient(entropy), -jnp.inf)
    rank = jnp.argsort(jnp.argsort(-score, axis=-1, stable=True), axis=-1)
    return candidates & (rank < wanted[:, None])


def _wide(values: ArrayLike) -> jax.Array:
    """In float32, or wider where it is wider: losses are not added up in half precision."""
    return values.astype(jnp.promote_types(values.dtype, jnp.float32))
