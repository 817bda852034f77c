"""What one task gave, kept in a file until the whole data set is written.

A killed preparation finds its finished tasks again; a file that a kill or a full disk cut short
does not match its sha256 and counts as not there.
"""

import dataclasses
import hashlib
import json
import os
from pathlib import Path
from typing import Any

import numpy as np

from iid_jax.data import schema
from iid_jax.data.prepared import Problem

_KINDS = {"crop": np.int32, "frame_size": np.int32, "landmarks": np.float32}


def keep(
    path: Path, records: list[schema.Record], problems: list[Problem], digest: str = ""
) -> None:
    """Writes what a task gave, whole or not at all."""
    blobs: list[bytes] = []
    described = [_describe(record, blobs) for record in records]
    head = {"records": described, "problems": problems, "digest": digest}
    text = json.dumps(head, ensure_ascii=True).encode()
    body = len(text).to_bytes(8, "big") + text + b"".join(blobs)
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f"{path.name}.{os.getpid()}.tmp")
    temporary.write_bytes(hashlib.sha256(body).digest() + body)
    temporary.replace(path)


def recall(path: Path) -> tuple[list[schema.Record], list[Problem], str] | None:
    """Returns (records, problems, digest) of a task, or None where they are not there whole."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return None
    seal, body = data[:32], data[32:]
    if hashlib.sha256(body).digest() != seal:
        return None
    size = int.from_bytes(body[:8], "big")
    head = json.loads(body[8 : 8 + size])
    blobs = body[8 + size :]
    records = []
    for described in head["records"]:
        image, mask = described.pop("image"), described.pop("mask")
        values = {k: np.array(v, _KINDS[k]) if k in _KINDS else v for k, v in described.items()}
        pixels, area = blobs[:image], blobs[image : image + mask]
        blobs = blobs[image + mask :]
        records.append(schema.Record(image=pixels, mask=area, **values))
    return records, [tuple(problem) for problem in head["problems"]], head["digest"]


def _describe(record: schema.Record, blobs: list[bytes]) -> dict[str, Any]:
    """The record's columns as JSON has them; its bytes go to `blobs`, their sizes stay."""
    blobs += [record.image, record.mask]
    values = {f.name: getattr(record, f.name) for f in dataclasses.fields(record)}
    values |= {"image": len(record.image), "mask": len(record.mask)}
    # A float32 becomes a float of the same value: it comes back bit for bit.
    return {
        k: v.tolist() if isinstance(v, (np.ndarray, np.generic)) else v for k, v in values.items()
    }
