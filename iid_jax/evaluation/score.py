"""Scoring: every record asked for goes through the detector once, and none is left out."""

import collections
import concurrent.futures
import dataclasses
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from iid_jax.data import pipeline
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.evaluation.table import COLUMNS, OK, ScoreTable, as_stored, sigmoid
from iid_jax.progress import Progress

NOT_FINITE = "not_finite"
CANDIDATES, KEPT_BOXES = 100, 20
# Batches made on the host while the device looks at one.
AHEAD = 2


class Detections(NamedTuple):
    """What a detector says of a batch of canvases, as NumPy arrays.

    `logits` float32 (B, 2) of real and fake; `boxes` (B, K, 4) in 0..1 of the canvas and their
    `box_scores` (B, K), best first, 0 where there is no box; K is 0 without the ADM.
    """

    logits: np.ndarray
    boxes: np.ndarray
    box_scores: np.ndarray


@dataclasses.dataclass(frozen=True)
class Scored:
    """A table with what no scores file holds, in the table's order.

    `rows` (N,) are row numbers of the catalog, `matrices` (N, 3, 3) take pixels of the stored
    crop to the canvas, `boxes` (N, K, 4) and `box_scores` (N, K) are as in `Detections`.
    """

    table: ScoreTable
    rows: np.ndarray
    matrices: np.ndarray
    boxes: np.ndarray
    box_scores: np.ndarray


class DetectorFunction:
    """A detector compiled once for a batch size and spread over this process's devices.

    `module` is a Linen module whose `apply` returns `models.detector.Outputs`, `spec` its
    InputSpec, `anchors` (A, 4) those of its ADM or None.
    """

    def __init__(self, module: Any, spec: Any, anchors: np.ndarray | None):
        import jax
        from jax.sharding import AxisType, Mesh, NamedSharding, PartitionSpec

        from iid_jax.models.xla import compiler_options

        devices = jax.local_devices()
        mesh = Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
        self._count = len(devices)
        self._split = NamedSharding(mesh, PartitionSpec("data"))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._apply = jax.jit(
            _forward(module, spec, anchors),
            out_shardings=self._split,
            compiler_options=compiler_options(),
        )

    def bind(self, variables: Mapping[str, Any]) -> Callable[[np.ndarray], Detections]:
        """Returns the function from images uint8 (B, S, S, 3) to Detections, with these weights."""
        import jax

        placed = jax.device_put(dict(variables), self._everywhere)

        def detect(images: np.ndarray) -> Detections:
            missing = -len(images) % self._count
            padded = np.pad(images, ((0, missing), (0, 0), (0, 0), (0, 0)))
            found = self._apply(placed, jax.device_put(padded, self._split))
            return Detections(*(np.asarray(value)[: len(images)] for value in found))

        return detect


def _forward(module: Any, spec: Any, anchors: np.ndarray | None) -> Callable[..., Detections]:
    import jax
    import jax.numpy as jnp

    from iid_jax import boxes

    def one(deltas, box_logits):
        found = boxes.detections(deltas, box_logits, anchors, top_k=CANDIDATES)
        kept = found.boxes[:KEPT_BOXES], jnp.where(found.valid, found.scores, 0.0)[:KEPT_BOXES]
        return tuple(value.astype(jnp.float32) for value in kept)

    def forward(variables, images):
        outputs = module.apply(variables, spec.normalise(images))
        logits = outputs.logits.astype(jnp.float32)
        if anchors is None:
            nothing = jnp.zeros((len(images), 0, 4), jnp.float32)
            return Detections(logits, nothing, nothing[..., 0])
        return Detections(logits, *jax.vmap(one)(outputs.deltas, outputs.box_logits))

    return forward


class Worker:
    """The thread that looks at batches while the next ones are made; it knows how long it waited.

    Attributes `busy` and `waited`, seconds, are without the first batch, which is compiled for.
    """

    def __init__(self, detect: Callable[[np.ndarray], Detections]):
        self._detect = detect
        self._batches, self._end = 0, 0.0
        self.busy = self.waited = self.first = 0.0

    def over(
        self, batches: Iterable[dict[str, Any]]
    ) -> Iterator[tuple[dict[str, Any], Detections]]:
        """Yields every batch with what was detected in its `image`, in order."""
        waiting: collections.deque = collections.deque()
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            for batch in batches:
                waiting.append((batch, pool.submit(self._look, batch.pop("image"))))
                if len(waiting) > AHEAD:
                    seen, found = waiting.popleft()
                    yield seen, found.result()
            for seen, found in waiting:
                yield seen, found.result()

    def speed(self, images: int) -> str:
        """Returns what to say of the speed for so many images in all."""
        if self._batches < 2:
            return f"{images} images in {self.first:.2f} s with compilation"
        spent = self.busy + self.waited
        rate = images * (self._batches - 1) / self._batches / max(spent, 1e-9)
        share = 100.0 * self.waited / max(spent, 1e-9)
        return f"{rate:.0f} images/s, the device waited for {share:.0f} % of the time"

    def _look(self, images: np.ndarray) -> Detections:
        start = time.monotonic()
        found = self._detect(images)
        took = time.monotonic() - start
        if self._batches:
            self.busy += took
            self.waited += start - self._end
        else:
            self.first = took
        self._batches += 1
        self._end = start + took
        return found


def score(
    detect: Callable[[np.ndarray], Detections],
    catalog: Catalog,
    rows: Sequence[int] | np.ndarray,
    spec: CanvasSpec,
    batch_size: int,
    quiet: bool = False,
    label: str = "score",
) -> Scored:
    """Returns the scores of the catalog's rows, each scored once, in the order of a scores file.

    The logit is logits[fake] - logits[real], the score its sigmoid, both as the file holds them
    (9 significant digits). A record that cannot be decoded is `unreadable`, one whose logits are
    not finite `not_finite`; neither has a score.
    """
    rows = np.asarray(rows, np.int64)
    progress = Progress(len(rows), label, "records", quiet=quiet)
    logits, parts = [], {"status": [], "matrices": [], "boxes": [], "box_scores": []}
    worker = Worker(detect)
    for batch, found in worker.over(pipeline.eval_batches(catalog, rows, spec, batch_size)):
        present = batch["record"] >= 0
        logits.append(found.logits[present])
        parts["status"].append(np.array(batch["status"], object)[present])
        parts["matrices"].append(batch["matrix"][present])
        parts["boxes"].append(found.boxes[present])
        parts["box_scores"].append(found.box_scores[present])
        progress.update(int(present.sum()))
    progress.close()
    if not len(rows):
        raise DataError(f"{catalog.name}: there are no records to score")
    if not quiet:
        progress.say(f"{label}: {worker.speed(len(rows))}")
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    table, order = _table(catalog, rows, np.concatenate(logits), joined.pop("status"))
    failed = ~table.scored
    arranged = {name: values[order] for name, values in joined.items()}
    arranged["box_scores"][failed] = 0.0
    return Scored(table, rows[order], **arranged)


def detect_all(
    detect: Callable[[np.ndarray], Detections], images: np.ndarray, batch_size: int
) -> Detections:
    """Returns the Detections of images (N, S, S, 3), looked at in batches of one size."""
    parts = []
    for start in range(0, len(images), batch_size):
        chunk = images[start : start + batch_size]
        missing = batch_size - len(chunk)
        seen = detect(np.pad(chunk, ((0, missing), (0, 0), (0, 0), (0, 0))))
        parts.append([value[: len(chunk)] for value in seen])
    return Detections(*(np.concatenate(values) for values in zip(*parts, strict=True)))


def _table(
    catalog: Catalog, rows: np.ndarray, logits: np.ndarray, status: np.ndarray
) -> tuple[ScoreTable, np.ndarray]:
    """The table and the order in which it holds the rows."""
    finite = np.isfinite(logits).all(axis=1)
    status = np.where((status == OK) & ~finite, NOT_FINITE, status).astype(str)
    logit = np.full(len(rows), np.nan)
    good = status == OK
    logit[good] = logits[good, 1].astype(np.float64) - logits[good, 0]
    columns = {name: catalog.columns[name][rows] for name in COLUMNS if name in catalog.columns}
    columns |= {
        "record": np.array([catalog.record_id(row) for row in rows]),
        "data": np.full(len(rows), catalog.name),
        "score": as_stored(sigmoid(logit)),
        "logit": as_stored(logit),
        "status": status,
    }
    order = np.argsort(columns["record"], kind="stable")
    return ScoreTable({name: columns[name][order] for name in COLUMNS}), order
