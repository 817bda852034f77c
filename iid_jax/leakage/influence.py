"""The influence of identity on the verdict: the interaction of the face's cells, over pictures."""

import hashlib
import json
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from iid_jax import metrics
from iid_jax.data import canvas, schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.leakage import figures
from iid_jax.leakage.interaction import (
    Contexts,
    Interaction,
    coalitions,
    contexts_outside,
    draw,
    interaction,
    split_half,
)
from iid_jax.leakage.masked import CELLS, GRID, Baseline, MaskedScores, baseline, face_cells
from iid_jax.leakage.network import Network
from iid_jax.leakage.section import ALL, Section, mean
from iid_jax.leakage.store import Store
from iid_jax.measures import Metric
from iid_jax.progress import Progress

NAME = "influence"
# Below this correlation of two halves of the contexts, I is mostly the draw of the contexts.
RELIABLE = 0.8
CONTEXTS, IMAGES = 16, 200
AUC, RELIABILITY, ERROR = "influence_auc", "split_half", "standard_error"
GENUINE, FAKE = "interaction_genuine", "interaction_fake"
CONSTANT = "I is the same for all pictures, or 0 to within rounding"
# Of the largest phi([S]); float32 sums of some twenty cells are good to a few parts in 100,000.
ROUNDING = 1e-4


class Influences(NamedTuple):
    """I([S]) of N pictures: `rows` of the catalog, `value`, `error` (N,), `halves` (N, 2).

    `coalition` (N,) is phi([S] | N_[S]), `players` (N, 49) are the single cells' Shapley values,
    NaN outside the face.
    """

    rows: np.ndarray
    value: np.ndarray
    error: np.ndarray
    coalition: np.ndarray
    halves: np.ndarray
    players: np.ndarray


class Plan(NamedTuple):
    """How influence is measured: pictures of each data set, contexts of each picture."""

    images: int = IMAGES
    contexts: int = CONTEXTS
    baselines: tuple[Baseline, ...] = ("mean", "blur")
    bootstrap: int = 1000
    seed: int = 0


def measure(
    networks: Sequence[Network],
    targets: Sequence[tuple[Catalog, str]],
    plan: Plan,
    folder: Path,
    quiet: bool = False,
) -> Section:
    """Returns the influence of every detector on every data set, for every baseline.

    What has been computed lies in `folder`; the same call goes on from there.
    """
    section = Section(NAME, details={"contexts": plan.contexts, "images": plan.images})
    cells = []
    for network in networks:
        scores = MaskedScores(network)
        for catalog, split in targets:
            rows = choose(catalog, split, plan.images, plan.seed)
            for kind in plan.baselines:
                found = influences(network, scores, catalog, rows, plan, kind, folder, quiet)
                name, data = f"{network.name}, {kind}", f"{catalog.name}:{split}"
                section.lose(f"{name}, {data}", len(rows) - len(found.rows))
                _add(section, name, data, catalog, found, plan)
                picture = canvas.align(catalog.read(found.rows[0]), network.spec).image
                cells.append((f"{name}\n{data}", picture, _mean_cells(found)))
    section.notes.append(
        f"{plan.images} pictures at most of each data set, half genuine; {plan.contexts} "
        f"antithetic contexts for each, the same draws for all. The AUC is of I as a score of "
        f"fake; it is left out where two halves of the contexts correlate below {RELIABLE}."
    )
    _draw(section, cells)
    return section


def choose(catalog: Catalog, split: str, count: int, seed: int) -> np.ndarray:
    """Returns up to `count` rows, half genuine, half fake with every manipulation alike; seeded."""
    rng = np.random.default_rng([seed, 49])
    genuine = catalog.select(split, label=schema.REAL)
    methods = catalog.methods(split)
    chosen = [rng.permutation(genuine)[: count // 2]]
    for number, method in enumerate(methods):
        share = count // 2 * (number + 1) // len(methods) - count // 2 * number // len(methods)
        rows = catalog.select(split, label=schema.FAKE)
        rows = rows[catalog.columns["method"][rows] == method]
        chosen.append(rng.permutation(rows)[:share])
    rows = np.sort(np.concatenate(chosen)).astype(np.int64)
    if not len(rows):
        raise DataError(f"{catalog.name}: split {split} has no records")
    return rows


def influences(
    network: Network,
    scores: Callable[..., np.ndarray],
    catalog: Catalog,
    rows: np.ndarray,
    plan: Plan,
    kind: Baseline,
    folder: Path,
    quiet: bool = False,
) -> Influences:
    """Returns the influences of the rows; those already in `folder` are not computed again."""
    drawn = draw(plan.contexts, CELLS, np.random.default_rng([plan.seed, plan.contexts]))
    records = [catalog.record_id(row) + catalog.columns["sha256"][row] for row in rows]
    about = [network.fingerprint(), records, plan.contexts, plan.seed, kind, GRID]
    key = hashlib.sha256(json.dumps(about).encode()).hexdigest()[:16]
    store = Store(folder / f"{NAME}-{key}.npz", len(rows))
    label = f"influence of {network.name} on {catalog.name}, {kind}"
    progress = Progress(len(rows), label, "pictures", quiet, done=store.done)
    passes, began = 0, time.monotonic()
    try:
        for place in range(store.done, len(rows)):
            found, count = _one(catalog, rows[place], network, scores, drawn, kind)
            store.add(**{name: getattr(found, name) for name in Influences._fields[1:]})
            passes += count
            progress.update(passes_per_s=passes / (time.monotonic() - began))
    finally:
        store.save()
        progress.close()
    columns = store.finish()
    read = np.isfinite(columns["value"])
    if not read.any():
        raise DataError(f"{catalog.name}: none of {len(rows)} pictures can be used")
    kept = [columns[name][read] for name in Influences._fields[1:]]
    return Influences(rows[read], *kept)


def _one(
    catalog: Catalog,
    row: int,
    network: Network,
    scores: Callable[..., np.ndarray],
    drawn: Contexts,
    kind: Baseline,
) -> tuple[Interaction, int]:
    """The interaction of one picture and how often it was passed; NaN for an unreadable one."""
    try:
        picture = canvas.align(catalog.read(row), network.spec)
    except DataError:
        nothing = np.full(CELLS, np.nan)
        return Interaction(np.nan, np.nan, np.nan, nothing, nothing[:2]), 0
    inside = face_cells(picture.landmarks, network.spec.size)
    sets = coalitions(contexts_outside(drawn, inside), inside)
    absent = baseline(picture.image, inside, kind)
    values = scores(picture.image, absent, sets.reshape(-1, CELLS)).reshape(sets.shape[:2])
    return interaction(values, inside), values.size


def _add(
    section: Section, detector: str, data: str, catalog: Catalog, found: Influences, plan: Plan
) -> None:
    label = catalog.columns["label"][found.rows]
    video = catalog.columns["video_id"][found.rows]
    count = len(np.unique(video))
    reliability = _reliability(found, count)
    section.add(detector, data, ALL, RELIABILITY, reliability)
    if reliability.value is None:
        auc = reliability
    elif reliability.value < RELIABLE:
        reason = (
            f"split-half correlation {reliability.value:.2f}, below {RELIABLE}: more --contexts"
        )
        auc = Metric(None, n_videos=count, reason=reason)
    else:
        columns = video, label, found.value
        person = catalog.columns["identity"][found.rows]
        auc = metrics.evaluate_scores(
            *columns, ("frame_auc",), plan.bootstrap, plan.seed, identity=person
        )["frame_auc"]
    section.add(detector, data, ALL, AUC, auc)
    for name, side in ((GENUINE, schema.REAL), (FAKE, schema.FAKE)):
        chosen = label == side
        values = mean(video[chosen], found.value[chosen], plan.bootstrap, plan.seed)
        section.add(detector, data, ALL, name, values)
    section.add(detector, data, ALL, ERROR, Metric(float(found.error.mean()), n_videos=count))


def _reliability(found: Influences, count: int) -> Metric:
    """The correlation of the halves; none where I is nothing but rounding."""
    if np.ptp(found.value) <= ROUNDING * np.abs(found.coalition).max():
        return Metric(None, n_videos=count, reason=CONSTANT)
    correlation = split_half(found.halves)
    if not np.isfinite(correlation):
        return Metric(None, n_videos=count, reason="fewer than 3 pictures")
    return Metric(correlation, n_videos=count)


def _mean_cells(found: Influences) -> np.ndarray:
    """The mean over pictures (7, 7) of each cell's value, NaN where no face has that cell."""
    present = np.isfinite(found.players)
    count = present.sum(axis=0)
    total = np.where(present, found.players, 0.0).sum(axis=0)
    cells = np.divide(total, count, out=np.full(CELLS, np.nan), where=count > 0)
    return cells.reshape(GRID, GRID)


def _draw(section: Section, cells: list) -> None:
    names = {GENUINE: "genuine", FAKE: "fake"}
    panels = {}
    for row in section.rows:
        if row["metric"] in names and row["value"] is not None:
            series = panels.setdefault(row["detector"], {}).setdefault(names[row["metric"]], {})
            series[row["data"]] = row["value"], row["lo"], row["hi"]
    caption = "I([S]) of the face's cells, mean over pictures; above 0: they act as one"
    section.figures["influence"] = figures.grouped(panels, reference=0.0), caption
    caption = (
        "Shapley value of each cell of the face alone, mean over pictures, over one of them; "
        "red: towards fake"
    )
    section.figures["influence-cells"] = figures.heat(cells), caption
