"""Where a detector looks: Grad-CAM of its named features, and the ADM's local anchors.

Grad-CAM: Selvaraju et al. 2017, arXiv:1610.02391. The modules are not changed for it: an
interceptor adds zeros to the output of the one that makes the feature, and the gradient by these
zeros is the gradient by the feature.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from iid_jax.errors import UsageError, nearest
from iid_jax.leakage.network import Network, log_odds

# Side of the map of the anchors.
HEAT_SIDE = 56
CANDIDATES, KEPT_BOXES = 100, 20


class Maps(NamedTuple):
    """What a detector looks at, of B canvases: `cam` (B, h, w), at least 0, by Grad-CAM.

    With the ADM `anchors` (B, 56, 56), everywhere the highest score of a local box there, and the
    `boxes` (B, K, 4) after suppression with `box_scores` (B, K), best first; else None.
    """

    cam: np.ndarray
    anchors: np.ndarray | None
    boxes: np.ndarray | None
    box_scores: np.ndarray | None


class Place(NamedTuple):
    """The module that makes a feature, and which of its outputs it is (None: the only one)."""

    path: tuple[str, ...]
    output: int | None


def places(network: Network) -> dict[str, Place]:
    """Returns where the detector's feature maps are made; Grad-CAM is possible for these.

    A feature that no module gives out (an activation between two layers) has no place.
    """
    import flax.linen as nn
    import jax

    made: list[tuple[Any, Place]] = []

    def record(call, args, kwargs, context):
        given = call(*args, **kwargs)
        if context.method_name == "__call__":
            outputs = enumerate(given) if isinstance(given, tuple) else [(None, given)]
            made.extend((value, Place(context.module.path, number)) for number, value in outputs)
        return given

    found: dict[str, Place] = {}

    def look(variables, images):
        with nn.intercept_methods(record):
            outputs = network.outputs(variables, images)
        for name, feature in outputs.features.items():
            # The innermost module comes first: it is the first to return.
            here = [place for value, place in made if value is feature]
            if here and feature.ndim == 4:
                found[name] = here[0]
        return outputs.logits

    images = jax.ShapeDtypeStruct((1, network.spec.size, network.spec.size, 3), np.uint8)
    jax.eval_shape(look, network.loaded.variables, images)
    return found


def compile_maps(network: Network, feature: str) -> Callable[[np.ndarray], Maps]:
    """Returns the function from canvases uint8 (B, S, S, 3) to their Maps.

    The gradient is that of the log-odds of fake.

    Raises:
      UsageError: the detector has no such feature map, or Grad-CAM cannot reach it.
    """
    network.check_feature(feature)
    known = places(network)
    if feature not in known:
        raise UsageError(
            f"{network.name}: no map for Grad-CAM in {feature!r}{nearest(feature, known)}"
        )
    run = network.spread(_maps(network, feature, known[feature]))

    def maps(images: np.ndarray) -> Maps:
        return Maps(*run(images))

    return maps


def _maps(network: Network, feature: str, place: Place) -> Callable:
    import flax.linen as nn
    import jax
    import jax.numpy as jnp

    def maps(variables, images):
        def total(zeros):
            def add(call, args, kwargs, context):
                given = call(*args, **kwargs)
                if context.method_name != "__call__" or context.module.path != place.path:
                    return given
                if place.output is None:
                    return given + zeros
                parts = list(given)
                parts[place.output] += zeros
                return type(given)(*parts) if hasattr(given, "_fields") else tuple(parts)

            with nn.intercept_methods(add):
                outputs = network.outputs(variables, images)
            return log_odds(outputs).sum(), outputs

        shape = jax.eval_shape(lambda: network.outputs(variables, images).features[feature])
        slopes, outputs = jax.grad(total, has_aux=True)(jnp.zeros(shape.shape, shape.dtype))
        values = outputs.features[feature].astype(jnp.float32)
        weights = slopes.astype(jnp.float32).mean((1, 2), keepdims=True)
        cam = jnp.maximum((weights * values).sum(-1), 0.0)
        if network.loaded.anchors is None:
            return cam, None, None, None
        return cam, *_anchors(outputs, network.loaded.anchors)

    return maps


def _anchors(outputs: Any, anchors: np.ndarray) -> tuple[Any, Any, Any]:
    import jax
    import jax.numpy as jnp

    from iid_jax import boxes

    centres = (jnp.arange(HEAT_SIDE) + 0.5) / HEAT_SIDE

    def one(deltas, box_logits):
        local = len(anchors) - boxes.FULL_ANCHORS
        found = boxes.decode(deltas.astype(jnp.float32), anchors)[:local]
        chance = jax.nn.sigmoid(box_logits[:local, 1] - box_logits[:local, 0])
        across = (found[:, None, 0] <= centres) & (centres < found[:, None, 2])
        down = (found[:, None, 1] <= centres) & (centres < found[:, None, 3])
        inside = down[:, :, None] & across[:, None, :]
        heat = jnp.where(inside, chance[:, None, None].astype(jnp.float32), 0.0).max(0)
        best = boxes.detections(deltas, box_logits, anchors, top_k=CANDIDATES)
        return heat, best.boxes[:KEPT_BOXES], best.scores[:KEPT_BOXES]

    return jax.vmap(one)(outputs.deltas, outputs.box_logits)
