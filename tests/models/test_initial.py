"""Fresh variables against those of the modules' own initialisers."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.models.detector import Detector
from iid_jax.models.initial import initialise
from iid_jax.models.input_spec import InputSpec

SPEC = InputSpec(112)


def by_path(variables):
    leaves = jax.tree_util.tree_leaves_with_path(variables)
    return {"/".join(key.key for key in path): np.asarray(leaf) for path, leaf in leaves}


@pytest.mark.long
@pytest.mark.parametrize("adm_width", [None, 32])
def test_they_are_distributed_as_the_modules_own_initialisers_draw(adm_width):
    module = Detector("resnet_small", adm_width=adm_width)
    own = by_path(jax.jit(module.init)(jax.random.key(0), jnp.zeros((1, 112, 112, 3))))
    fresh = by_path(initialise(module, SPEC, seed=0))
    assert fresh.keys() == own.keys()
    for path, value in own.items():
        assert fresh[path].dtype == value.dtype
        if path.endswith("kernel"):
            # Five standard errors of a standard deviation from n values.
            error = 5 * np.sqrt(2 / (2 * value.size))
            assert fresh[path].std() / value.std() == pytest.approx(1, abs=max(error, 0.02)), path
        else:
            np.testing.assert_array_equal(fresh[path], value, err_msg=path)


def test_kernels_have_variance_2_over_fan_in_and_the_rest_is_constant():
    fresh = by_path(initialise(Detector("resnet_small"), SPEC, seed=0))
    kernel = fresh["params/trunk/stage3_block1/conv2/kernel"]
    assert kernel.std() == pytest.approx(np.sqrt(2 / (9 * 128)), rel=0.02)
    assert abs(kernel.mean()) < 0.001
    head = fresh["params/artifact/box0/kernel"]
    assert head.std() == pytest.approx(0.1 * np.sqrt(2 / (9 * 128)), rel=0.05)
    assert (fresh["params/trunk/stem_bn/scale"] == 1).all()
    assert (fresh["batch_stats/trunk/stem_bn/var"] == 1).all()
    assert (fresh["params/artifact/box0/bias"] == 0).all()


def test_a_fresh_stem_sees_no_flat_colour():
    fresh = by_path(initialise(Detector("resnet_small"), SPEC, seed=0))
    stem = fresh["params/trunk/stem_conv/kernel"]
    np.testing.assert_allclose(stem.sum((0, 1)), 0.0, atol=1e-6)
    assert stem.std() == pytest.approx(np.sqrt(2 / (9 * 3)), rel=0.15)


def test_a_seed_gives_the_same_values_and_another_others():
    first, again, other = (
        by_path(initialise(Detector("resnet_small", adm=False), SPEC, seed)) for seed in (3, 3, 4)
    )
    name = "params/trunk/stem_conv/kernel"
    assert all((first[path] == again[path]).all() for path in first)
    assert not np.allclose(first[name], other[name])


def test_the_detector_and_the_plain_classifier_start_from_the_same_backbone():
    whole, plain = (
        initialise(Detector("resnet_small", adm=adm), SPEC, seed=0)["params"]["trunk"]
        for adm in (True, False)
    )
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((a == b).all()), whole, plain))
