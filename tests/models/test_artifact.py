"""The Artifact Detection Module's maps, anchors and widths."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import boxes
from iid_jax.models.artifact import ArtifactDetection
from iid_jax.models.initial import initialise
from iid_jax.models.input_spec import InputSpec

CHANNELS = 16


def abstract(side, width=None):
    """(variables, Artifacts) as shapes for a map of `side`."""
    module = ArtifactDetection(width)
    x = jax.ShapeDtypeStruct((2, side, side, CHANNELS), jnp.float32)
    variables = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, False), x)
    return variables, jax.eval_shape(lambda v, x: module.apply(v, x, False), variables, x)


@pytest.mark.parametrize("side", [6, 7, 8, 14])
def test_maps_have_sides_f_f2_f4_and_1_and_as_many_anchors_as_boxes_has(side):
    _, found = abstract(side)
    sides = [value.shape[1] for value in found.maps.values()]
    anchors = len(boxes.anchors(16 * side, side))
    assert sides == [side, side - 2, side - 4, 1]
    assert found.deltas.shape == (2, anchors, 4)
    assert found.box_logits.shape == (2, anchors, 2)


def test_a_map_below_6_is_refused():
    with pytest.raises(ValueError, match="6 or more"):
        abstract(5)


@pytest.mark.parametrize("width", [None, 8, CHANNELS])
def test_the_vector_is_as_wide_as_the_backbone_whatever_the_width(width):
    variables, found = abstract(7, width)
    assert found.vector.shape == (2, CHANNELS)
    assert found.maps["artifact1"].shape[-1] == (width or CHANNELS)
    assert ("widen" in variables["params"]) == (width == 8)


@pytest.mark.parametrize("side", [6, 7, 9])
def test_each_anchors_outputs_come_from_its_own_place_on_the_map(side):
    """Anchors of the first map answer to their own cell: a change there moves them most."""
    module = ArtifactDetection()
    x = jnp.asarray(np.random.default_rng(0).standard_normal((1, side, side, CHANNELS)))
    shapes = jax.eval_shape(lambda x: module.init(jax.random.key(0), x, False), x)
    rng = np.random.default_rng(1)
    variables = jax.tree.map(lambda s: rng.standard_normal(s.shape, np.float32) * 0.1, shapes)
    variables["batch_stats"] = jax.tree.map(jnp.ones_like, variables["batch_stats"])
    apply = jax.jit(lambda v, x: module.apply(v, x, False).box_logits)
    row, column = side - 2, 1
    before, after = apply(variables, x), apply(variables, x.at[0, row, column].add(10.0))
    first_map = np.abs(np.asarray(after - before))[0, : 2 * side * side].sum(-1)
    reach = first_map.reshape(side, side, 2).sum(-1) > 0
    rows, columns = np.nonzero(reach)
    centres = boxes.anchors(16 * side, side)[: 2 * side * side : 2, :2]
    x_centre, y_centre = centres.reshape(side, side, 2)[row, column] * side
    assert (x_centre, y_centre) == pytest.approx((column + 0.5, row + 0.5))
    # A 1x1, a padded 3x3 and the head's 3x3 convolution reach two cells.
    assert (rows.min(), rows.max()) == (row - 2, min(row + 2, side - 1))
    assert (columns.min(), columns.max()) == (0, column + 2)


def test_at_a_larger_map_the_last_level_sees_all_of_it():
    module, side = ArtifactDetection(), 9
    x = jnp.ones((1, side, side, CHANNELS))
    variables = _initial(module, side)
    vector = jax.jit(lambda v, x: module.apply(v, x, False).vector)
    base = vector(variables, x)
    for corner in ((0, 0), (0, side - 1), (side - 1, 0), (side - 1, side - 1)):
        assert jnp.abs(vector(variables, x.at[0, *corner].add(5.0)) - base).max() > 0


def _initial(module, side):
    class Head:
        """`initialise` asks for a module that takes images."""

        def init(self, key, images):
            return module.init(key, jnp.zeros((1, side, side, CHANNELS)), False)

    return initialise(Head(), InputSpec(16 * side), seed=0)
