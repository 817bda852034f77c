"""A data set in memory, and a detector whose answers can be worked out by hand.

Faces are noise; fakes have a blurred face, and the detector looks at the sharpness of the canvas.
"""

import dataclasses
from pathlib import Path
from types import SimpleNamespace

import cv2
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import boxes, geometry
from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.models import InputSpec
from iid_jax.models.detector import Outputs

SIDE, CANVAS = 160, 112
METHODS = ("blur", "smear")


class MemoryCatalog(Catalog):
    """A catalog of records that were never written; `broken` rows cannot be read."""

    def __init__(self, records, name="noise/default", broken=(), directory="noise/default/1.0.0"):
        order = sorted(range(len(records)), key=lambda i: schema.SPLITS.index(records[i].split))
        self._records = [records[i] for i in order]
        self.name, self.directory, self.broken = name, Path(directory), set(broken)
        self.columns = {
            column: np.array([getattr(record, column) for record in self._records])
            for column in schema.COLUMNS
        }
        self._row_of = {key: row for row, key in enumerate(self._keys()) if key[3] == schema.REAL}

    def read(self, row):
        record = self._records[row]
        if row in self.broken:
            raise DataError(f"record {row} cannot be read")
        return record


class Sharpness:
    """Stands in for a Linen module: blurred canvases are fake, blurred cells hold artifacts."""

    def apply(self, variables, images):
        grey = images.mean(-1)
        edges = jnp.abs(jnp.diff(grey, axis=1))[:, :, 1:] + jnp.abs(jnp.diff(grey, axis=2))[:, 1:]
        middle = edges[:, CANVAS // 3 : -CANVAS // 3, CANVAS // 3 : -CANVAS // 3].mean((1, 2))
        logit = variables["params"]["gain"] * (variables["params"]["level"] - middle)
        cells = [self._cells(edges, side) for side in (7, 5, 3, 1)]
        found = variables["params"]["level"] - jnp.concatenate(cells, 1)
        return Outputs(
            logits=jnp.stack([-logit / 4, 3 * logit / 4], -1),
            deltas=jnp.zeros((len(images), 168, 4)),
            box_logits=jnp.stack([jnp.zeros_like(found), 8 * found], -1),
            features={},
        )

    @staticmethod
    def _cells(edges, side):
        width = edges.shape[1] // side
        cut = edges[:, : width * side, : width * side]
        means = cut.reshape(len(cut), side, width, side, width).mean((2, 4))
        return jnp.repeat(means.reshape(len(cut), -1), 2, 1)


def landmarks(x=SIDE / 2, y=SIDE / 2, size=60.0):
    """A plain face: 68 points around (x, y), as wide as `size`."""
    points = np.zeros((68, 2), np.float32)
    angles = np.linspace(np.pi, 0.0, 17)
    points[:17] = np.stack([np.cos(angles), 0.1 + 0.75 * np.sin(angles)], 1)
    for brow, (low, high) in ((slice(17, 22), (-0.7, -0.2)), (slice(22, 27), (0.2, 0.7))):
        points[brow] = np.stack([np.linspace(low, high, 5), np.full(5, -0.45)], 1)
    points[27:31] = np.stack([np.zeros(4), np.linspace(-0.25, 0.15, 4)], 1)
    points[31:36] = np.stack([np.linspace(-0.15, 0.15, 5), np.full(5, 0.22)], 1)
    for eye, middle in ((slice(36, 42), -0.4), (slice(42, 48), 0.4)):
        turn = np.linspace(np.pi, -np.pi, 6, endpoint=False)
        points[eye] = np.stack([middle + 0.15 * np.cos(turn), -0.25 + 0.06 * np.sin(turn)], 1)
    for lips, wide, count in ((slice(48, 60), 0.3, 12), (slice(60, 68), 0.2, 8)):
        turn = np.linspace(np.pi, -np.pi, count, endpoint=False)
        points[lips] = np.stack([wide * np.cos(turn), 0.5 + 0.12 * np.sin(turn)], 1)
    return points * size / 2 + (x, y)


def make_records():
    """12 test, 4 val, 6 train and probe people; 2 frames each, genuine and two kinds of fake."""
    rng = np.random.default_rng(0)
    records = []
    people = {"train": range(6), "val": range(10, 14), "test": range(20, 32)}
    for split, numbers in people.items():
        for number in numbers:
            for frame in range(2):
                records += _frame(split, number, frame, rng)
    for number in people["train"]:
        picture = _noise(rng)
        records.append(_record(picture, "probe", f"p{number}", "original", "probe", 0))
    return records


def _frame(split, number, frame, rng):
    person, picture = f"p{number}", _noise(rng)
    donor = f"p{(number + 1) % 3 if split == 'train' else number + 100}"
    made = [_record(picture, split, person, "original", "clip", frame)]
    mask = np.zeros((SIDE, SIDE), np.float32)
    face = geometry.hull(landmarks()).astype(np.int32)
    cv2.fillConvexPoly(mask, face, 1.0)
    for method, sigma in zip(METHODS, (2.0, 1.0), strict=True):
        blurred = cv2.GaussianBlur(picture, (0, 0), sigma)
        fake = np.where(mask[..., None] > 0, blurred, picture)
        made.append(_record(fake, split, person, method, donor, frame, mask, donor))
    return made


def _noise(rng):
    return rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)


def _record(picture, split, person, method, clip, frame, mask=None, donor=""):
    return schema.make_record(
        picture,
        landmarks(),
        mask,
        label=int(bool(donor)),
        method=method,
        split=split,
        video_id=f"{method}/{person}_{clip}",
        frame=frame,
        identity=person,
        source_identity=donor,
        pristine_id=f"original/{person}_clip" if donor else "",
    )


@pytest.fixture(scope="session")
def records():
    return make_records()


@pytest.fixture
def catalog(records):
    return MemoryCatalog(records)


@pytest.fixture(scope="session")
def make_catalog(records):
    """Makes catalogs of some records: `make_catalog(keep=lambda record: ..., broken=rows)`."""

    def make(keep=lambda record: True, **options):
        return MemoryCatalog([record for record in records if keep(record)], **options)

    return make


@pytest.fixture(scope="session")
def detector():
    """What `checkpoint.load_detector` returns, but of the Sharpness module."""
    weights = {"gain": np.float32(3.0), "level": np.float32(0.4)}
    return SimpleNamespace(
        module=Sharpness(),
        variables={"params": weights},
        input_spec=InputSpec(CANVAS),
        anchors=boxes.anchors(CANVAS),
    )


@pytest.fixture(scope="session")
def detect(detector):
    """The detector as a function from canvases to Detections, compiled once."""
    from iid_jax.evaluation.score import DetectorFunction

    function = DetectorFunction(detector.module, detector.input_spec, detector.anchors)
    return function.bind(detector.variables)


@pytest.fixture(scope="session")
def without_artifacts(detector):
    """The plain classifier: the same detector without an ADM."""
    values = {**vars(detector), "anchors": None}
    return SimpleNamespace(**values)


@pytest.fixture
def break_image():
    """Returns a copy of a record whose image bytes were damaged after they were written."""

    def damage(record):
        image = record.image[:-20] + bytes(20)
        return dataclasses.replace(record, image=image)

    return damage
