"""A detector's features, worked out by hand; records that cannot be used are left out."""

import dataclasses

import numpy as np
import pytest

from iid_jax.data import canvas
from iid_jax.errors import DataError, UsageError
from iid_jax.leakage.network import Network, look, pixels, random_network


def by_hand(network, catalog, rows):
    images = np.stack([canvas.align(catalog.read(row), network.spec).image for row in rows])
    red = network.spec.normalise(images).mean((1, 2))
    return images, red


def test_features_are_means_over_cells_and_the_logit_is_fake_minus_real(network, catalog):
    rows = catalog.select("test")
    seen = look(network, catalog, rows, ["map", "global"], quiet=True)
    colour = by_hand(network, catalog, rows)[1]
    np.testing.assert_array_equal(seen.rows, rows)
    np.testing.assert_allclose(seen.features["map"], colour, atol=1e-4)
    np.testing.assert_allclose(seen.features["global"], colour, atol=1e-4)
    np.testing.assert_allclose(seen.logit, colour[:, 0] - 0.25, atol=1e-4)


def test_the_batch_size_changes_nothing(network, catalog):
    rows = catalog.select("test")
    small = Network("small", network.loaded, batch_size=5)
    one, other = (look(n, catalog, rows, ["map"], quiet=True) for n in (network, small))
    np.testing.assert_array_equal(one.rows, other.rows)
    np.testing.assert_allclose(one.logit, other.logit, atol=1e-6)
    np.testing.assert_allclose(one.features["map"], other.features["map"], atol=1e-6)


def test_what_cannot_be_read_is_left_out_and_counted(network, make_catalog):
    rows = make_catalog().select("test")
    catalog = make_catalog(broken=rows[[0, 3]].tolist())
    for seen in (
        look(network, catalog, rows, quiet=True),
        pixels(catalog, rows, network.spec, True),
    ):
        np.testing.assert_array_equal(seen.rows, np.delete(rows, [0, 3]))
        assert seen.unreadable == 2 and len(seen.logit) == len(rows) - 2


def test_no_usable_record_and_no_record_are_refused(network, make_catalog):
    rows = make_catalog().select("test")
    with pytest.raises(DataError, match="none of 12 records"):
        look(network, make_catalog(broken=rows.tolist()), rows, quiet=True)
    with pytest.raises(DataError, match="no records"):
        look(network, make_catalog(), rows[:0], quiet=True)


def test_a_feature_that_is_not_there_is_named_with_the_nearest(network, catalog):
    with pytest.raises(UsageError, match=r"'globel'.*global"):
        look(network, catalog, catalog.select("test"), ["globel"], quiet=True)


def test_pixels_are_24_by_24_grey_values(network, catalog):
    rows = catalog.select("test", label=0)
    seen = pixels(catalog, rows, network.spec, quiet=True)
    images, _ = by_hand(network, catalog, rows)
    grey = images.astype(float) @ (0.299, 0.587, 0.114)
    assert seen.features["pixels"].shape == (len(rows), 576)
    np.testing.assert_allclose(seen.features["pixels"].mean(1), grey.mean((1, 2)), atol=1)


def test_a_random_network_has_the_same_shapes_and_other_weights(run_dir):
    import jax

    from iid_jax.checkpoint import load_detector

    trained = Network("trained", load_detector(run_dir))
    first, again, other = (random_network(trained, seed) for seed in (5, 5, 6))
    shapes = [jax.tree.map(np.shape, n.loaded.variables) for n in (trained, first)]
    assert shapes[0] == shapes[1]
    assert first.fingerprint() == again.fingerprint() != other.fingerprint()


def test_the_fingerprint_follows_weights_and_input(network):
    loaded = network.loaded
    heavier = Network(
        "a", type(loaded)(**{**vars(loaded), "variables": {"params": {"level": 1.0}}})
    )
    spec = dataclasses.replace(loaded.input_spec, scale=0.8)
    nearer = Network("b", dataclasses.replace(loaded, input_spec=spec))
    same = Network("other name", loaded)
    assert network.fingerprint() == same.fingerprint()
    assert len({n.fingerprint() for n in (network, heavier, nearer)}) == 3
