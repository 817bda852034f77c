"""Scoring: every record once through the detector, and the table of scores as a CSV file.

The table holds every record asked for. One without a score has a status that says why.
"""

import csv
import dataclasses
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from iid_jax.data import pipeline
from iid_jax.data.canvas import CanvasSpec
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.progress import Progress

COLUMNS = (
    "record",
    "data",
    "split",
    "video_id",
    "frame",
    "face",
    "method",
    "identity",
    "source_identity",
    "label",
    "score",
    "logit",
    "status",
)
WHOLE_NUMBERS, FRACTIONS = ("frame", "face", "label"), ("score", "logit")
OK, UNREADABLE, NOT_FINITE = "ok", "unreadable", "not_finite"
CANDIDATES, KEPT_BOXES = 100, 20


class Detections(NamedTuple):
    """What a detector says of a batch of canvases, as NumPy arrays.

    `logits` float32 (B, 2) of real and fake; `boxes` (B, K, 4) in 0..1 of the canvas and their
    `box_scores` (B, K), best first, 0 where there is no box; K is 0 without the ADM.
    """

    logits: np.ndarray
    boxes: np.ndarray
    box_scores: np.ndarray


@dataclasses.dataclass(frozen=True)
class ScoreTable:
    """The columns of a scores file (`COLUMNS`), sorted by record; NaN where there is no score."""

    columns: dict[str, np.ndarray]

    def __len__(self) -> int:
        return len(self.columns["record"])

    def __getitem__(self, column: str) -> np.ndarray:
        return self.columns[column]

    @property
    def scored(self) -> np.ndarray:
        """Bool (N,): which records have a score."""
        return self.columns["status"] == OK

    def take(self, chosen: np.ndarray) -> "ScoreTable":
        """Returns the rows chosen by a mask or by indices."""
        return ScoreTable({name: values[chosen] for name, values in self.columns.items()})

    def failures(self) -> dict[str, int]:
        """Returns how many records have which status, those with a score left out."""
        names, counts = np.unique(self.columns["status"][~self.scored], return_counts=True)
        return dict(zip(names.tolist(), counts.tolist(), strict=True))


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

        devices = jax.local_devices()
        mesh = Mesh(np.array(devices), ("data",), axis_types=(AxisType.Auto,))
        self._count = len(devices)
        self._split = NamedSharding(mesh, PartitionSpec("data"))
        self._everywhere = NamedSharding(mesh, PartitionSpec())
        self._apply = jax.jit(_forward(module, spec, anchors), out_shardings=self._split)

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
    for batch in pipeline.eval_batches(catalog, rows, spec, batch_size):
        present = batch["record"] >= 0
        found = detect(batch["image"])
        logits.append(found.logits[present])
        parts["status"].append(np.array(batch["status"], object)[present])
        parts["matrices"].append(batch["matrix"][present])
        parts["boxes"].append(found.boxes[present])
        parts["box_scores"].append(found.box_scores[present])
        progress.update(int(present.sum()))
    progress.close()
    if not len(rows):
        raise DataError(f"{catalog.name}: there are no records to score")
    joined = {name: np.concatenate(values) for name, values in parts.items()}
    table, order = _table(catalog, rows, np.concatenate(logits), joined.pop("status"))
    failed = ~table.scored
    arranged = {name: values[order] for name, values in joined.items()}
    arranged["box_scores"][failed] = 0.0
    return Scored(table, rows[order], **arranged)


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


def sigmoid(logit: np.ndarray) -> np.ndarray:
    """Returns 1 / (1 + exp(-logit)) without overflow."""
    small = np.exp(-np.abs(logit))
    return np.where(logit >= 0, 1.0, small) / (1.0 + small)


def as_stored(values: np.ndarray) -> np.ndarray:
    """Returns the values at the precision of a scores file, 9 significant digits."""
    return np.array([float(f"{value:.9g}") for value in values], np.float64)


def file_name(data: str, split: str) -> str:
    """Returns the name of the scores file of a data set `name/config` and a split."""
    return f"{data.replace('/', '.')}.{split}.csv"


def write_csv(path: Path, table: ScoreTable) -> None:
    """Writes a scores file (UTF-8, sorted by record), whole or not at all.

    Raises:
      DataError: the file cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        with temporary.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(zip(*(_texts(name, table[name]) for name in COLUMNS), strict=True))
        temporary.replace(path)
    except OSError as error:
        raise DataError(f"cannot write {path}: {error.strerror}; choose another --out") from error


def _texts(name: str, values: np.ndarray) -> list[Any]:
    if name in FRACTIONS:
        return ["" if np.isnan(value) else f"{value:.9g}" for value in values]
    return values.tolist()


def read_csv(path: str | os.PathLike) -> ScoreTable:
    """Returns the table of a scores file.

    Raises:
      DataError: it is not there, not a scores file, or holds a value that cannot be one.
    """
    try:
        with Path(path).open(newline="", encoding="utf-8") as file:
            header, *lines = [*csv.reader(file)] or [[]]
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(f"cannot read {path}: {error}; give a file of a run's scores/") from error
    if tuple(header) != COLUMNS:
        raise DataError(
            f"{path} is not a scores file: its first line must be {','.join(COLUMNS)}, "
            f"got {','.join(header)[:80]!r}"
        )
    if not lines or any(len(line) != len(COLUMNS) for line in lines):
        raise DataError(f"{path} is damaged: every line needs {len(COLUMNS)} values; score again")
    texts = dict(zip(COLUMNS, map(list, zip(*lines, strict=True)), strict=True))
    try:
        table = ScoreTable({name: _parsed(name, values) for name, values in texts.items()})
    except ValueError as error:
        raise DataError(f"{path} is damaged: {error}; score again") from error
    _check(path, table)
    return table


def _parsed(name: str, values: list[str]) -> np.ndarray:
    if name in WHOLE_NUMBERS:
        return np.array([int(value) for value in values], np.int32)
    if name in FRACTIONS:
        return np.array([float(value) if value else np.nan for value in values], np.float64)
    return np.array(values)


def _check(path: str | os.PathLike, table: ScoreTable) -> None:
    if not np.isin(table["label"], (0, 1)).all():
        raise DataError(f"{path} is damaged: a label must be 0 (real) or 1 (fake)")
    if len(np.unique(table["record"])) != len(table):
        raise DataError(f"{path} is damaged: a record appears twice")
    inside = (table["score"] >= 0) & (table["score"] <= 1)
    if (inside != table.scored).any():
        raise DataError(f"{path} is damaged: a score of 0 to 1 goes with status ok and no other")
