"""Compiler options."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax.models import xla


@pytest.fixture(autouse=True)
def fresh_options():
    xla.compiler_options.cache_clear()
    yield
    xla.compiler_options.cache_clear()


def test_a_convolution_compiled_with_them_uses_eigens_kernels():
    options = xla.compiler_options()
    if not options.keys() >= xla.EIGEN_KERNELS.keys():
        pytest.skip("this device or this version of XLA has no use for the options")

    def convolve(x, w):
        return jax.lax.conv(x, w, (1, 1), "SAME")

    arguments = jnp.ones((2, 8, 16, 16)), jnp.ones((8, 8, 3, 3))
    text = jax.jit(convolve, compiler_options=options).lower(*arguments).compile().as_text()
    assert "ynn" not in text


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(xla, "EIGEN_KERNELS", {"xla_no_such_option": "1"})
    monkeypatch.setattr(xla, "_cpu_has_bfloat16", lambda: False)
    assert xla.compiler_options() == xla.UPDATE_IN_PLACE


def test_eigens_kernels_are_not_for_cpus_that_compute_in_bfloat16(monkeypatch):
    monkeypatch.setattr(xla, "_cpu_has_bfloat16", lambda: True)
    assert xla.compiler_options() == xla.UPDATE_IN_PLACE


@pytest.mark.parametrize(
    ("flags", "dtype"),
    [
        ({"avx2"}, "float32"),
        ({"avx2", "avx512_bf16"}, "bfloat16"),
        ({"avx2", "avx512_bf16", "amx_bf16"}, "float32"),
    ],
)
def test_a_cpu_computes_in_what_its_kernels_are_fast_in(monkeypatch, flags, dtype):
    if jax.default_backend() != "cpu":
        pytest.skip("the type is chosen by the kind of CPU on CPUs only")
    monkeypatch.setattr(xla, "_cpu_flags", lambda: frozenset(flags))
    assert xla.compute_dtype("auto") == dtype
    assert (xla.EIGEN_KERNELS.keys() <= xla.compiler_options().keys()) == (dtype == "float32")


def test_parameters_are_updated_without_a_copy_of_them():
    def step(weights, x):
        def loss(weights):
            return jnp.tanh(jnp.tanh(x @ weights[0]) @ weights[1]).sum()

        return jax.tree.map(lambda w, g: w - g, weights, jax.grad(loss)(weights))

    def arguments():
        drawn = np.random.default_rng(0).standard_normal((3, 64, 64), np.float32)
        return [jnp.asarray(drawn[0]), jnp.asarray(drawn[1])], jnp.asarray(drawn[2])

    options = xla.compiler_options()
    if not options.keys() >= xla.UPDATE_IN_PLACE.keys():
        pytest.skip("this device or this version of XLA does not know the option")
    plain, in_place = (
        jax.jit(step, donate_argnums=0, compiler_options=given).lower(*arguments()).compile()
        for given in ({**options, "xla_cpu_copy_insertion_use_region_analysis": False}, options)
    )
    copy = "f32[64,64]{1,0} copy("
    assert copy in plain.as_text()
    assert copy not in in_place.as_text()
    for own, expected in zip(in_place(*arguments()), plain(*arguments()), strict=True):
        np.testing.assert_array_equal(own, expected)


def test_other_devices_have_none(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert xla.compiler_options() == {}
