"""Where training starts from: a file of published weights, or a detector of our own."""

import dataclasses
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jax
import numpy as np

from iid_jax import checkpoint
from iid_jax.errors import DataError
from iid_jax.models import weight_files, weights
from iid_jax.models.input_spec import InputSpec
from iid_jax.models.weight_names import SCHEMES

Expected = Mapping[weights.Where, weights.Shape]
TRUNK = "trunk"
NAMED = 5


@dataclasses.dataclass(frozen=True)
class Given:
    """Arrays from elsewhere, {path: array}, the input they are used to, and where they are from.

    `misshapen` names what is there in another shape, `unused` what is there beside, `foreign` those
    of its backbone.
    """

    arrays: Mapping[weights.Where, np.ndarray]
    spec: InputSpec
    source: str
    misshapen: tuple[str, ...] = ()
    unused: tuple[str, ...] = ()
    foreign: tuple[str, ...] = ()


def start_from(
    path: str | Path, backbone: str, spec: InputSpec, fresh: Mapping[str, Any]
) -> tuple[dict[str, Any], str]:
    """Returns `fresh` variables with the backbone at `path` in them, and a line that says so.

    The backbone is taken whole and made for the input `spec`; a head (ADM, classifier) is taken
    where it fits, and stays fresh where it does not.

    Raises:
      UsageError: nothing to start from at `path`.
      DataError: it is damaged, or its backbone is another one; tensors are named.
    """
    expected = weights.described(fresh)
    path = Path(path)
    given = (_detector if path.is_dir() else _file)(path, expected, spec.size)
    lacking = [
        "/".join(where)
        for where, shape in expected.items()
        if where[1] == TRUNK and getattr(given.arrays.get(where), "shape", None) != shape
    ]
    if lacking or given.foreign:
        raise DataError(
            f"config.model.init_from={path} is no {backbone} ({given.source}): "
            f"{named([*given.misshapen, *lacking, *given.foreign])}"
        )
    heads = _fitting(given.arrays, expected)
    taken = {
        where: array
        for where, array in given.arrays.items()
        if where in expected and (where[1] == TRUNK or where[1] in heads)
    }
    variables = jax.tree_util.tree_map_with_path(
        lambda keys, leaf: taken.get(tuple(key.key for key in keys), leaf), dict(fresh)
    )
    trunk = weights.adapt({k: tree[TRUNK] for k, tree in variables.items()}, given.spec, spec)
    variables = {kind: {**tree, TRUNK: trunk[kind]} for kind, tree in variables.items()}
    return variables, _account(path, given, heads, expected)


def named(names: tuple[str, ...] | list[str]) -> str:
    """Returns the first names and how many more there are."""
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    return ", ".join(names[:NAMED]) + more


def _detector(path: Path, expected: Expected, size: int) -> Given:
    loaded = checkpoint.load_detector(path, people=True)
    arrays = {where: np.asarray(leaf) for where, leaf in _leaves(loaded.variables).items()}
    foreign = ["/".join(w) for w in arrays if w[1] == TRUNK and w not in expected]
    model = loaded.config.model
    kind = f"a classifier of {model.people} people" if model.people else "a detector"
    source = f"{kind} on {model.backbone}"
    return Given(arrays, loaded.input_spec, source, foreign=tuple(foreign))


def _file(path: Path, expected: Expected, size: int) -> Given:
    tensors = weight_files.open_tensors(path)
    placed = weights.place({name: t.shape for name, t in tensors.items()}, expected)
    nested = weights.variables(placed, lambda name: tensors[name].read(), expected)
    return Given(
        _leaves(nested),
        SCHEMES[placed.scheme].spec(size),
        f"read as {placed.scheme}",
        placed.misshapen,
        placed.unused,
        placed.foreign,
    )


def _leaves(tree: Mapping[str, Any]) -> dict[weights.Where, Any]:
    leaves, _ = jax.tree_util.tree_flatten_with_path(dict(tree))
    return {tuple(key.key for key in keys): leaf for keys, leaf in leaves}


def _fitting(arrays: Mapping[weights.Where, np.ndarray], expected: Expected) -> set[str]:
    """The heads of which every array is there in the right shape."""
    heads = {where[1] for where in expected} - {TRUNK}
    wrong = {
        where[1]
        for where, shape in expected.items()
        if getattr(arrays.get(where), "shape", None) != shape
    }
    return heads - wrong


def _account(path: Path, given: Given, heads: set[str], expected: Expected) -> str:
    fresh = sorted({where[1] for where in expected} - heads - {TRUNK})
    parts = [f"starts from {path} ({given.source}): {', '.join([TRUNK, *sorted(heads)])}"]
    if fresh:
        parts.append(f"fresh: {', '.join(fresh)}")
    if given.unused:
        parts.append(f"not used: {named(given.unused)}")
    return "; ".join(parts)
