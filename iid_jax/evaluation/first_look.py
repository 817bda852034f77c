"""A first look at a detector: held-out fakes beside their genuine partners, and what it says."""

import dataclasses
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol

import numpy as np

from iid_jax import box_metrics, plots
from iid_jax.config import Config
from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError, nearest
from iid_jax.evaluation import command_lines, examples, localisation, summary
from iid_jax.evaluation.score import DetectorFunction, Scored, score

MIDDLE = 0.5
# A text that does not begin like this was written by somebody, and is not overwritten.
MADE = "<!-- Made by `python -m iid_jax.main show`: what is changed here is lost. -->"
RULE = (
    "each manipulation gives one pair in turn: at random one of the fakes whose target, and of "
    "these whose donor, was shown least often before, with the genuine frame it was made from. "
    "Scores play no part in it."
)
READING = (
    "A pair is a genuine picture, left, and the fake made from it, right, as the detector gets "
    "them: turned upright and cropped. The number above a picture is P(fake), the detector's "
    "score of the whole picture; *false alarm* and *missed* mark those on the wrong side of 0.5. "
    "Green is the truth: the outline of the manipulated area and, dashed, the box around it. "
)
WITH_BOXES = (
    "Red boxes are where the detector says that an artifact is: those of its three local scales, "
    "after non-maximum suppression; the best one is bold and has its score. A good detector has "
    "red boxes on the green area of the fakes, and few on the genuine pictures."
)
WITHOUT_BOXES = "This detector is a plain classifier: it says nothing about where."


class Loaded(Protocol):
    """A detector as `checkpoint.load_detector` returns it."""

    module: Any
    variables: Mapping[str, Any]
    input_spec: Any
    anchors: np.ndarray | None
    config: Config
    step: int


class Look(NamedTuple):
    """What a detector says of pairs of a genuine picture and its fake; places 2i and 2i + 1.

    `found` (N, 3): how many true boxes were found, how many there are, and how many predicted
    boxes are false; `by_best` (N,): how many were found by the best box alone. `operating` is None
    without a threshold chosen for it.
    """

    scored: Scored
    pictures: list[plots.Picture]
    found: np.ndarray
    by_best: np.ndarray
    operating: localisation.Operating | None

    @property
    def pairs(self) -> dict[str, list[plots.Pair]]:
        """The pairs by the name of the manipulation."""
        by_method: dict[str, list[plots.Pair]] = {}
        for place in range(0, len(self.pictures), 2):
            pair = plots.Pair(*self.pictures[place : place + 2])
            by_method.setdefault(str(self.scored.table["method"][place + 1]), []).append(pair)
        return by_method


def look(
    detector: Loaded,
    catalog: Catalog,
    split: str,
    home: Catalog | None,
    count: int,
    seed: int,
    quiet: bool = False,
) -> Look:
    """Scores `count` pictures, half of them genuine, that `examples.choose_pairs` chooses.

    The threshold of the boxes is chosen on the validation split of `home`, else of `catalog`.

    Raises:
      DataError: no such split, no pairs in it, or a chosen record that cannot be scored.
    """
    splits = sorted(set(catalog.columns["split"].tolist()))
    if split not in splits:
        raise DataError(f"{catalog.name} has no split {split!r}{nearest(split, splits)}")
    rows = examples.choose_pairs(catalog, split, count // 2, seed).ravel()
    function = DetectorFunction(detector.module, detector.input_spec, detector.anchors)
    detect, spec = function.bind(detector.variables), detector.input_spec
    size = detector.config.eval.batch_size
    scored = score(detect, catalog, np.unique(rows), spec, size, quiet, "score pictures")
    scored = _in_order(scored, rows)
    operating = None
    if detector.anchors is not None:
        operating = localisation.choose_threshold(detect, home or catalog, spec, size, quiet)
    truths = localisation.truth_boxes(scored, catalog, spec.size)
    shown = localisation.predicted(scored.boxes, scored.box_scores, examples.threshold(operating))
    pictures = [
        examples.picture(scored, place, catalog, spec, operating)._replace(
            title=_title(scored, place), truth=truths[place]
        )
        for place in range(len(rows))
    ]
    found = np.stack(box_metrics.match_boxes(truths[:, None], shown), axis=1)
    # Many boxes make a hit easy.
    by_best, _, _ = box_metrics.match_boxes(truths[:, None], shown[:, :1])
    return Look(scored, pictures, found, by_best, operating)


def sheet(seen: Look, detector: Loaded) -> Any:
    """Returns the figure of a look."""
    local = detector.anchors is not None
    note = "Left: genuine. Right: the fake made from it. Above: P(fake) of the whole picture."
    if local:
        note += f" Boxes are shown from a score of {examples.threshold(seen.operating):.2f}."
    return plots.pair_sheet(seen.pairs, [note], predicted=local)


def text(
    seen: Look,
    detector: Loaded,
    catalog: Catalog,
    seed: int,
    image: str,
    command: str,
    trained_by: str | None,
) -> str:
    """Returns the page, in Markdown, that explains the picture `image` and counts what is on it."""
    local, split = detector.anchors is not None, str(seen.scored.table["split"][0])
    reading = READING + (WITH_BOXES if local else WITHOUT_BOXES)
    origin = (
        f"trained by `{command_lines.shareable(trained_by)}`" if trained_by else "training unknown"
    )
    facts = (
        f"* The command: `{command_lines.shareable(command)}`",
        f"* The detector: {origin}, step {detector.step}, seed {detector.config.seed}, "
        f"configuration {summary.config_sha256(detector.config)[:16]}",
        f"* The data: split `{split}` of `{catalog.name}`, fingerprint {catalog.fingerprint[:16]}",
        f"* The choice, with seed {seed}: {RULE}",
        *([f"* The threshold: {_threshold(seen)}"] if local else []),
    )
    title = f"# A first look: {len(seen.pictures)} pictures of the {split} split"
    alt = "Pairs of a genuine picture and its fake with true and predicted boxes"
    parts = (MADE, title, f"![{alt}]({image})", reading, "\n".join(facts), _counts(seen, local))
    return "\n\n".join((*parts, "\n".join(_table(seen, local)))) + "\n"


def _in_order(scored: Scored, rows: np.ndarray) -> Scored:
    """The scored records in the order of `rows`, each as often as it stands there."""
    bad = np.flatnonzero(~scored.table.scored)
    if len(bad):
        table = scored.table
        raise DataError(
            f"record {table['record'][bad[0]]} cannot be shown: {table['status'][bad[0]]}; "
            "make the data set again or take another --seed"
        )
    place = {row: i for i, row in enumerate(scored.rows.tolist())}
    order = np.array([place[row] for row in rows.tolist()])
    arrays = ("rows", "matrices", "boxes", "box_scores")
    arranged = {name: getattr(scored, name)[order] for name in arrays}
    return dataclasses.replace(scored, table=scored.table.take(order), **arranged)


def _title(scored: Scored, place: int) -> str:
    value, label = scored.table["score"][place], scored.table["label"][place]
    if label == schema.REAL:
        return f"genuine: {value:.2f}" + (", false alarm" if value >= MIDDLE else "")
    return f"fake: {value:.2f}" + (", missed" if value < MIDDLE else "")


def _threshold(seen: Look) -> str:
    if seen.operating is None:
        return (
            f"boxes count from a score of {examples.threshold(None)}, there being no genuine "
            "validation pictures to choose it on."
        )
    return (
        f"boxes count from a score of {seen.operating.threshold:.3f}, chosen on the genuine "
        f"validation pictures of `{seen.operating.data}` to leave "
        f"{localisation.ALLOWED_FALSE_BOXES} boxes per picture."
    )


def _counts(seen: Look, local: bool) -> str:
    fake, value = seen.scored.table["label"] == schema.FAKE, seen.scored.table["score"]
    line = (
        f"Of {fake.sum()} fakes {(value[fake] >= MIDDLE).sum()} have P(fake) of at least {MIDDLE}, "
        f"of {(~fake).sum()} genuine pictures {(value[~fake] >= MIDDLE).sum()}."
    )
    if not local:
        return line
    found, true, more = seen.found[fake].sum(axis=0)
    false = seen.found[~fake, 2].sum()
    return line + (
        f" A predicted box meets the true one (IoU of at least {box_metrics.MATCH_IOU}) on {found} "
        f"of {true} fakes, the best box alone on {seen.by_best.sum()}. Further boxes: {more} on "
        f"the fakes, {false} on the genuine pictures. So few pictures are for looking at; the "
        "numbers are in the report."
    )


def _table(seen: Look, local: bool) -> list[str]:
    """A row for each pair, in the order of the picture."""
    columns = ["manipulation", "genuine", "P(fake)", "fake", "P(fake)"]
    if local:
        columns += ["true box found", "other boxes", "boxes on the genuine"]
    lines = [f"| {' | '.join(columns)} |", "|---" * len(columns) + "|"]
    table = seen.scored.table
    for genuine in range(0, len(seen.pictures), 2):
        fake = genuine + 1
        cells = [str(table["method"][fake])]
        for place in (genuine, fake):
            name = str(table["record"][place]).partition(":")[2]
            cells += [f"`{name}`", f"{table['score'][place]:.3f}"]
        if local:
            found, true, other = seen.found[fake].tolist()
            hit = "by the best" if seen.by_best[fake] else "by another" if found else "no"
            hit = hit if true else "unknown"
            cells += [hit, str(other), str(seen.found[genuine, 2])]
        lines.append(f"| {' | '.join(cells)} |")
    return lines
