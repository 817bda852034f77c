"""People who differ in colour only, and detectors whose answers can be worked out by hand."""

import itertools
from pathlib import Path

import cv2
import flax.linen as nn
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.checkpoint import Loaded
from iid_jax.config import Config
from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.evaluation import results
from iid_jax.evaluation.score import DetectorFunction, score
from iid_jax.leakage.network import Network
from iid_jax.models import InputSpec
from iid_jax.models.detector import Outputs

SIDE, CANVAS = 160, 56
PALETTE = [(r, g, b) for r in (20, 110, 200) for g in (30, 180) for b in (20, 110, 200)]
RED = {"p0": 250, "p1": 240, "p2": 60, "p3": 50}  # training people; p0 and p1 are the donors


def _face():
    """A plain face of 68 points, 60 pixels wide, in the middle of the frame."""

    def arc(x, y, wide, high, start, end, count):
        turn = np.linspace(start, end, count) * np.pi
        return np.stack([x + wide * np.cos(turn), y + high * np.sin(turn)], 1)

    parts = [
        arc(0, 0, 1, 0.9, 1, 0, 17),  # jaw
        arc(-0.45, -0.4, 0.25, 0.1, 1, 2, 5),  # brows
        arc(0.45, -0.4, 0.25, 0.1, 1, 2, 5),
        np.stack([np.zeros(4), np.linspace(-0.25, 0.15, 4)], 1),  # nose
        arc(0, 0.2, 0.15, 0.05, 1, 0, 5),
        arc(-0.4, -0.25, 0.15, 0.06, 1, 2.7, 6),  # eyes
        arc(0.4, -0.25, 0.15, 0.06, 1, 2.7, 6),
        arc(0, 0.5, 0.3, 0.12, 1, 2.8, 12),  # mouth
        arc(0, 0.5, 0.2, 0.08, 1, 2.8, 8),
    ]
    return (np.concatenate(parts) * 30 + SIDE / 2).astype(np.float32)


FACE = _face()


class MemoryCatalog(Catalog):
    """A catalog of records that were never written; `broken` rows cannot be read."""

    def __init__(self, records, name="colours/default", broken=()):
        self._records = sorted(records, key=lambda record: schema.SPLITS.index(record.split))
        self.name, self.directory, self.broken = name, Path(name) / "1.0.0", set(broken)
        self.columns = {
            column: np.array([getattr(record, column) for record in self._records])
            for column in schema.COLUMNS
        }
        self._row_of = {key: row for row, key in enumerate(self._keys()) if key[3] == schema.REAL}

    def read(self, row):
        if row in self.broken:
            raise DataError(f"record {row} cannot be read")
        return self._records[row]


class Mean(nn.Module):
    """The mean colour of 7 x 7 cells: a feature map that is a layer's output."""

    def __call__(self, images):
        side = images.shape[1] // 7
        return images.reshape(len(images), 7, side, 7, side, 3).mean((2, 4))


class Colours(nn.Module):
    """The log-odds of fake are `scale` times the mean red of the chosen cells.

    With a `power` of 2 it is the square that counts: cells then act together.
    """

    power: int = 1
    cells: tuple[int, ...] = tuple(range(49))

    @nn.compact
    def __call__(self, images):
        level = self.param("bias", nn.initializers.zeros, ())
        gain = self.param("scale", nn.initializers.ones, ())
        cells = Mean(name="mean")(images)
        red = cells[..., 0].reshape(len(images), 49)
        logit = gain * red[:, jnp.array(self.cells)].mean(1) ** self.power - level
        colour = cells.mean((1, 2))
        features = {"map": cells, "global": colour, "double": 2 * cells}
        return Outputs(jnp.stack([-logit / 4, 3 * logit / 4], -1), None, None, features)


def colours(name="colours", gain=1.0, **options):
    """Returns a Network of Colours."""
    module = Colours(**options)
    loaded = Loaded(
        module=module,
        variables={"params": {"bias": np.float32(0.25), "scale": np.float32(gain)}},
        input_spec=InputSpec(CANVAS),
        anchors=None,
        config=Config(),
        step=0,
    )
    return Network(name, loaded, batch_size=16)


def record(person, colour, split, clip, frame=0, method="original", donor="", around=None):
    """A frame of one colour (r, g, b), or a face of it in a frame of the colour `around`."""
    picture = np.full((SIDE, SIDE, 3), colour if around is None else around, np.uint8)
    mask = np.zeros((SIDE, SIDE), np.float32)
    cv2.fillConvexPoly(mask, geometry.hull(FACE).astype(np.int32), 1.0)
    picture[mask > 0] = colour
    return schema.make_record(
        picture,
        FACE,
        mask if donor else None,
        label=int(bool(donor)),
        method=method,
        split=split,
        video_id=f"{method}/{person}_{clip}",
        frame=frame,
        identity=person,
        source_identity=donor,
        pristine_id=f"original/{person}_{clip}" if donor else "",
    )


@pytest.fixture(scope="session")
def records():
    """4 training people, half of them donors, with pictures of the probe split; 6 new people."""
    made = []
    for person, red in RED.items():
        made.append(record(person, (red, 90, 90), "probe", "album"))
        if person not in ("p0", "p1"):
            made.append(record(person, (red, 90, 90), "train", "clip"))
    for donor, target in (("p0", "p2"), ("p1", "p3")):
        made.append(record(target, (245, 90, 90), "train", "clip", 0, "swap", donor))
    for number in range(6):
        person, red = f"n{number}", 100 + 10 * number
        made.append(record(person, (red, 90, 90), "test", "clip"))
        made.append(record(person, (245, 90, 90), "test", "clip", 0, "swap", "n9"))
    return made


@pytest.fixture
def catalog(records):
    """The catalog of these records."""
    return MemoryCatalog(records)


@pytest.fixture(scope="session")
def make_catalog(records):
    """Makes catalogs of some records: `make_catalog(keep=lambda record: ..., broken=rows)`."""

    def make(keep=lambda record: True, **options):
        return MemoryCatalog([r for r in records if keep(r)], **options)

    return make


@pytest.fixture(scope="session")
def make_people():
    """Makes a catalog of people with clips: `make_people({name: clips}, frames=, fakes=)`.

    The colour is the person's, the brightness the clip's and the frame's. With `fakes` there is
    one of every frame: the colour is the donor's, the next person in the list. Clips take turns
    among the `splits`.
    """

    def make(clips, frames, fakes=False, splits=("test",), around=None):
        names, made = list(clips), []
        colours = dict(zip(names, PALETTE, strict=False))
        for number, name in enumerate(names):
            donor = names[(number + 1) % len(names)]
            for clip in range(clips[name]):
                split = splits[clip % len(splits)]
                for frame in range(frames):
                    shade = (10 * clip + frame) % 50
                    of_person = tuple(c + shade for c in colours[name])
                    of_donor = tuple(c + shade for c in colours[donor])
                    place = split, clip, frame
                    made.append(record(name, of_person, *place, around=around))
                    if fakes:
                        made.append(record(name, of_donor, *place, "swap", donor, around))
        return MemoryCatalog(made)

    return make


@pytest.fixture(scope="session")
def uneven(records):
    """Test videos of unlike frames beside the training's records.

    People have several clips each and are on one side only, so intervals over them are wider.
    """
    rng, made = np.random.default_rng(0), [r for r in records if r.split != "test"]
    for number in range(8):
        method, donor, more = ("swap", "n9", 25) if number % 2 else ("original", "", 0)
        hue = more + rng.integers(0, 120)
        for clip, frame in itertools.product(range(4), range(4)):
            red = int(hue + rng.integers(0, 110))
            place = "test", clip, frame, method, donor, (90, 90, 90)
            made.append(record(f"n{number}", (red, 90, 90), *place))
    return MemoryCatalog(made)


@pytest.fixture(scope="session")
def of_a_run():
    """The video AUC of a detector on the test split, as `evaluate` puts it into summary.json."""

    def evaluated(network, catalog, bootstrap):
        loaded = network.loaded
        detect = DetectorFunction(loaded.module, network.spec, None).bind(loaded.variables)
        rows = catalog.select("test")
        table = score(detect, catalog, rows, network.spec, network.batch_size, quiet=True).table
        (found,) = [
            row
            for row in results.detection_results(table, bootstrap, seed=0)
            if (row["metric"], row["method"]) == ("video_auc", "all")
        ]
        return found

    return evaluated


@pytest.fixture(scope="session")
def make_network():
    """Makes a Network of the module Colours: `make_network(name, gain=, cells=)`."""
    return colours


@pytest.fixture(scope="session")
def network():
    """A detector that calls red faces fake."""
    return colours()
