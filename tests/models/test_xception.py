"""Xception against its published structure and a PyTorch module written after figure 5."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import models

# Chollet 2017, figure 5, at the 299 px it was published with: what leaves each part. The port
# pads as PyTorch does, symmetrically; the sides are the same.
FIGURE_5 = {"stem": (147, 64), "stage3": (19, 728), "stage4": (19, 728), "stage5": (10, 1024)}
SIDE = 71


def test_the_maps_are_those_of_the_publication():
    module = models.create("xception")
    images = jax.ShapeDtypeStruct((1, 299, 299, 3), jnp.float32)
    _, features = jax.eval_shape(lambda x: module.init_with_output(jax.random.key(0), x)[0], images)
    for name, (side, width) in FIGURE_5.items():
        assert features[name].shape == (1, side, side, width)
    assert features["head"].shape == (1, 10, 10, 2048)


def test_the_classifier_makes_the_published_count():
    assert models.entry("xception").parameters + 2048 * 1000 + 1000 == 22_855_952


@pytest.fixture(scope="module")
def torch():
    return pytest.importorskip("torch", reason="the [torch] extra is not installed")


def written_in_torch(torch):
    """A module with the names of the common port, and the port's order of operations."""
    nn = torch.nn

    class Separable(nn.Module):
        def __init__(self, before, after):
            super().__init__()
            self.conv1 = nn.Conv2d(before, before, 3, padding=1, groups=before, bias=False)
            self.pointwise = nn.Conv2d(before, after, 1, bias=False)

        def forward(self, x):
            return self.pointwise(self.conv1(x))

    class Block(nn.Module):
        def __init__(self, before, widths, stride, relu_first):
            super().__init__()
            layers, inner = [], before
            for width in widths:
                layers += [nn.ReLU(), Separable(inner, width), nn.BatchNorm2d(width)]
                inner = width
            pool = [nn.MaxPool2d(3, stride, 1)] if stride > 1 else []
            self.rep = nn.Sequential(*layers[0 if relu_first else 1 :], *pool)
            self.changes = stride > 1 or inner != before
            if self.changes:
                self.skip = nn.Conv2d(before, inner, 1, stride, bias=False)
                self.skipbn = nn.BatchNorm2d(inner)

        def forward(self, x):
            return self.rep(x) + (self.skipbn(self.skip(x)) if self.changes else x)

    class Port(nn.Module):
        def __init__(self):
            super().__init__()
            self.conv1, self.bn1 = nn.Conv2d(3, 32, 3, 2, bias=False), nn.BatchNorm2d(32)
            self.conv2, self.bn2 = nn.Conv2d(32, 64, 3, bias=False), nn.BatchNorm2d(64)
            rows = [(64, (128, 128), 2), (128, (256, 256), 2), (256, (728, 728), 2)]
            rows += [(728, (728, 728, 728), 1)] * 8 + [(728, (728, 1024), 2)]
            for number, (before, widths, stride) in enumerate(rows, 1):
                setattr(self, f"block{number}", Block(before, widths, stride, number > 1))
            self.conv3, self.bn3 = Separable(1024, 1536), nn.BatchNorm2d(1536)
            self.conv4, self.bn4 = Separable(1536, 2048), nn.BatchNorm2d(2048)

        def forward(self, x):
            x = self.bn1(self.conv1(x)).relu()
            x = self.bn2(self.conv2(x)).relu()
            for number in range(1, 13):
                x = getattr(self, f"block{number}")(x)
            x = self.bn3(self.conv3(x)).relu()
            return self.bn4(self.conv4(x)).relu()

    return Port().double()


def test_outputs_and_statistics_are_those_of_the_port(torch, from_torch):
    torch.manual_seed(0)
    port = written_in_torch(torch)
    for norm in (m for m in port.modules() if isinstance(m, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.weight, 0.8, 1.2)
        torch.nn.init.uniform_(norm.bias, -0.2, 0.2)
        torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)
        torch.nn.init.uniform_(norm.running_var, 0.8, 1.2)
    images = np.random.default_rng(0).standard_normal((2, SIDE, SIDE, 3))
    given = torch.from_numpy(images.transpose(0, 3, 1, 2).copy())
    with jax.enable_x64(True):
        module = models.create("xception", dtype=jnp.float64)
        state = {name: tensor.numpy().copy() for name, tensor in port.state_dict().items()}
        variables = from_torch(module, state)
        found, _ = jax.jit(module.apply)(variables, images)
        (trained, _), updated = jax.jit(
            lambda v, x: module.apply(v, x, train=True, mutable=["batch_stats"])
        )(variables, images)
    with torch.no_grad():
        expected = port.eval()(given).numpy().transpose(0, 2, 3, 1)
        expected_trained = port.train()(given).numpy().transpose(0, 2, 3, 1)
    after = {name: tensor.numpy() for name, tensor in port.state_dict().items()}
    with jax.enable_x64(True):
        statistics = from_torch(module, after)["batch_stats"]
    for ours, theirs in ((found, expected), (trained, expected_trained)):
        np.testing.assert_allclose(ours, theirs, atol=1e-9 * np.abs(theirs).max())
    jax.tree.map(
        lambda ours, theirs: np.testing.assert_allclose(ours, theirs, rtol=1e-7, atol=1e-9),
        updated["batch_stats"],
        statistics,
    )
