"""How much a score says about who is in a *genuine* picture: the behavioural measure of leakage.

NumPy only; what cannot be computed is a Metric without a value and with the reason.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from iid_jax import metrics
from iid_jax.measures import MEASURES, Metric, count, interval, resample, sort

LEAK, FAMILIARITY = "leak_auc", "familiarity_auc"
DONORS_ABOVE = "donors_above_90"
# The share of new people's pictures that stay below the threshold of `donors_above`.
PASSED = 0.9


class Roles(NamedTuple):
    """Who the detector met in training: donors of its fakes, and people it saw as genuine."""

    donors: frozenset[str]
    genuine: frozenset[str]


class Faces(NamedTuple):
    """Genuine pictures: who is on them (N,), and their score (N,), NaN where there is none."""

    identity: np.ndarray
    score: np.ndarray

    def of(self, people: frozenset[str]) -> "Faces":
        """Returns the pictures of these people."""
        chosen = np.isin(self.identity, sorted(people))
        return Faces(self.identity[chosen], self.score[chosen])


def leak_aucs(known: Roles, met: Faces, new: Faces, bootstrap: int, seed: int) -> dict[str, Metric]:
    """Returns the leak and the familiarity AUC, over genuine pictures that training never saw.

    Leak: donors of training fakes (1) against new people (0). Familiarity: new people (1) against
    people who were genuine in training (0). A score that ignores who it sees has 0.5 in both.
    Intervals are over people.
    """
    measured = {}
    for name, people, one in ((LEAK, known.donors, 1), (FAMILIARITY, known.genuine, 0)):
        pictures = met.of(people)
        group = np.r_[np.full(len(pictures.score), one), np.full(len(new.score), 1 - one)]
        identity = np.concatenate([pictures.identity, new.identity])
        score = np.concatenate([pictures.score, new.score])
        measured[name] = metrics.separation(identity, group, score, bootstrap, seed)
    return measured


def leak_difference(
    known: Roles,
    first: Sequence[tuple[Faces, Faces]],
    second: Sequence[tuple[Faces, Faces]],
    bootstrap: int,
    seed: int,
) -> Metric:
    """Returns the mean leak AUC of the `second` detectors less that of the `first`, paired.

    Each detector's (met, new): its scores of people it met in training and of new people, all of
    the same pictures in the same order. The interval draws donors and new people anew, the same
    for every detector: who is hard for one is mostly hard for the others. Detectors are not drawn:
    what another seed changes is seen in their spread.

    Raises:
      ValueError: scores of different pictures, a picture without a score, nobody on a side.
    """
    sides = [(met.of(known.donors), new) for met, new in (*first, *second)]
    names = [np.concatenate([side.identity for side in pair]) for pair in sides]
    scores = [np.concatenate([side.score for side in pair]) for pair in sides]
    if not all(np.array_equal(names[0], other) for other in names[1:]):
        raise ValueError("a paired difference needs scores of the same pictures in one order")
    donors, new = (len(np.unique(side.identity)) for side in sides[0])
    if not np.isfinite(scores).all() or not donors or not new:
        raise ValueError("a paired difference needs a score of every picture, and both groups")
    label = np.arange(len(names[0])) < len(sides[0][0].score)
    # Donors before new people, so that their draws stand side by side.
    _, person = np.unique(np.char.add(np.where(label, "0", "1"), names[0]), return_inverse=True)
    rng = np.random.default_rng(seed)
    drawn = np.hstack([resample(size, bootstrap, rng) for size in (donors, new)])
    weights = np.vstack([np.ones(donors + new, np.int64), drawn])
    aucs = [MEASURES["auc"](count(sort(label, score, person), weights)) for score in scores]
    difference = np.mean(aucs[len(first) :], axis=0) - np.mean(aucs[: len(first)], axis=0)
    return Metric(float(difference[0]), *interval([difference[1:]]), donors + new)


def donors_above(known: Roles, met: Faces, new: Faces, bootstrap: int, seed: int) -> Metric:
    """Returns the share of the donors' pictures above the score that 90 % of new people's pass.

    0.1 is no leak. The interval draws donors and new people anew, the threshold with them.
    """
    donors = met.of(known.donors)
    sides = [_by_person(side) for side in (donors, new)]
    for side, who in zip(sides, ("donors", "new people"), strict=True):
        if not side:
            return Metric(None, reason=f"no scored genuine pictures of {who}")
    count = len(sides[0])
    value = _share_above(*(np.concatenate(side) for side in sides))
    if min(len(side) for side in sides) < 2 or not bootstrap:
        reason = "no interval: fewer than 2 people on a side" if bootstrap else ""
        return Metric(value, n_videos=count, reason=reason)
    rng = np.random.default_rng(seed)
    draws = [resample(len(side), bootstrap, rng) for side in sides]
    values = [
        _share_above(*(_drawn(s, w) for s, w in zip(sides, weights, strict=True)))
        for weights in zip(*draws, strict=True)
    ]
    return Metric(value, *interval([np.array(values)]), count)


def _by_person(faces: Faces) -> list[np.ndarray]:
    known = np.isfinite(faces.score)
    people, index = np.unique(faces.identity[known], return_inverse=True)
    return [faces.score[known][index == number] for number in range(len(people))]


def _drawn(side: list[np.ndarray], weights: np.ndarray) -> np.ndarray:
    return np.concatenate([np.tile(s, w) for s, w in zip(side, weights.tolist(), strict=True)])


def _share_above(donors: np.ndarray, new: np.ndarray) -> float:
    return float((donors > np.quantile(new, PASSED)).mean())
