"""Whether a detector looks where the manipulation is: its maps and boxes against true masks."""

from collections.abc import Sequence
from typing import NamedTuple

import cv2
import numpy as np

from iid_jax import geometry
from iid_jax.data import canvas, schema
from iid_jax.data.catalog import Catalog
from iid_jax.errors import DataError
from iid_jax.forgery import masks
from iid_jax.leakage import figures
from iid_jax.leakage.cam import Maps, compile_maps
from iid_jax.leakage.network import Network
from iid_jax.leakage.section import ALL, Section, mean
from iid_jax.measures import Metric, interval, resample
from iid_jax.progress import Progress

NAME = "cam"
FAKES, SHOWN = 400, 8
IOUS = (0.3, 0.5)
GRAD_CAM, ANCHORS = "Grad-CAM", "local anchors"
UNIFORM, FACE = "uniform map", "map of the face"
HIT, ENERGY = "pointing", "energy_inside"
NO_ADM = "no ADM: the plain classifier has no anchors"
NO_MASKS = "no fake of this split has a true mask"


class Cases(NamedTuple):
    """Fakes with known masks and their pristine frames, one canvas each.

    `images` (N, S, S, 3), `masks` (N, S, S), 0 for a pristine frame, `faces` (N, S, S) the hull of
    the landmarks, `truth` (N, 4) the mask's box, NaN without one, `fake` (N,), `video`, `method`.
    The method of a pristine frame is that of the fake it stands beside.
    """

    images: np.ndarray
    masks: np.ndarray
    faces: np.ndarray
    truth: np.ndarray
    fake: np.ndarray
    video: np.ndarray
    method: np.ndarray
    unreadable: int


def measure(
    networks: Sequence[Network],
    targets: Sequence[tuple[Catalog, str]],
    feature: str,
    count: int = FAKES,
    bootstrap: int = 1000,
    seed: int = 0,
    quiet: bool = False,
) -> Section:
    """Returns how well every detector points at the data sets' own manipulations, by method.

    Pointing: the share of fakes whose map has its peak inside the true mask; energy: the share of
    the map inside it. A map that is 0 everywhere points nowhere: 0 in both. Box average precision
    is over the fakes and their pristine frames, the truth being the box around the true mask.
    """
    section = Section(NAME, details={"feature": feature, "fakes": count})
    shown = {}
    for catalog, split in targets:
        data = f"{catalog.name}:{split}"
        for network in networks:
            found = cases(catalog, split, network, count, seed)
            if not found.fake.any():
                section.add(network.name, data, ALL, HIT, Metric(None, reason=NO_MASKS))
                continue
            section.lose(f"{network.name}, {data}", found.unreadable)
            maps = _all_maps(network, found.images, feature, quiet)
            _add(section, network.name, data, found, maps, (bootstrap, seed))
            _add_baselines(section, data, found, (bootstrap, seed))
            shown.setdefault(data, []).append((network.name, found, maps))
    _draw(section, shown)
    return section


def cases(catalog: Catalog, split: str, network: Network, count: int, seed: int) -> Cases:
    """Returns up to `count` fakes of a split with true masks, methods alike, and their partners."""
    rng = np.random.default_rng([seed, 31])
    methods, rows = catalog.methods(split), []
    fakes = catalog.select(split, label=schema.FAKE)
    for number, name in enumerate(methods):
        share = count * (number + 1) // len(methods) - count * number // len(methods)
        of_method = fakes[catalog.columns["method"][fakes] == name]
        rows += rng.permutation(of_method)[:share].tolist()
    size, made, unreadable = network.spec.size, [], 0
    for row in rows:
        try:
            record = catalog.read(row)
            picture = canvas.align(record, network.spec)
            mask = canvas.true_mask(record, picture.matrix, size)
            partner = int(catalog.pristine_of(np.array([row]))[0])
            pair = [picture]
            if partner >= 0:
                pair.append(canvas.align(catalog.read(partner), network.spec))
        except DataError:
            unreadable += 1
            continue
        box = None if mask is None else masks.tight_box(mask)
        if box is not None:
            videos = [record.video_id, str(catalog.columns["video_id"][partner])]
            truths = (mask, box), (np.zeros_like(mask), np.full(4, np.nan, np.float32))
            made += [_case(p, k, *truths[k], v, record.method) for k, (p, v) in
                     enumerate(zip(pair, videos, strict=False))]  # fmt: skip
    columns = zip(*made, strict=True) if made else [()] * 7
    return Cases(*(np.array(column) for column in columns), unreadable)


def map_scores(values: np.ndarray, truth: np.ndarray) -> tuple[float, float]:
    """Returns (1 where the peak is inside, share of the map inside) of a map and a mask (S, S).

    Of several equal peaks the share of them inside counts.
    """
    total = float(values.sum())
    if not total > 0.0:
        return 0.0, 0.0
    peak = values == values.max()
    return float((truth[peak] >= 0.5).mean()), float((values * truth).sum() / total)


def box_average_precision(
    video: np.ndarray,
    truth: np.ndarray,
    boxes: np.ndarray,
    scores: np.ndarray,
    threshold: float,
    bootstrap: int = 1000,
    seed: int = 0,
) -> Metric:
    """Returns the average precision of boxes (N, K, 4), best first, with scores (N, K), 0 for none.

    A picture has one true box (N, 4) or, NaN, none; its best-scored box with at least the IoU is
    the hit, every other box is false. By steps, as metrics.average_precision; boxes of one score
    are counted together. Intervals are over videos (N,).
    """
    names, cluster = np.unique(video, return_inverse=True)
    present = np.isfinite(truth).all(axis=1)
    truths = np.bincount(cluster, present, len(names))
    if not truths.any():
        return Metric(None, reason="no true boxes")
    hit = _hits(truth, boxes, scores, threshold)
    picture, place = np.nonzero(scores > 0)
    value = scores[picture, place]
    order = np.argsort(-value, kind="stable")
    of, right = cluster[picture[order]], hit[picture, place][order]
    falling = value[order]
    ends = np.flatnonzero(np.r_[falling[1:] != falling[:-1], True]) if len(falling) else []

    def precision(weights: np.ndarray) -> np.ndarray:
        weight = weights[:, of]
        hits = np.cumsum(weight * right, axis=1)[:, ends]
        made = np.cumsum(weight, axis=1)[:, ends]
        share = np.divide(hits, made, out=np.zeros_like(hits, float), where=made > 0)
        found = np.diff(hits, axis=1, prepend=0)
        total = weights @ truths
        return np.divide((found * share).sum(1), total, out=np.zeros(len(total)), where=total > 0)

    point = float(precision(np.ones((1, len(names)), int))[0])
    if len(names) < 2 or not bootstrap:
        reason = "no interval: one video only" if bootstrap else ""
        return Metric(point, n_videos=len(names), reason=reason)
    rng = np.random.default_rng(seed)
    draws = [precision(resample(len(names), 50, rng)) for _ in range(-(-bootstrap // 50))]
    return Metric(point, *interval(draws), len(names))


def _case(picture, number, mask, box, video, method):
    face = np.zeros_like(mask)
    cv2.fillConvexPoly(face, np.rint(geometry.hull(picture.landmarks)).astype(np.int32), 1.0)
    return picture.image, mask, face, box, number == 0, video, method


def _all_maps(network: Network, images: np.ndarray, feature: str, quiet: bool) -> Maps:
    run, size = compile_maps(network, feature), network.batch_size
    progress = Progress(len(images), f"maps of {network.name}", "pictures", quiet)
    parts = []
    for first in range(0, len(images), size):
        chunk = images[first : first + size]
        padded = np.pad(chunk, ((0, size - len(chunk)), (0, 0), (0, 0), (0, 0)))
        parts.append([None if v is None else v[: len(chunk)] for v in run(padded)])
        progress.update(len(chunk))
    progress.close()
    joined = zip(*parts, strict=True)
    return Maps(*(None if v[0] is None else np.concatenate(v) for v in joined))


def _grown(values: np.ndarray, size: int) -> np.ndarray:
    return np.stack([cv2.resize(v, (size, size), interpolation=cv2.INTER_LINEAR) for v in values])


def _groups(found: Cases) -> dict[str, np.ndarray]:
    return {ALL: np.ones(len(found.fake), bool)} | {
        name: found.method == name for name in np.unique(found.method).tolist()
    }


def _add(
    section: Section, name: str, data: str, found: Cases, maps: Maps, drawn: tuple[int, int]
) -> None:
    kinds = {GRAD_CAM: maps.cam, ANCHORS: maps.anchors}
    for kind, values in kinds.items():
        if values is None:
            section.add(f"{name}, {kind}", data, ALL, HIT, Metric(None, reason=NO_ADM))
            continue
        _add_map(section, f"{name}, {kind}", data, found, values, drawn)
    if maps.boxes is None:
        return
    for method, chosen in _groups(found).items():
        columns = found.video[chosen], found.truth[chosen]
        predicted = maps.boxes[chosen], maps.box_scores[chosen]
        for iou in IOUS:
            measured = box_average_precision(*columns, *predicted, iou, *drawn)
            section.add(f"{name}, {ANCHORS}", data, method, f"box_ap_{iou}", measured)


def _add_map(section, name, data, found: Cases, values: np.ndarray, drawn) -> None:
    fakes = np.flatnonzero(found.fake)
    grown = _grown(values[fakes].astype(np.float32), found.masks.shape[1])
    scored = np.array([map_scores(v, m) for v, m in zip(grown, found.masks[fakes], strict=True)])
    blank = int((values[fakes].max(axis=(1, 2)) <= 0).sum())
    if blank:
        section.notes.append(f"{name}, {data}: {blank} of {len(fakes)} maps are 0 everywhere.")
    for method, chosen in _groups(found).items():
        here = chosen[fakes]
        for metric, column in ((HIT, 0), (ENERGY, 1)):
            video = found.video[fakes][here]
            section.add(name, data, method, metric, mean(video, scored[here, column], *drawn))


def _add_baselines(section: Section, data: str, found: Cases, drawn: tuple[int, int]) -> None:
    """What maps without any detector get; once for each data set."""
    if any((r["detector"], r["data"]) == (UNIFORM, data) for r in section.rows):
        return
    for name, values in ((UNIFORM, np.ones_like(found.faces)), (FACE, found.faces)):
        _add_map(section, name, data, found, values, drawn)


def _hits(truth: np.ndarray, boxes: np.ndarray, scores: np.ndarray, threshold: float) -> np.ndarray:
    """Bool (N, K): the first box of each picture that overlaps its true one by the threshold."""
    from iid_jax.boxes import iou

    overlap = np.asarray(iou(np.nan_to_num(truth)[:, None].astype(np.float32), boxes))[:, 0]
    enough = (overlap >= threshold) & (scores > 0) & np.isfinite(truth).all(axis=1)[:, None]
    return enough & (np.cumsum(enough, axis=1) == 1)


def _draw(section: Section, shown: dict[str, list]) -> None:
    for number, (data, detectors) in enumerate(shown.items()):
        first = detectors[0][1]
        fakes = np.flatnonzero(first.fake)
        picked = fakes[np.linspace(0, len(fakes) - 1, min(SHOWN, len(fakes))).astype(int)]
        rows = []
        for place in picked:
            size, maps = first.masks.shape[1], {}
            for name, _, found in detectors:
                maps[f"{name}\n{GRAD_CAM}"] = _grown(found.cam[place][None], size)[0]
                if found.anchors is not None:
                    maps[f"{name}\n{ANCHORS}"] = _grown(found.anchors[place][None], size)[0]
            rows.append((str(first.method[place]), first.images[place], first.masks[place], maps))
        caption = f"{data}: where the detectors look; green: the true area; chosen evenly"
        section.figures[f"cam-{number}"] = figures.overlays(rows), caption
    values = {HIT: "peak inside the mask", ENERGY: "share inside the mask"}
    panels = {title: {} for title in values.values()}
    for row in section.rows:
        if row["metric"] in values and row["value"] is not None and len(shown) == 1:
            series = panels[values[row["metric"]]].setdefault(row["detector"], {})
            series[row["method"]] = row["value"], row["lo"], row["hi"]
    if any(panels.values()):
        section.figures["cam-methods"] = figures.grouped(panels), "By manipulation"
