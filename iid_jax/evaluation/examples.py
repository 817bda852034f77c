"""Pictures for people to look at, chosen by a seed and never by their result."""

import numpy as np

from iid_jax.data import canvas, schema
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
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
            _picture(scored, place, catalog, spec, operating)
            for place in _of_different_videos(places, table["video_id"], wanted, rng)
        ]
    return pictures


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


def _of_different_videos(
    places: np.ndarray, video: np.ndarray, wanted: int, rng: np.random.Generator
) -> list[int]:
    order = rng.permutation(places)
    _, first = np.unique(video[order], return_index=True)
    return order[np.sort(first)][:wanted].tolist()


def _picture(
    scored: Scored, place: int, catalog: Catalog, spec: CanvasSpec, operating: Operating | None
) -> Picture:
    aligned = canvas.align(catalog.read(scored.rows[place]), spec)
    method, score = scored.table["method"][place], scored.table["score"][place]
    return Picture(
        image=aligned.image,
        title=f"{method} {score:.2f}",
        mask=aligned.mask,
        **_boxes(scored.boxes[place], scored.box_scores[place], operating),
    )


def _boxes(
    boxes: np.ndarray, box_scores: np.ndarray, operating: Operating | None
) -> dict[str, np.ndarray]:
    threshold = _USUAL_THRESHOLD if operating is None else operating.threshold
    shown = counts_as_box(box_scores, threshold)
    return {"boxes": boxes[shown], "scores": box_scores[shown]}
