"""The identity probe: multinomial logistic regression on frozen features, jitted, by L-BFGS.

It minimises mean cross entropy + l2/2 |W|^2, the objective of scikit-learn's LogisticRegression at
C = 1 / (N l2); the bias is free. Rows are taken in chunks, so that the logits of 10,000 identities
never lie in memory at once.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

# Tried from strong to weak, each from the solution before it.
PENALTIES = (1.0, 0.3, 0.1, 0.03, 0.01, 3e-3, 1e-3, 3e-4, 1e-4, 1e-5)
STEPS = 150
TOLERANCE = 1e-4
MEMORY = 10
# Logits that are held at once: 64 MB.
CHUNK = 2**24


class Scale(NamedTuple):
    """Mean and deviation (D,) of each feature over the pictures that are fitted."""

    mean: np.ndarray
    deviation: np.ndarray

    def __call__(self, features: np.ndarray) -> np.ndarray:
        """Returns standardised features (N, D)."""
        return ((features - self.mean) / self.deviation).astype(np.float32)


class Probe(NamedTuple):
    """A fitted probe: `weights` (D, K), `bias` (K,), its penalty, and its curve.

    `curve` has one row for every step of L-BFGS: {step, loss, accuracy}, and the same of the test
    pictures where they were given.
    """

    weights: np.ndarray
    bias: np.ndarray
    l2: float
    curve: list[dict[str, float]]

    def log_probabilities(self, features: np.ndarray) -> np.ndarray:
        """Returns log P(identity) (N, K) float32 of standardised features (N, D)."""
        logits = features @ self.weights + self.bias
        top = logits.max(axis=1, keepdims=True)
        return logits - top - np.log(np.exp(logits - top).sum(axis=1, keepdims=True))


class Pictures(NamedTuple):
    """Standardised features (N, D) and the number of the person on each (N,)."""

    features: np.ndarray
    person: np.ndarray


def scale_of(features: np.ndarray) -> Scale:
    """Returns the Scale of features (N, D); a feature that never varies is left as it is."""
    deviation = features.std(axis=0)
    return Scale(features.mean(axis=0), np.where(deviation > 1e-8, deviation, 1.0))


def choose(
    fitted: Pictures, choosing: Pictures, classes: int, penalties: tuple[float, ...] = PENALTIES
) -> float:
    """Returns the penalty with the lowest cross entropy on the pictures `choosing`.

    From strong to weak, until the cross entropy has risen twice in a row.
    """
    losses, start = {}, None
    for l2 in sorted(penalties, reverse=True):
        start = fit(fitted, classes, l2, start=start)
        losses[l2] = evaluate(start, choosing)[0]
        latest = list(losses.values())[-3:]
        if len(latest) == 3 and latest[0] < latest[1] < latest[2]:
            break
    return min(losses, key=losses.get)


def fit(
    pictures: Pictures,
    classes: int,
    l2: float,
    tested: Pictures | None = None,
    start: Probe | None = None,
    steps: int = STEPS,
    tolerance: float = TOLERANCE,
) -> Probe:
    """Returns the probe of pictures of `classes` people, with its curve where `tested` is given.

    Stops when no component of the gradient is above `tolerance`, or after `steps` steps.
    """
    width = pictures.features.shape[1]
    parameters = {"weights": jnp.zeros((width, classes)), "bias": jnp.zeros(classes)}
    if start is not None:
        parameters = {"weights": jnp.asarray(start.weights), "bias": jnp.asarray(start.bias)}
    chunked = _chunks(pictures, classes)
    held_out = None if tested is None else _chunks(tested, classes)
    solver = optax.lbfgs(memory_size=MEMORY)
    state, curve = solver.init(parameters), []
    for number in range(steps + 1):
        if tested is not None:
            curve.append(_point(number, parameters, chunked, held_out))
        if number == steps:
            break
        parameters, state, slope = _step(parameters, state, chunked, l2)
        if float(slope) < tolerance:
            break
    found = {name: np.asarray(value) for name, value in parameters.items()}
    return Probe(found["weights"], found["bias"], l2, curve)


def evaluate(probe: Probe, pictures: Pictures) -> tuple[float, float]:
    """Returns (mean cross entropy in nats, top-1 accuracy)."""
    parameters = {"weights": jnp.asarray(probe.weights), "bias": jnp.asarray(probe.bias)}
    loss, hits = _totals(parameters, _chunks(pictures, len(probe.bias)))
    return float(loss), float(hits)


def ranks(probe: Probe, pictures: Pictures) -> tuple[np.ndarray, np.ndarray]:
    """Returns the rank of the right person (N,), 0 the first, and the cross entropy (N,) in nats.

    People who are exactly as likely count as ahead by half.
    """
    rank, loss = np.zeros(len(pictures.person)), np.zeros(len(pictures.person))
    size = max(1, CHUNK // len(probe.bias))
    for first in range(0, len(rank), size):
        part = slice(first, first + size)
        chances = probe.log_probabilities(pictures.features[part])
        own = np.take_along_axis(chances, pictures.person[part, None], 1)
        level = (chances == own).sum(axis=1) - 1
        rank[part] = (chances > own).sum(axis=1) + level / 2
        loss[part] = -own[:, 0]
    return rank, loss


def _chunks(pictures: Pictures, classes: int) -> tuple[jax.Array, jax.Array]:
    """Features (M, R, D) and people (M, R), padded with the person -1."""
    count, width = pictures.features.shape
    size = min(count, max(1, CHUNK // classes))
    parts = -(-count // size)
    missing = parts * size - count
    features = np.pad(pictures.features, ((0, missing), (0, 0)))
    person = np.pad(pictures.person.astype(np.int32), (0, missing), constant_values=-1)
    shape = (parts, size)
    return jnp.asarray(features.reshape(*shape, width)), jnp.asarray(person.reshape(shape))


@jax.jit
def _totals(parameters: Any, chunked: Any) -> tuple[jax.Array, jax.Array]:
    """Mean cross entropy and accuracy."""

    @jax.checkpoint
    def add(total, part):
        features, person = part
        logits = features @ parameters["weights"] + parameters["bias"]
        real = person >= 0
        losses = optax.softmax_cross_entropy_with_integer_labels(logits, jnp.maximum(person, 0))
        hits = (logits.argmax(-1) == person) & real
        return (total[0] + jnp.where(real, losses, 0.0).sum(), total[1] + hits.sum()), None

    (loss, hits), _ = jax.lax.scan(add, (jnp.float32(0.0), jnp.int32(0)), chunked)
    count = (chunked[1] >= 0).sum()
    return loss / count, hits / count


@jax.jit
def _step(parameters: Any, state: Any, chunked: Any, l2: Any) -> tuple[Any, Any, jax.Array]:
    def objective(values):
        return _totals(values, chunked)[0] + l2 / 2 * (values["weights"] ** 2).sum()

    value, slopes = optax.value_and_grad_from_state(objective)(parameters, state=state)
    solver = optax.lbfgs(memory_size=MEMORY)
    updates, state = solver.update(
        slopes, state, parameters, value=value, grad=slopes, value_fn=objective
    )
    steepest = jnp.max(jnp.array([jnp.abs(leaf).max() for leaf in jax.tree.leaves(slopes)]))
    return optax.apply_updates(parameters, updates), state, steepest


def _point(number: int, parameters: Any, chunked: Any, held_out: Any) -> dict[str, float]:
    (loss, accuracy), (test_loss, test_accuracy) = (
        [float(value) for value in _totals(parameters, part)] for part in (chunked, held_out)
    )
    return {
        "step": number,
        "loss": loss,
        "accuracy": accuracy,
        "test_loss": test_loss,
        "test_accuracy": test_accuracy,
    }
