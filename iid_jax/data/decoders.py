"""The autoencoders of a made data set: one for each split, so that no face crosses to another."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from iid_jax.data import made
from iid_jax.progress import Progress

if TYPE_CHECKING:
    from iid_jax.forgery.autoencoder import Autoencoder, Faces

METHOD = "autoencoder"
# So many people of a split have a decoder of their own, and so many steps train them.
DONORS = 4
STEPS, DONOR_STEPS = 800, 150


def most_seen(photographs: Mapping[str, int], most: int = DONORS) -> list[str]:
    """Returns the people with the most photographs, `{name: how many}`."""
    return sorted(photographs, key=lambda name: (-photographs[name], name))[:most]


def train(
    builder: made.MadeDatasetBuilder, plan: Mapping[str, Sequence[made.Task]], quiet: bool
) -> dict[str, "Autoencoder"]:
    """Returns the autoencoder of every split with fakes: {split: autoencoder}.

    The encoder learns from targets and donors of the split's fakes, a decoder from its donor's
    photographs (of training, not of the split `probe`).
    """
    from iid_jax.forgery import autoencoder

    wanted = {}
    place = builder.methods().index(METHOD)
    for split, tasks in plan.items():
        targets = [task for task in tasks if task.candidates]
        if targets:
            donors = sorted({name for task in targets for name in task.candidates[place]})
            wanted[split] = donors, sorted({task.person for task in targets} | set(donors))
    total = sum(STEPS + DONOR_STEPS * len(donors) for donors, _ in wanted.values())
    progress = Progress(total, "train autoencoders", "step", quiet)
    trained = {}
    for split, (donors, people) in wanted.items():
        faces = {name: _faces(builder, name) for name in people}
        everybody = autoencoder.Faces(*map(np.concatenate, zip(*faces.values(), strict=True)))
        own = {name: faces[name] for name in donors}
        rng = builder.rng("autoencoder", split)
        trained[split] = autoencoder.train(everybody, own, rng, STEPS, DONOR_STEPS, progress.update)
    progress.close()
    return trained


def _faces(builder: made.MadeDatasetBuilder, name: str) -> "Faces":
    from iid_jax.forgery import autoencoder

    shots = builder.shots(name, made.VIDEO)
    aligned = [
        autoencoder.align(builder.image(name, made.VIDEO, shot), shot.landmarks) for shot in shots
    ]
    return autoencoder.Faces(*(np.stack(parts) for parts in zip(*aligned, strict=True)))
