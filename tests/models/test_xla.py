"""Compiler options."""

import jax
import jax.numpy as jnp
import pytest

from iid_jax.models import xla


@pytest.fixture(autouse=True)
def fresh_options():
    xla.compiler_options.cache_clear()
    yield
    xla.compiler_options.cache_clear()


def test_a_convolution_compiled_with_them_uses_eigens_kernels():
    options = xla.compiler_options()
    if not options:
        pytest.skip("this device or this version of XLA has no use for the options")

    def convolve(x, w):
        return jax.lax.conv(x, w, (1, 1), "SAME")

    arguments = jnp.ones((2, 8, 16, 16)), jnp.ones((8, 8, 3, 3))
    text = jax.jit(convolve, compiler_options=options).lower(*arguments).compile().as_text()
    assert "ynn" not in text


def test_an_option_that_xla_does_not_know_is_left_out(monkeypatch):
    monkeypatch.setattr(xla, "EIGEN_KERNELS", {"xla_no_such_option": "1"})
    monkeypatch.setattr(xla, "_cpu_has_bfloat16", lambda: False)
    assert xla.compiler_options() == {}


def test_other_devices_have_none(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "tpu")
    assert xla.compiler_options() == {}
