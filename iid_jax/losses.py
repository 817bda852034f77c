"""The losses: cross entropy, and SSD's multibox loss with hard-negative mining.

L = L_cls + beta * (L_conf + alpha * L_loc) / N ("Implicit Identity Leakage", equations 5 and 6).
"""

from typing import NamedTuple

import jax
import jax.numpy as jnp
import optax


class MultiboxLoss(NamedTuple):
    """Scalars, each over N, the number of positives of the batch (1 when there is none)."""

    loc: jax.Array
    conf: jax.Array
    total: jax.Array


def cross_entropy(logits: jax.Array, labels: jax.Array) -> jax.Array:
    """Returns the mean cross entropy of logits (B, C) and labels (B,)."""
    return optax.softmax_cross_entropy_with_integer_labels(logits, labels).mean()


def multibox(
    deltas: jax.Array,
    box_logits: jax.Array,
    target_deltas: jax.Array,
    positive: jax.Array,
    ignored: jax.Array,
    *,
    negatives_per_positive: int = 2,
    min_negatives: int = 4,
    alpha: float = 1.0,
) -> MultiboxLoss:
    """Returns the multibox loss of deltas (B, A, 4) and box_logits (B, A, 2).

    Smooth L1 on `positive` (B, A) anchors; cross entropy on them and on each image's hardest
    negatives: `negatives_per_positive` per positive, at least `min_negatives` (0: the reference,
    which shows its detector no genuine face). `ignored` (B, A) anchors take no part.
    """
    weight = positive.astype(deltas.dtype)
    loc = (optax.huber_loss(deltas, target_deltas, delta=1.0).sum(-1) * weight).sum()
    entropy = optax.softmax_cross_entropy_with_integer_labels(
        box_logits, positive.astype(jnp.int32)
    )
    candidates = ~positive & ~ignored
    wanted = jnp.maximum(negatives_per_positive * positive.sum(-1), min_negatives)
    chosen = positive | _hardest(entropy, candidates, wanted)
    conf = jnp.where(chosen, entropy, 0.0).sum()
    count = jnp.maximum(positive.sum(), 1).astype(deltas.dtype)
    return MultiboxLoss(loc / count, conf / count, (conf + alpha * loc) / count)


def _hardest(entropy: jax.Array, candidates: jax.Array, wanted: jax.Array) -> jax.Array:
    """Returns bool (B, A): the `wanted` (B,) candidates of highest loss, ties by lowest index."""
    score = jnp.where(candidates, jax.lax.stop_gradient(entropy), -jnp.inf)
    rank = jnp.argsort(jnp.argsort(-score, axis=-1, stable=True), axis=-1)
    return candidates & (rank < wanted[:, None])
