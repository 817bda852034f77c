"""Pictures for people to look at, chosen by a seed and never by their result."""

import collections

import numpy as np

from iid_jax.data import canvas, schema
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.evaluation.localisation import Operating, PartialSwaps, counts_as_box
from iid_jax.evaluation.score import Scored
from iid_jax.evaluation.table import sigmoid
from iid_jax.plots import Picture

HELD_OUT, SWAPS = 24, 18
# Where no threshold could be chosen.
_USUAL_THRESHOLD = 0.5


def held_out(
    scored: Scored,
    catalog: Catalog,
    spec: CanvasSpec,
    operating: Operating | None,
    seed: int,
    count: int = HELD_OUT,
) -> list[Picture]:
    """Returns `count` scored pictures, equally many of each method, each of another video."""
    rng = np.random.default_rng(seed)
    table = scored.table
    methods = np.unique(table["method"][table.scored]).tolist()
    methods.sort(key=lambda name: (name != schema.ORIGINAL, name))
    pictures = []
    for number, method in enumerate(methods):
        wanted = count // len(methods) + (number < count % len(methods))
        places = np.flatnonzero(table.scored & (table["method"] == method))
        pictures += [
            picture(scored, place, catalog, spec, operating)
            for place in _of_different_videos(places, table["video_id"], wanted, rng)
        ]
    return pictures


def choose_pairs(catalog: Catalog, split: str, count: int, seed: int) -> np.ndarray:
    """Returns `count` pairs (N, 2) of rows, genuine and the fake made from it, by manipulation.

    Each manipulation gives one in turn: at random one of the fakes whose target, and of these
    whose donor, was shown least often before. Fewer are returned where there are no more.

    Raises:
      DataError: no fake of the split has its genuine partner in the data set.
    """
    fakes = catalog.select(split, label=schema.FAKE)
    partners = catalog.pristine_of(fakes)
    fakes, partners = fakes[partners >= 0], partners[partners >= 0]
    if not len(fakes):
        raise DataError(
            f"{catalog.name}: no fake of split {split!r} has its genuine partner in the data set"
        )
    chosen = _in_turn(catalog, fakes, count, np.random.default_rng(seed))
    by_method = np.argsort(catalog.columns["method"][fakes[chosen]], kind="stable")
    return np.stack([partners[chosen], fakes[chosen]], axis=1)[by_method]


def picture(
    scored: Scored, place: int, catalog: Catalog, spec: CanvasSpec, operating: Operating | None
) -> Picture:
    """Returns a scored record as the detector saw it, with its true mask and predicted boxes."""
    record = catalog.read(scored.rows[place])
    aligned = canvas.align(record, spec)
    method, score = scored.table["method"][place], scored.table["score"][place]
    return Picture(
        image=aligned.image,
        title=f"{method} {score:.2f}",
        mask=canvas.true_mask(record, aligned.matrix, spec.size),
        **_boxes(scored.boxes[place], scored.box_scores[place], operating),
    )


def threshold(operating: Operating | None) -> float:
    """Returns the score from which a box is shown; 0.5 where none could be chosen."""
    return _USUAL_THRESHOLD if operating is None else operating.threshold


def partial_swaps(
    swaps: PartialSwaps, operating: Operating | None, count: int = SWAPS
) -> list[Picture]:
    """Returns the first `count` partial swaps, which are in random order already."""
    score = sigmoid(np.diff(swaps.fakes.logits.astype(np.float64), axis=1)[:, 0])
    return [
        Picture(
            image=sample.image,
            title=f"partial swap {score[place]:.2f}",
            mask=sample.mask,
            truth=sample.boxes[1],
            **_boxes(swaps.fakes.boxes[place], swaps.fakes.box_scores[place], operating),
        )
        for place, sample in enumerate(swaps.samples[:count])
    ]


def _in_turn(
    catalog: Catalog, fakes: np.ndarray, count: int, rng: np.random.Generator
) -> list[int]:
    """Places in `fakes`, chosen as `choose_pairs` says."""
    target, donor, method = (
        catalog.columns[name][fakes].tolist() for name in ("identity", "source_identity", "method")
    )
    left = {name: [i for i, m in enumerate(method) if m == name] for name in sorted(set(method))}
    used: collections.Counter[str] = collections.Counter()
    chosen: list[int] = []
    while len(chosen) < count and any(left.values()):
        for places in [places for places in left.values() if places][: count - len(chosen)]:
            times = [(used[target[i]], used[donor[i]]) for i in places]
            least = [i for i, n in zip(places, times, strict=True) if n == min(times)]
            place = least[rng.integers(len(least))]
            places.remove(place)
            used.update((target[place], donor[place]))
            chosen.append(place)
    return chosen


def _of_different_videos(
    places: np.ndarray, video: np.ndarray, wanted: int, rng: np.random.Generator
) -> list[int]:
    order = rng.permutation(places)
    _, first = np.unique(video[order], return_index=True)
    return order[np.sort(first)][:wanted].tolist()


def _boxes(
    boxes: np.ndarray, box_scores: np.ndarray, operating: Operating | None
) -> dict[str, np.ndarray]:
    shown = counts_as_box(box_scores, threshold(operating))
    return {"boxes": boxes[shown], "scores": box_scores[shown]}
