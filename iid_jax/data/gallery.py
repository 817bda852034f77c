"""One picture through every generator of fakes and every augmentation, for people to look at."""

import dataclasses
import typing
from collections.abc import Iterator

import numpy as np

from iid_jax.config import DataConfig, Forger, SwapConfig
from iid_jax.data import augment, canvas, sampler, samples
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError

# Name, what it was before, what came of it.
Shown = tuple[str, np.ndarray, augment.Labelled]
_KINDS = {
    "swap, global, alpha": {"global_": 1.0, "poisson": 0.0},
    "swap, global, Poisson": {"global_": 1.0, "poisson": 1.0},
    "swap, partial, alpha": {"partial": 1.0, "poisson": 0.0},
    "swap, partial, Poisson": {"partial": 1.0, "poisson": 1.0},
}
_TRIES = 20


def entries(catalog: Catalog, spec: canvas.CanvasSpec, feature: int, seed: int) -> Iterator[Shown]:
    """Yields every kind of swap and blend, without augmentations, and then each augmentation."""
    config = DataConfig(augment=_only())
    nothing = {"untouched": 0.0, "global_": 0.0, "partial": 0.0}
    for name, chances in _KINDS.items():
        swap = SwapConfig(**(nothing | chances))
        sample = _forged(catalog, dataclasses.replace(config, swap=swap), spec, feature, seed)
        yield name, sample.genuine, _labelled(sample)
    for name in typing.get_args(Forger):
        if name != "swap":
            blends = dataclasses.replace(config, forgery=(name,))
            sample = _forged(catalog, blends, spec, feature, seed)
            yield f"{name}, {sample.recipe['hull']}", sample.genuine, _labelled(sample)
    picture = _labelled(sample)
    yield "flip", picture.image, augment.flip(*picture)
    for name, function in augment.AUGMENTATIONS.items():
        rng = np.random.default_rng(seed)
        yield name, picture.image, function(*picture, rng, augment.AugmentConfig())


def _only(**chances: float) -> augment.AugmentConfig:
    off = dict.fromkeys((*augment.AUGMENTATIONS, "flip"), 0.0)
    return augment.AugmentConfig(**(off | chances))


def _forged(catalog, config: DataConfig, spec, feature: int, seed: int) -> samples.Sample:
    """The first fake of a run that came out; some faces are too alike to be swapped."""
    draws = sampler.Sampler(catalog, config, 2, _TRIES, seed)
    maker = samples.SampleMaker(catalog, config, spec, feature)
    for element in range(0, len(draws), 2):
        sample = maker.sample(draws[element])
        if sample.genuine is not None:
            return sample
    raise DataError(f"{catalog.name}: none of {_TRIES} fakes could be made")


def _labelled(sample: samples.Sample) -> augment.Labelled:
    return augment.Labelled(sample.image, sample.boxes, sample.mask, sample.landmarks)
