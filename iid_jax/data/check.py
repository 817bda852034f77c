"""`prepare --check`: whether a prepared data set is whole, and what was published of it."""

import hashlib
import itertools
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from iid_jax.data import schema
from iid_jax.data.catalog import Catalog
from iid_jax.data.loading import builder_class
from iid_jax.errors import DataError
from iid_jax.progress import Progress

OK, DIFFERS, DAMAGED, NOTED = "ok", "differs", "damaged", "noted"
# People of these splits belong to training.
WITH_TRAINING = ("train", "probe", "partner")
_NAMED = 3


class Finding(NamedTuple):
    """One line of the table: what was compared, what should be, what is, and the verdict."""

    what: str
    expected: str
    found: str
    verdict: str


def check(catalog: Catalog, quiet: bool = False) -> list[Finding]:
    """Returns the findings on records, counts, splits, people and pairs of a data set.

    Raises:
      DataError: the data set cannot be read at all.
    """
    cls = builder_class(catalog.name.partition("/")[0])
    published = cls.PUBLISHED.get(catalog.name.partition("/")[2], {})
    return [
        *_records(catalog, quiet),
        *_counts(catalog, published),
        _videos(catalog),
        *_people(catalog, cls.SHARED_PEOPLE),
        *_pairs(catalog),
    ]


def table(findings: list[Finding]) -> list[str]:
    """Returns the lines of the findings as a table."""
    rows = [Finding("checked", "expected", "found", "verdict"), *findings]
    wide = [max(len(row[i]) for row in rows) for i in range(4)]
    lines = ("  ".join(f"{text:{w}}" for text, w in zip(row, wide, strict=True)) for row in rows)
    return [line.rstrip() for line in lines]


def _records(catalog: Catalog, quiet: bool) -> Iterator[Finding]:
    progress = Progress(len(catalog), f"check {catalog.name}", "record", quiet)
    damaged = []
    for row in range(len(catalog)):
        try:
            record = catalog.read(row)
            whole = hashlib.sha256(record.image).hexdigest() == catalog.columns["sha256"][row]
        except DataError:
            whole = False
        if not whole:
            damaged.append(catalog.record_id(row))
        progress.update(1)
    found = f"{len(catalog) - len(damaged)}" + _named(damaged)
    yield Finding("records with their sha256", f"{len(catalog)}", found, _or(damaged, DAMAGED))
    noted = catalog.manifest.get("fingerprint", "")
    same = OK if noted == catalog.fingerprint else DAMAGED
    yield Finding("fingerprint", noted[:16] or "none", catalog.fingerprint[:16], same)


def _counts(
    catalog: Catalog, published: dict[tuple[str, str], int | tuple[int, ...]]
) -> Iterator[Finding]:
    """Videos by split and method against those published; less with --limit is only noted."""
    limited = catalog.manifest.get("limit") is not None
    for (split, method), count in published.items():
        keep = np.ones(len(catalog), bool)
        if split != "all":
            keep &= np.isin(catalog.columns["split"], split.split("+"))
        if method == "fakes":
            keep &= catalog.columns["label"] == schema.FAKE
        else:
            keep &= catalog.columns["method"] == method
        found = len(set(catalog.columns["video_id"][keep].tolist()))
        counts = (count,) if isinstance(count, int) else count
        verdict = OK if found in counts else NOTED if limited else DIFFERS
        told = f"{found}" + (" (--limit)" if verdict == NOTED else "")
        expected = " or ".join(map(str, counts))
        yield Finding(f"videos, {split}, {method}", expected, told, verdict)


def _videos(catalog: Catalog) -> Finding:
    columns = catalog.columns
    pairs = sorted(set(zip(columns["video_id"].tolist(), columns["split"].tolist(), strict=True)))
    split_of: dict[str, str] = {}
    shared = [video for video, split in pairs if split_of.setdefault(video, split) != split]
    found = f"{len(shared)}" + _named(shared)
    return Finding("videos in two splits", "0", found, _or(shared, DIFFERS))


def _people(catalog: Catalog, excuse: str) -> Iterator[Finding]:
    """People that two of training, validation and test share; probe and partner are training."""
    columns = catalog.columns
    people = {}
    for name in ("train", "val", "test"):
        keep = np.isin(columns["split"], WITH_TRAINING if name == "train" else (name,))
        told = (columns[role][keep].tolist() for role in ("identity", "source_identity"))
        people[name] = set(itertools.chain(*told)) - {""}
    for a, b in itertools.combinations(people, 2):
        what = f"people in both {a} and {b}"
        if not people[a] or not people[b]:
            continue
        shared = sorted(people[a] & people[b])
        verdict = OK if not shared else NOTED if excuse else DIFFERS
        because = f"; {excuse}" if verdict == NOTED else ""
        yield Finding(what, "0", f"{len(shared)}{_named(shared)}{because}", verdict)
    if not any(people.values()):
        yield Finding("people in two splits", "0", "unknown: no identities", NOTED)


def _pairs(catalog: Catalog) -> Iterator[Finding]:
    """Fakes with their pristine video, and how many of their frames have their pristine frame."""
    columns = catalog.columns
    fakes = catalog.select(label=schema.FAKE)
    if not len(fakes):
        return
    made_from = columns["pristine_id"][fakes]
    named = fakes[made_from != ""]
    partners = catalog.pristine_of(named)
    videos = set(columns["video_id"][fakes].tolist())
    paired = set(columns["video_id"][named[partners >= 0]].tolist())
    unnamed = videos - set(columns["video_id"][named].tolist())
    lost = sorted(videos - paired - unnamed)
    yield Finding(
        "fakes with their pristine video",
        f"{len(videos)}",
        f"{len(paired)}" + _named(lost) + (f"; {len(unnamed)} are unpaired" if unnamed else ""),
        DIFFERS if lost else NOTED if unnamed else OK,
    )
    whole = int((partners >= 0).sum())
    verdict = OK if whole == len(named) else NOTED
    yield Finding("their frames with a pristine frame", f"{len(named)}", f"{whole}", verdict)
    elsewhere = columns["split"][named] != columns["split"][partners]
    crossed = named[(partners >= 0) & elsewhere & (columns["split"][partners] != "partner")]
    ids = sorted(set(columns["video_id"][crossed].tolist()))
    found = f"{len(ids)}" + _named(ids)
    yield Finding("pairs across splits", "0", found, _or(ids, DIFFERS))


def _or(wrong: list[str], verdict: str) -> str:
    return verdict if wrong else OK


def _named(items: list[str]) -> str:
    """The first few of the items, for a line."""
    more = ", ..." if len(items) > _NAMED else ""
    return f" ({', '.join(items[:_NAMED])}{more})" if items else ""
