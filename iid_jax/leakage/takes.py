"""Which genuine pictures a probe is fitted to and which it is tested on: never the same clip."""

from typing import NamedTuple

import numpy as np

from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError

# Shares of a person's clips, or of the time of the only clip; what lies between is left out.
TEST_SHARE, FIT_SHARE = 1 / 3, 0.6
# The share of the people whose test pictures choose the regularisation and are not reported.
CHOOSING_SHARE = 0.25
LEAST_PEOPLE = 4
# What keeps the tested pictures apart.
OTHER_CLIPS = "other clips or photographs"
SAME_CLIP = "another part of the same clip or set of photographs"


class Takes(NamedTuple):
    """Rows of the catalog: `fit`, `choose` (regularisation) and `test`; and the `people` (K,).

    Every person has pictures in `fit`. `apart` says what keeps the pictures of `test` and
    `choose` away from those of `fit`: OTHER_CLIPS, or SAME_CLIP.
    """

    people: np.ndarray
    fit: np.ndarray
    choose: np.ndarray
    test: np.ndarray
    apart: str


class Setting(NamedTuple):
    """What all probes of one data set and split share."""

    catalog: Catalog
    split: str
    takes: Takes
    bootstrap: int
    seed: int

    @property
    def data(self) -> str:
        """The data set and split as results name them."""
        return f"{self.catalog.name}:{self.split}"


def divide(catalog: Catalog, split: str, seed: int) -> Takes:
    """Returns how the genuine pictures of a split's people are divided.

    With the split `train` go the pictures of the `probe` split, which no training sees, and of
    `partner`, people who are genuine only as the pristine side of swaps. Where
    people have several clips (or sets of photographs), whole ones are kept for the test: the
    probe split's, or a third. Where everybody has one clip, its beginning is fitted and its end
    tested, with a gap between. A quarter of the people choose the regularisation.

    Raises:
      DataError: fewer than 4 people have pictures on both sides.
    """
    rows = catalog.select(split, label=schema.REAL)
    if split == "train":
        beside = [catalog.select(name, label=schema.REAL) for name in ("probe", "partner")]
        rows = np.concatenate([rows, *beside])
    identity = catalog.columns["identity"]
    rows = rows[identity[rows] != ""]
    by_person = {name: rows[identity[rows] == name] for name in np.unique(identity[rows]).tolist()}
    rng = np.random.default_rng([seed, 8])
    clips = {name: _clips(catalog, of_one, rng) for name, of_one in by_person.items()}
    several = sum(len(c) > 1 for c in clips.values()) >= LEAST_PEOPLE
    cut = _by_clip if several else _by_time
    sides = [cut(clips[name]) for name in clips]
    fit = np.concatenate([side[0] for side in sides]) if sides else np.zeros(0, int)
    tested = [(name, side[1]) for name, side in zip(clips, sides, strict=True) if len(side[1])]
    if len(tested) < LEAST_PEOPLE:
        raise DataError(
            f"{catalog.name}, split {split}: a probe needs {LEAST_PEOPLE} people with pictures to "
            f"fit and others to test on, found {len(tested)}; use a split with more"
        )
    order = rng.permutation(len(tested))
    choosing = set(order[: max(1, round(CHOOSING_SHARE * len(tested)))].tolist())
    choose = np.concatenate([r for i, (_, r) in enumerate(tested) if i in choosing])
    test = np.concatenate([r for i, (_, r) in enumerate(tested) if i not in choosing])
    apart = OTHER_CLIPS if several else SAME_CLIP
    return Takes(np.unique(identity[fit]), fit, choose, test, apart)


def _clips(catalog: Catalog, rows: np.ndarray, rng: np.random.Generator) -> list[np.ndarray]:
    """A person's clips in the order in which they are fitted: the probe split's come last."""
    columns = catalog.columns
    names = np.unique(columns["video_id"][rows])
    names = names[rng.permutation(len(names))].tolist()
    clips = [rows[columns["video_id"][rows] == name] for name in names]
    clips = [clip[np.argsort(columns["frame"][clip], kind="stable")] for clip in clips]
    return sorted(clips, key=lambda clip: columns["split"][clip[0]] == "probe")


def _by_clip(clips: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    if len(clips) == 1:
        return clips[0], clips[0][:0]
    kept = max(1, round(TEST_SHARE * len(clips)))
    return np.concatenate(clips[:-kept]), np.concatenate(clips[-kept:])


def _by_time(clips: list[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
    (clip,) = clips if len(clips) == 1 else (np.concatenate(clips),)
    fitted = max(1, int(FIT_SHARE * len(clip)))
    tested = int(TEST_SHARE * len(clip))
    return clip[:fitted], clip[max(fitted, len(clip) - tested) :]
