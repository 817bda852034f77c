"""One finished training sample from one draw: decode, align, swap, augment, label the anchors."""

import dataclasses
from typing import Any, NamedTuple, get_args

import cv2
import numpy as np

from iid_jax import boxes as anchor_boxes
from iid_jax import coverage, geometry
from iid_jax.config import DataConfig, Forger
from iid_jax.data import augment, canvas, schema
from iid_jax.data.catalog import Catalog
from iid_jax.data.sampler import Draw
from iid_jax.forgery import generator, swap

MAX_BOXES = 2
MAX_DISAGREEMENT = 0.08
_PURPOSES = ("align", "forge", "augment", "elsewhere")
# How many other frames of a pair are tried where the two faces hardly differ.
OTHER_FRAMES = 3

# What became of an element; the trainer counts them, so that no fallback stays unseen.
# Where they hardly differ in any, the fake is shown as it is, `too_alike`: so are half of the whole
# faces of `expression`, of which mouth and eyes alone differ.
# An `_elsewhere` was swapped in another frame of its pair: in its own the faces hardly differ.
# Where no forgery of a genuine picture can be seen, it remains genuine: `no_forgery`. A genuine
# picture is `unpaired` where its fake has none that the pairing asks for.
OUTCOMES = (
    "genuine",
    "untouched",
    "global",
    "partial",
    "no_partner",
    "mispaired",
    "too_alike",
    "global_elsewhere",
    "partial_elsewhere",
    *(name for name in get_args(Forger) if name != "swap"),
    "no_forgery",
    "unpaired",
)


@dataclasses.dataclass(frozen=True)
class Sample:
    """A canvas ready for training, with everything a person may want to see of its making.

    `row` is the record shown: the one drawn, or where `outcome` ends in `_elsewhere` another frame
    of the same video.
    """

    image: np.ndarray
    label: int
    boxes: np.ndarray
    mask: np.ndarray | None
    landmarks: np.ndarray
    outcome: str
    row: int
    genuine: np.ndarray | None = None
    manipulated: np.ndarray | None = None
    recipe: dict[str, Any] = dataclasses.field(default_factory=dict)


class _Seen(NamedTuple):
    """A record and how it looks under an alignment."""

    row: int
    record: schema.Record
    picture: canvas.Canvas


class SampleMaker:
    """Makes samples of a catalog's records for a detector whose canvas has `feature` cells.

    Calling it with a Draw gives the arrays of one element of the batch (see `arrays`). Where a
    fake hardly differs from its pristine frame, up to `other_frames` more of its video are tried.
    """

    def __init__(
        self,
        catalog: Catalog,
        config: DataConfig,
        spec: canvas.CanvasSpec,
        feature: int,
        other_frames: int = OTHER_FRAMES,
    ):
        self.catalog, self.config, self.spec = catalog, config, spec
        self.other_frames = other_frames
        self.anchors = anchor_boxes.anchors(spec.size, feature)
        self._makers = {name: generator.create(name, config) for name in config.forgery}
        self._swap = swap.Generator(config.swap)
        self._last: tuple[tuple[int, ...], tuple[Sample, Sample]] | None = None

    def __call__(self, draw: Draw) -> dict[str, np.ndarray]:
        return self.arrays(self.sample(draw))

    def sample(self, draw: Draw) -> Sample:
        """Returns the sample of a draw; the same draw gives the same sample, bit for bit."""
        if draw.forgery in self._makers and self._makers[draw.forgery].source != "fake":
            return self.pair(draw)[int(draw.genuine)]
        jitter = self._jitter(draw)
        seen = self._look(draw.row, jitter)
        if seen.record.label == schema.REAL:
            made = self._genuine(seen.picture, draw.row)
            if draw.unpaired:
                made = dataclasses.replace(made, outcome="unpaired")
        else:
            made = self._fake(seen, draw, jitter)
        return self._augment(made, _stream(draw, "augment"))

    def pair(self, draw: Draw) -> tuple[Sample, Sample]:
        """Returns a fake made of a genuine picture, and that picture, under the same augmentations.

        The last pair is kept: its halves follow each other in a batch.
        """
        key = (draw.row, draw.partner, *draw.seed)
        if self._last is None or self._last[0] != key:
            self._last = key, self._make_pair(draw)
        return self._last[1]

    def _make_pair(self, draw: Draw) -> tuple[Sample, Sample]:
        jitter = self._jitter(draw)
        target = self._look(draw.row, jitter).picture
        donor = None if draw.partner < 0 else self._look(draw.partner, jitter).picture
        faces = [picture.landmarks for picture in (donor, target) if picture is not None]
        pictures = target.image, None if donor is None else donor.image
        forged = self._makers[draw.forgery](*pictures, np.stack(faces), _stream(draw, "forge"))
        genuine = self._genuine(target, draw.row)
        if forged is None:
            fake = dataclasses.replace(genuine, outcome="no_forgery")
        else:
            if forged.genuine is not None:
                genuine = dataclasses.replace(genuine, image=forged.genuine)
            fake = dataclasses.replace(
                genuine,
                image=forged.image,
                label=schema.FAKE,
                boxes=forged.boxes,
                mask=forged.mask,
                outcome=draw.forgery,
                genuine=genuine.image,
                manipulated=None if donor is None else donor.image,
                recipe=forged.recipe,
            )
        seed = _stream(draw, "augment").integers(2**63)
        halves = (self._augment(half, np.random.default_rng(seed)) for half in (fake, genuine))
        return tuple(halves)

    def arrays(self, sample: Sample) -> dict[str, np.ndarray]:
        """Returns the arrays of one element of a batch; boxes (2, 4) are padded, boxes_valid (2,).

        `coverage` is each anchor's share inside the true mask. An untouched fake of unknown mask
        has 1 on all local anchors: they are neither positive nor negative.
        """
        boxes = np.zeros((MAX_BOXES, 4), np.float32)
        boxes[: len(sample.boxes)] = sample.boxes
        return {
            "image": sample.image,
            "label": np.int32(sample.label),
            "boxes": boxes,
            "boxes_valid": np.arange(MAX_BOXES) < len(sample.boxes),
            "coverage": self._coverage(sample),
            "outcome": np.int32(OUTCOMES.index(sample.outcome)),
            "record": np.int64(sample.row),
        }

    def _coverage(self, sample: Sample) -> np.ndarray:
        if sample.label == schema.REAL:
            return np.zeros(len(self.anchors), np.float32)
        if sample.mask is None:
            return anchor_boxes.local_mask(len(self.anchors)).astype(np.float32)
        return coverage.of_anchors(sample.mask, self.anchors)

    def _genuine(self, picture: canvas.Canvas, row: int) -> Sample:
        nothing = np.zeros(picture.image.shape[:2], np.float32)
        return Sample(
            image=picture.image,
            label=schema.REAL,
            boxes=np.zeros((0, 4), np.float32),
            mask=nothing,
            landmarks=picture.landmarks,
            outcome="genuine",
            row=row,
        )

    def _jitter(self, draw: Draw) -> augment.Alignment:
        rng = _stream(draw, "align")
        return augment.draw_alignment(rng, self.config.augment, self.spec.scale)

    def _fake(self, seen: _Seen, draw: Draw, jitter: augment.Alignment) -> Sample:
        rng = _stream(draw, "forge")
        mode = swap.draw_mode(rng, self.config.swap)
        if mode == "untouched":
            return self._untouched(seen, mode)
        if draw.partner < 0:
            return self._untouched(seen, "no_partner")
        made = self._swapped(seen, draw.partner, jitter, rng, mode)
        if isinstance(made, Sample):
            return made
        if made == "too_alike":
            for row, beside in self._other_frames(seen.row, _stream(draw, "elsewhere")):
                other = self._swapped(self._look(row, jitter), beside, jitter, rng, mode)
                if isinstance(other, Sample):
                    return dataclasses.replace(other, outcome=f"{mode}_elsewhere")
        return self._untouched(seen, made)

    def _look(self, row: int, jitter: augment.Alignment) -> _Seen:
        record = self.catalog.read(row)
        return _Seen(row, record, canvas.align(record, self.spec, jitter))

    def _untouched(self, seen: _Seen, outcome: str) -> Sample:
        picture = seen.picture
        return Sample(
            image=picture.image,
            label=schema.FAKE,
            boxes=np.array([[0.0, 0.0, 1.0, 1.0]], np.float32),
            mask=canvas.true_mask(seen.record, picture.matrix, self.spec.size),
            landmarks=picture.landmarks,
            outcome=outcome,
            row=seen.row,
            manipulated=picture.image,
        )

    def _swapped(
        self,
        seen: _Seen,
        partner: int,
        jitter: augment.Alignment,
        rng: np.random.Generator,
        mode: swap.Mode,
    ) -> Sample | str:
        """The fake swapped over its pristine frame `partner`, or why it cannot be."""
        settings, picture = self.config.swap, seen.picture
        pristine = self.catalog.read(partner)
        to_fake = _to_frame_of(seen.record, pristine)
        if to_fake is None:
            return "mispaired"
        genuine = canvas.align(pristine, self.spec, from_frame=picture.from_frame @ to_fake)
        forged = self._swap(
            genuine.image,
            genuine.image if settings.null else picture.image,
            np.stack([picture.landmarks, genuine.landmarks]),
            rng,
            mode=mode,
        )
        if forged is None:
            return "too_alike"
        return Sample(
            image=forged.image,
            label=schema.FAKE,
            boxes=forged.boxes,
            mask=forged.mask,
            landmarks=picture.landmarks,
            outcome=mode,
            row=seen.row,
            genuine=genuine.image,
            manipulated=picture.image,
            recipe=forged.recipe,
        )

    def _other_frames(self, row: int, rng: np.random.Generator) -> list[tuple[int, int]]:
        """Other frames of a fake's video in random order, each with its pristine frame."""
        rows = self.catalog.frames_beside(row)
        partners = self.catalog.pristine_of(rows)
        pairs = [(int(r), int(p)) for r, p in zip(rows, partners, strict=True) if p >= 0]
        return [pairs[i] for i in rng.permutation(len(pairs))[: self.other_frames]]

    def _augment(self, sample: Sample, rng: np.random.Generator) -> Sample:
        seen = augment.Labelled(sample.image, sample.boxes, sample.mask, sample.landmarks)
        made = augment.augment(seen, rng, self.config.augment)
        # What the sample was made of is shown beside it, so it faces the same way.
        mirrored = made.landmarks is not sample.landmarks
        turn = _mirrored if mirrored else lambda image: image
        return dataclasses.replace(
            sample,
            **made._asdict(),
            genuine=turn(sample.genuine),
            manipulated=turn(sample.manipulated),
        )


def _stream(draw: Draw, purpose: str) -> np.random.Generator:
    """The draws of one purpose: of each from a stream of its own, so that none shifts another's."""
    return np.random.default_rng((*draw.seed, _PURPOSES.index(purpose)))


def _to_frame_of(fake: schema.Record, pristine: schema.Record) -> np.ndarray | None:
    """Returns the (3, 3) matrix from the pristine frame's pixels to the fake's.

    The two frames may differ in size. None where they are of different pictures.
    """
    height, width = (int(v) for v in pristine.frame_size)
    whole = np.array([0, 0, width, height])
    matrix = schema.crop_matrix(whole, tuple(int(v) for v in fake.frame_size))
    if abs(matrix[0, 0] / matrix[1, 1] - 1.0) > 0.01:
        return None
    landmarks = geometry.transform_points(matrix, pristine.landmarks)
    if geometry.alignment_disagreement(landmarks, fake.landmarks) > MAX_DISAGREEMENT:
        return None
    return matrix


def _mirrored(image: np.ndarray | None) -> np.ndarray | None:
    return None if image is None else cv2.flip(image, 1)
