"""Fakes as deepfakes are made: an encoder that everybody shares, and a decoder for each donor.

The encoder learns, with one decoder for all faces, to describe a distorted face so that the face
can be painted again; then each donor gets a decoder of their own, which paints that person whatever
face was described (Rössler et al., FaceForensics++, 2019, section 3.1). A decoder also says where
the face is: neither warps nor masks nor blending are shared with the other manipulations.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Mapping
from typing import Any, NamedTuple

import cv2
import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
import optax

from iid_jax import geometry
from iid_jax.errors import DataError
from iid_jax.forgery.manipulations import MIN_DIFFERENCE, Manipulated, difference

SIDE = 64
# Of `geometry.mean_face`, and pixels it is lifted by: chin and half of the forehead are seen.
SCALE, LIFT = 0.9, 9.5
BATCH = 32
LEARNING_RATE = 1e-3
# Distortion of what is encoded: a grid of so many points a side, moved by so many pixels.
GRID, MOVED = 5, 2.0
# Where it is less, a painted face is left out; and the pixels at the canvas's edge that fade.
FAINT, FADE = 0.02, 4

Params = Mapping[str, Any]


class Faces(NamedTuple):
    """Aligned faces, RGB uint8 (N, 64, 64, 3), and where they are, uint8 (N, 64, 64) 0 to 255."""

    images: np.ndarray
    masks: np.ndarray


@dataclasses.dataclass(frozen=True)
class Autoencoder:
    """A trained encoder and the donors' decoders, by name; NumPy arrays, which can be pickled."""

    encoder: Params
    decoders: Mapping[str, Params]

    def paint(self, image: np.ndarray, donor: str) -> tuple[np.ndarray, np.ndarray]:
        """Returns an aligned face (64, 64, 3) as the donor's, and its mask (64, 64) in 0..1."""
        painted = np.asarray(_through()(self.encoder, self.decoders[donor], image[None])[0])
        return painted[..., :3], painted[..., 3]

    def swap(
        self, target: np.ndarray, landmarks: np.ndarray, donor: str, rng: np.random.Generator
    ) -> Manipulated:
        """Returns the target, RGB uint8 (H, W, 3), with its face painted as the donor's.

        Raises:
          DataError: the result cannot be told from the target.
        """
        matrix = _alignment(landmarks)
        face, mask = self.paint(geometry.warp(target, matrix, SIDE), donor)
        mask = np.where(mask > FAINT, mask, 0.0) * _fading()
        size = (target.shape[1], target.shape[0])
        back = functools.partial(
            cv2.warpAffine, M=matrix[:2], dsize=size, flags=cv2.INTER_CUBIC | cv2.WARP_INVERSE_MAP
        )
        face = back(face * 255.0, borderMode=cv2.BORDER_REPLICATE)
        area = np.clip(back(mask, borderMode=cv2.BORDER_CONSTANT), 0.0, 1.0)
        area[area < FAINT] = 0.0
        if (area > 0.5).any():
            inside = area > 0.5
            tone = target[inside].mean(axis=0) - face[inside].mean(axis=0)
            face = face + rng.uniform(0.7, 1.0) * tone
        weight = area[..., None]
        image = np.rint(target * (1.0 - weight) + np.clip(face, 0, 255) * weight)
        made = Manipulated(image.astype(np.uint8), area.astype(np.float32))
        seen = difference(target, made)
        if seen < MIN_DIFFERENCE:
            raise DataError(
                f"the painted face changes its target by {seen:.1f} grey levels, at least "
                f"{MIN_DIFFERENCE} are needed"
            )
        return made


def align(picture: np.ndarray, landmarks: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Returns one row of `Faces`: the face of a picture, RGB uint8 (H, W, 3), and its mask.

    The mask is the hull of the landmarks (68, 2) and half of the forehead, softened.
    """
    matrix = _alignment(landmarks)
    points = np.asarray(landmarks, np.float64)
    brows = points[geometry.BROWS].mean(axis=0)
    points = np.concatenate([points, (geometry.forehead(points) + brows) / 2])
    hull = cv2.convexHull(geometry.transform_points(matrix, points).astype(np.float32))
    mask = np.zeros((SIDE, SIDE), np.uint8)
    cv2.fillConvexPoly(mask, np.rint(hull * 16).astype(np.int32), 255, shift=4)
    mask = cv2.GaussianBlur(cv2.erode(mask, np.ones((5, 5), np.uint8)), (0, 0), 1.5)
    return geometry.warp(picture, matrix, SIDE), mask


def train(
    everybody: Faces,
    donors: Mapping[str, Faces],
    rng: np.random.Generator,
    steps: int,
    donor_steps: int,
    done: Callable[[int], None] = lambda steps: None,
) -> Autoencoder:
    """Returns an encoder trained on everybody's faces and a decoder for each donor.

    `steps` batches of 32 train the encoder with the common decoder, `donor_steps` each donor's
    decoder, which starts from the common one, behind the encoder as it is. `done` is called with
    every number of finished steps.
    """
    encoder, decoder = _fresh(int(rng.integers(2**31)))
    both = {"encoder": encoder, "decoder": decoder}
    both = _fit(both, {}, everybody, rng, steps, done)
    fixed = {"encoder": both["encoder"]}
    decoders = {}
    for name, faces in donors.items():
        start = {"decoder": both["decoder"]}
        decoders[name] = _fit(start, fixed, faces, rng, donor_steps, done)["decoder"]
    return Autoencoder(*jax.tree.map(np.asarray, (both["encoder"], decoders)))


class Encoder(nn.Module):
    """From faces (B, 64, 64, 3) in 0..1 to codes (B, 4, 4, 96), through 128 numbers."""

    @nn.compact
    def __call__(self, x):
        """Returns the codes."""
        for width in (24, 48, 96, 128):
            x = nn.leaky_relu(nn.Conv(width, (3, 3))(_folded(x)), 0.1)  # (B, 4, 4, 128) at last
        x = nn.Dense(128)(x.reshape(len(x), -1))
        return nn.leaky_relu(nn.Dense(4 * 4 * 96)(x), 0.1).reshape(-1, 4, 4, 96)


class Decoder(nn.Module):
    """From codes to faces and their mask, (B, 64, 64, 4) in 0..1."""

    @nn.compact
    def __call__(self, x):
        """Returns the faces."""
        for width in (96, 64, 48):
            x = nn.leaky_relu(nn.Conv(width, (3, 3))(x), 0.1)
            x = _unfolded(nn.Conv(4 * width, (1, 1))(x))  # (B, 32, 32, 48) at last
        x = nn.leaky_relu(nn.Conv(32, (3, 3))(x), 0.1)
        return nn.sigmoid(_unfolded(nn.Conv(4 * 4, (3, 3))(x)))


# On CPU strided and enlarging convolutions take several times as long as these.
def _folded(x: Any) -> Any:
    """Blocks of 2x2 as channels, (B, H, W, C) to (B, H/2, W/2, 4C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h // 2, 2, w // 2, 2, c).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, h // 2, w // 2, 4 * c)


def _unfolded(x: Any) -> Any:
    """Channels as blocks of 2x2 (Shi et al. 2016), (B, H, W, 4C) to (B, 2H, 2W, C)."""
    b, h, w, c = x.shape
    x = x.reshape(b, h, w, 2, 2, c // 4).transpose(0, 1, 3, 2, 4, 5)
    return x.reshape(b, 2 * h, 2 * w, c // 4)


def _fresh(seed: int) -> tuple[Params, Params]:
    first, second = jax.random.split(jax.random.key(seed))
    encoder = jax.jit(Encoder().init)(first, jnp.zeros((1, SIDE, SIDE, 3)))
    return encoder, jax.jit(Decoder().init)(second, jnp.zeros((1, 4, 4, 96)))


def _paint(encoder: Params, decoder: Params, images: Any) -> Any:
    faces = jnp.asarray(images, jnp.float32) / 255.0
    return Decoder().apply(decoder, Encoder().apply(encoder, faces))


@functools.cache
def _through() -> Callable[..., Any]:
    return jax.jit(_paint)


def _loss(learnt: Params, fixed: Params, batch: Any) -> Any:
    """The mean absolute error of the face, of its gradients and of the mask."""
    both = {**fixed, **learnt}
    painted = _paint(both["encoder"], both["decoder"], batch["distorted"])
    wanted, mask = batch["image"] / 255.0, batch["mask"][..., None] / 255.0
    error = (painted[..., :3] - wanted) * (0.1 + mask)
    slopes = sum(jnp.abs(jnp.diff(error, axis=axis)).mean() for axis in (1, 2))
    return jnp.abs(error).mean() + slopes + 0.3 * jnp.abs(painted[..., 3:] - mask).mean()


@functools.cache
def _step(count: int) -> tuple[Any, Any]:
    """The optimiser over `count` steps and its jitted step."""
    optimiser = optax.adam(optax.cosine_decay_schedule(LEARNING_RATE, count, 0.05), b1=0.5)

    @jax.jit
    def step(learnt, state, fixed, batch):
        gradients = jax.grad(_loss)(learnt, fixed, batch)
        updates, state = optimiser.update(gradients, state, learnt)
        return optax.apply_updates(learnt, updates), state

    return optimiser, step


def _fit(
    learnt: Params,
    fixed: Params,
    faces: Faces,
    rng: np.random.Generator,
    steps: int,
    done: Callable[[int], None],
) -> Params:
    optimiser, step = _step(steps)
    state = optimiser.init(learnt)
    for batch in _batches(faces, rng, steps):
        learnt, state = step(learnt, state, fixed, batch)
        done(1)
    return learnt


def _batches(faces: Faces, rng: np.random.Generator, steps: int) -> Iterator[dict[str, np.ndarray]]:
    for _ in range(steps):
        drawn = [_sample(faces, int(i), rng) for i in rng.integers(len(faces.images), size=BATCH)]
        columns = (np.stack(values).astype(np.float32) for values in zip(*drawn, strict=True))
        yield dict(zip(("distorted", "image", "mask"), columns, strict=True))


def _sample(faces: Faces, index: int, rng: np.random.Generator) -> tuple[np.ndarray, ...]:
    """A face moved a little and, half of the time, mirrored; distorted, as it is, and its mask."""
    matrix = cv2.getRotationMatrix2D(
        (SIDE / 2, SIDE / 2), rng.uniform(-8, 8), rng.uniform(0.95, 1.05)
    )
    matrix[:, 2] += rng.uniform(-2, 2, 2)
    image, mask = (
        cv2.warpAffine(part[index], matrix, (SIDE, SIDE), borderMode=border)
        for part, border in zip(faces, (cv2.BORDER_REPLICATE, cv2.BORDER_CONSTANT), strict=True)
    )
    if rng.random() < 0.5:
        image, mask = image[:, ::-1], mask[:, ::-1]
    moved = rng.normal(0.0, MOVED, (GRID, GRID, 2)).astype(np.float32)
    field = cv2.resize(moved, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    field = field + np.stack(np.meshgrid(np.arange(SIDE), np.arange(SIDE)), -1).astype(np.float32)
    distorted = cv2.remap(image, field, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
    return distorted, image, mask


def _alignment(landmarks: np.ndarray) -> np.ndarray:
    points = geometry.five_points(landmarks)
    return geometry.similarity(points, geometry.mean_face(SIDE, scale=SCALE) - (0.0, LIFT))


@functools.cache
def _fading() -> np.ndarray:
    """1 inside the canvas, falling to 0 at its edge."""
    ramp = np.minimum(np.arange(SIDE), np.arange(SIDE)[::-1]) / FADE
    return np.minimum(np.minimum.outer(ramp, ramp), 1.0).astype(np.float32)
