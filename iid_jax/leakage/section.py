"""A measurement as it is stored and shown: rows of numbers, notes and pictures; and its file.

The results.json of a folder holds the newest measurement of every kind; a measurement that is
made again takes the place of the old one, the others stay.
"""

import dataclasses
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from iid_jax.errors import DataError
from iid_jax.measures import Metric, interval, resample

if TYPE_CHECKING:
    from matplotlib.figure import Figure

SCHEMA = 1
RESULTS, PAGE = "results.json", "leakage.html"
ALL = "all"
# How a measurement was made, and what was found.
ABOUT = {"command", "commit", "seed", "versions", "hardware", "data", "detectors"}
KEYS = ABOUT | {"results", "notes", "figures", "details"}

Row = dict[str, Any]


@dataclasses.dataclass
class Section:
    """One measurement: its `rows`, `notes` in words, `figures` name -> (figure, caption).

    `details` is anything else worth keeping, as JSON holds it; `unreadable` counts pictures that
    could not be used.
    """

    name: str
    rows: list[Row] = dataclasses.field(default_factory=list)
    notes: list[str] = dataclasses.field(default_factory=list)
    figures: dict[str, tuple["Figure", str]] = dataclasses.field(default_factory=dict)
    details: dict[str, Any] = dataclasses.field(default_factory=dict)
    unreadable: int = 0

    def add(self, detector: str, data: str, method: str, metric: str, measured: Metric) -> None:
        """Adds one number: of a detector, on `data/config:split`, of a method or `all`."""
        self.rows.append(
            {
                "detector": detector,
                "data": data,
                "method": method,
                "metric": metric,
                "value": measured.value,
                "lo": measured.lo,
                "hi": measured.hi,
                "n": measured.n_videos,
                "reason": measured.reason,
            }
        )

    def lose(self, where: str, count: int) -> None:
        """Notes that so many pictures could not be used."""
        if count:
            self.unreadable += count
            self.notes.append(f"{where}: {count} pictures could not be used.")

    def value(self, **wanted: str) -> float | None:
        """Returns the value of the one row with these columns.

        Raises:
          KeyError: there is none, or more than one.
        """
        found = [r for r in self.rows if all(r[k] == v for k, v in wanted.items())]
        if len(found) != 1:
            raise KeyError(f"{len(found)} rows with {wanted}")
        return found[0]["value"]


def mean(cluster: np.ndarray, values: np.ndarray, bootstrap: int, seed: int) -> Metric:
    """Returns the mean of values (N,), its interval over whole clusters (N,): people, videos.

    Values that are not finite are left out.
    """
    known = np.isfinite(values)
    if not known.any():
        return Metric(None, reason="nothing to measure")
    names, index = np.unique(np.asarray(cluster)[known], return_inverse=True)
    total, count = np.bincount(index, np.asarray(values)[known]), np.bincount(index)
    value = float(total.sum() / count.sum())
    if len(names) < 2 or not bootstrap:
        reason = "no interval: one person or video only" if bootstrap else ""
        return Metric(value, n_videos=len(names), reason=reason)
    weights = resample(len(names), bootstrap, np.random.default_rng(seed))
    return Metric(value, *interval([(weights @ total) / (weights @ count)]), len(names))


def read(folder: Path) -> dict[str, Any]:
    """Returns the measurements of a folder's results.json, by name; none where there is no file.

    Raises:
      DataError: the file is damaged, or another verb's.
    """
    path = folder / RESULTS
    try:
        stored = json.loads(path.read_text(encoding="utf-8"))
        if stored["schema"] != SCHEMA:
            raise ValueError(f"schema {stored['schema']}")
        for name, part in stored["measurements"].items():
            if not set(part) >= KEYS:
                raise ValueError(f"{name} lacks {', '.join(sorted(KEYS - set(part)))}")
        return dict(stored["measurements"])
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        what = f"{path} is damaged or was not written by analyze"
        raise DataError(f"{what} ({error}); choose another --out") from error


def merged(
    before: Mapping[str, Any], sections: Iterable[Section], about: Mapping[str, Any]
) -> dict[str, Any]:
    """Returns the content of results.json with these measurements added.

    `about` says how they were made: the keys of ABOUT.
    """
    measurements = dict(before)
    for section in sections:
        figures = [{"file": f"{n}.png", "caption": c} for n, (_, c) in section.figures.items()]
        measurements[section.name] = {
            **about,
            "results": section.rows,
            "notes": section.notes,
            "figures": figures,
            "details": section.details,
        }
    return {"schema": SCHEMA, "measurements": measurements}
