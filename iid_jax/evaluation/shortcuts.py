"""Whether a fake gives itself away by anything but its manipulated pixels.

Classifiers that see the file and what lies outside the true mask, never the manipulated area, try
to tell fakes from genuine pictures, on people they were not fitted to. AUC 0.5: no shortcut.
"""

import dataclasses
from typing import NamedTuple

import cv2
import numpy as np
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from iid_jax import metrics
from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.measures import QUANTILES, Metric

BLOCK = 8  # px: what JPEG codes together when colours are not subsampled
MARGIN = 16  # px around the mask that are left out with it
RING = 8  # px: width of the border ring
CHANNELS = ("red", "green", "blue")
STATISTICS = (
    *(f"mean_{name}" for name in CHANNELS),
    *(f"spread_{name}" for name in CHANNELS),
    "noise",
    "laplacian",
    "blockiness",
)
FEATURES = (
    "file_size",
    "bytes_per_pixel",
    "table_luma",
    "table_chroma",
    "tables",
    "sampling",
    *("crop_x0", "crop_y0", "crop_x1", "crop_y1"),
    *("frame_height", "frame_width", "height", "width"),
    "outside_share",
    *(f"outside_{name}" for name in STATISTICS),
    *(f"ring_{name}" for name in STATISTICS),
)
CLASSIFIERS = ("gradient_boosting", "logistic_regression")
# Immerkaer, Fast Noise Variance Estimation (1996): blind to edges and gradients.
_NOISE_KERNEL = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_QUANTISATION, _FRAME, _SCAN = 0xDB, (0xC0, 0xC1, 0xC2), 0xDA


@dataclasses.dataclass(frozen=True, eq=False)
class Evidence:
    """What the classifiers see: `features` (N, F), `label` (N,) 0/1, `person` (N,) the target."""

    features: np.ndarray
    label: np.ndarray
    person: np.ndarray


class Header(NamedTuple):
    """What a JPEG file says before its pixels: sums of its tables, their number, the sampling."""

    luma: int
    chroma: int
    tables: int
    sampling: int


def jpeg_header(data: bytes) -> Header:
    """Returns the quantisation and sampling of a JPEG file; zeros for any other file."""
    luma = chroma = tables = sampling = 0
    place = 2
    if data[:2] != b"\xff\xd8":
        return Header(0, 0, 0, 0)
    while place + 4 <= len(data) and data[place] == 0xFF and data[place + 1] != _SCAN:
        marker, length = data[place + 1], int.from_bytes(data[place + 2 : place + 4])
        body = data[place + 4 : place + 2 + length]
        if marker == _QUANTISATION:
            for number, total in _tables(body):
                tables += 1
                luma, chroma = (luma + total, chroma) if number == 0 else (luma, chroma + total)
        elif marker in _FRAME:
            sampling = int.from_bytes(bytes(body[7 + 3 * i] for i in range(body[5])))
        place += 2 + length
    return Header(luma, chroma, tables, sampling)


def _tables(body: bytes) -> list[tuple[int, int]]:
    """The (number, sum) of each quantisation table in one segment."""
    found, place = [], 0
    while place < len(body):
        wide, number = body[place] >> 4, body[place] & 15
        values = np.frombuffer(body, ">u2" if wide else "u1", 64, place + 1)
        found.append((number, int(values.sum())))
        place += 1 + values.nbytes
    return found


def outside(mask: np.ndarray) -> np.ndarray:
    """Returns the pixels, bool (H, W), of the 8x8 blocks farther than 16 px from any mask > 0."""
    kernel = np.ones((2 * MARGIN + 1, 2 * MARGIN + 1), np.uint8)
    touched = cv2.dilate((mask > 0).astype(np.uint8), kernel)
    height, width = touched.shape
    padded = np.pad(touched, ((0, -height % BLOCK), (0, -width % BLOCK)))
    blocks = padded.reshape(padded.shape[0] // BLOCK, BLOCK, -1, BLOCK).max(axis=(1, 3))
    return np.kron(blocks, np.ones((BLOCK, BLOCK), np.uint8))[:height, :width] == 0


def describe(record: schema.Record, mask: np.ndarray) -> np.ndarray:
    """Returns the numbers named by FEATURES for one record, (F,) float64; NaN where none is left.

    `mask` (H, W) in 0..1 is the true mask on the stored crop: of a genuine record, its fake's.
    """
    pixels = record.pixels()
    if mask.shape != pixels.shape[:2]:
        raise ValueError(f"the mask is {mask.shape}, the picture {pixels.shape[:2]}")
    height, width = mask.shape
    away = outside(mask)
    ring = away.copy()
    ring[RING:-RING, RING:-RING] = False
    maps = _maps(pixels)
    return np.array(
        [
            len(record.image),
            len(record.image) / (height * width),
            *jpeg_header(record.image),
            *record.crop,
            *record.frame_size,
            height,
            width,
            away.mean(),
            *_statistics(pixels, maps, away),
            *_statistics(pixels, maps, ring),
        ],
        np.float64,
    )


def _maps(pixels: np.ndarray) -> np.ndarray:
    """Noise, Laplacian, and steps across block edges less those within blocks, (H, W, 3)."""
    grey = cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY).astype(np.float32)
    noise = np.abs(cv2.filter2D(grey, -1, _NOISE_KERNEL))
    step = np.abs(np.diff(grey, axis=1, append=grey[:, -1:]))
    edge = np.arange(step.shape[1]) % BLOCK == BLOCK - 1
    steps = step * np.where(edge, np.float32(BLOCK - 1), np.float32(-1))
    return cv2.merge([noise, cv2.Laplacian(grey, cv2.CV_32F), steps])


def _statistics(pixels: np.ndarray, maps: np.ndarray, where: np.ndarray) -> list[float]:
    if not where.any():
        return [np.nan] * len(STATISTICS)
    chosen = where.astype(np.uint8)
    mean, spread = (values[:, 0] for values in cv2.meanStdDev(pixels, mask=chosen))
    (noise, _, steps), (_, laplacian, _) = (v[:, 0] for v in cv2.meanStdDev(maps, mask=chosen))
    # The expected |response| of white noise of deviation s is 6 s sqrt(2 / pi).
    return [*mean, *spread, np.sqrt(np.pi / 2.0) / 6.0 * noise, laplacian**2, steps]


def collect(catalog: Catalog, split: str | None, method: str) -> Evidence:
    """Returns the evidence on every fake of one method and on the genuine frame it was made from.

    Both are described outside the fake's true mask, so that the mask's shape cannot tell.
    """
    fakes = catalog.select(split, methods=(method,), label=schema.FAKE)
    partners = catalog.pristine_of(fakes)
    rows, people = [], []
    for fake, genuine in zip(fakes[partners >= 0], partners[partners >= 0], strict=True):
        made = catalog.read(fake)
        mask = made.mask_pixels()
        if mask is None:
            continue
        rows += [describe(made, mask), describe(catalog.read(genuine), mask)]
        people += [made.identity] * 2
    label = np.tile([schema.FAKE, schema.REAL], len(rows) // 2)
    return Evidence(np.reshape(rows, (-1, len(FEATURES))), label, np.array(people))


def measure(
    evidence: Evidence, folds: int = 5, bootstrap: int = 500, seed: int = 0
) -> dict[str, Metric]:
    """Returns the AUC of each classifier, people-disjoint, with its 95 % interval over people.

    Every person is predicted by classifiers fitted to others. Raises ValueError for fewer people
    than folds.
    """
    results = {}
    for name in CLASSIFIERS:
        score = _predict(evidence, name, folds, seed)
        draws = _bootstrap(evidence, score, bootstrap, seed)
        lo, hi = np.quantile(draws, QUANTILES)
        value = metrics.auc(evidence.label, score)
        people = len(np.unique(evidence.person))
        results[name] = Metric(value, float(lo), float(hi), people)
    return results


def _predict(evidence: Evidence, name: str, folds: int, seed: int) -> np.ndarray:
    """P(fake) of every row from a classifier that has seen nobody of its person."""
    x, y = evidence.features, evidence.label
    score = np.empty(len(y))
    splitter = GroupKFold(folds, shuffle=True, random_state=seed)
    for fit, held_out in splitter.split(x, y, evidence.person):
        known = ~np.isnan(x[fit]).all(axis=0)
        classifier = _classifier(name, seed).fit(x[fit][:, known], y[fit])
        score[held_out] = classifier.predict_proba(x[held_out][:, known])[:, 1]
    return score


def _classifier(name: str, seed: int):
    if name == "gradient_boosting":
        return HistGradientBoostingClassifier(max_iter=80, learning_rate=0.08, random_state=seed)
    return make_pipeline(SimpleImputer(), StandardScaler(), LogisticRegression(max_iter=2000))


def _bootstrap(evidence: Evidence, score: np.ndarray, count: int, seed: int) -> list[float]:
    """The AUC over draws of whole people, with replacement."""
    people, index = np.unique(evidence.person, return_inverse=True)
    rows = [np.flatnonzero(index == number) for number in range(len(people))]
    rng = np.random.default_rng(seed)
    draws = []
    for _ in range(count):
        drawn = np.concatenate([rows[i] for i in rng.integers(len(people), size=len(people))])
        draws.append(metrics.auc(evidence.label[drawn], score[drawn]))
    return draws
