"""The experiments as declarations: what is trained and tested on what, and which number counts.

A table is a list of rows; a row is one training and the cells read from its summaries. The
compression is a part of a data set's name, and so of every label. Published numbers are given only
where their source was read; a cell that is None is not published, or was not looked up.
"""

import dataclasses
import itertools
from collections.abc import Callable
from pathlib import Path

from iid_jax import config_file
from iid_jax.errors import UsageError, nearest
from iid_jax.evaluation import arms, leakage_tables
from iid_jax.evaluation.declared import Cell, Row, Table, Training
from iid_jax.evaluation.leakage_tables import Experiment

FF, CELEB, DFDC = "faceforensics/c23", "celeb_df/v2", "dfdc/default"
FF_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
AUTHORS = (
    "the authors' README, github.com/megvii-research/CADDM, whose table states no compression; its "
    "data preparation names the raw videos"
)


def names() -> tuple[str, ...]:
    """Returns the names of all tables."""
    return tuple(_TABLES)


def table(name: str, form: str = "full", data: str = "practice_faces") -> Table:
    """Returns a table; `form` and `data` are those of `practice` and of the leakage tables.

    `data` is a made data set, or for the leakage tables FaceForensics++ too.

    Raises:
      UsageError: no such table, form or data set.
    """
    known = (*arms.MADE, *([FF] if name in leakage_tables.TABLES else []))
    asked = ((name, _TABLES, "--table"), (form, arms.FORMS, "--form"), (data, known, "--data"))
    for value, allowed, what in asked:
        if value not in allowed:
            raise UsageError(f"{what}: unknown {value!r}{nearest(value, allowed)}")
    made = _TABLES[name](form, data)
    if not on_made(name):
        return made
    # One workdir holds the tables of several data sets.
    return dataclasses.replace(made, file=f"{name}.{data.replace('/', '.')}.{form}")


def on_made(name: str) -> bool:
    """Returns whether a table is of the made data sets, in several forms."""
    return name == "practice" or name in leakage_tables.TABLES


def from_weights(table: Table, folder: str) -> Table:
    """Returns the table with trainings that start from published weights of their backbones.

    They lie in `folder` as <backbone>.safetensors or .pth, of which the first found is taken. The
    runs are others than those from random weights, and so is the table's file: they bear the
    folder's name.

    Raises:
      UsageError: the table's networks are small ones of the made data sets, of which none are
        published.
    """
    if any(row.training.data.partition("/")[0] in arms.MADE for row in table.rows):
        raise UsageError(
            f"--weights={folder}: {table.name} trains networks of our own; leave it out"
        )

    beside = f"from-{Path(folder).resolve().name}"

    def started(row: Row) -> Row:
        training = row.training
        backbone = config_file.load(training.config).model.backbone
        there = [Path(folder) / f"{backbone}{ending}" for ending in (".safetensors", ".pth")]
        chosen = next(filter(Path.exists, there), there[0])
        overrides = (*training.overrides, f"--config.model.init_from={chosen}")
        name = f"{training.name}-{beside}"
        changed = dataclasses.replace(training, name=name, overrides=overrides)
        return dataclasses.replace(row, training=changed)

    return dataclasses.replace(
        table,
        rows=tuple(started(row) for row in table.rows),
        file=f"{table.file or table.name}.{beside}",
        analysis=table.analysis
        and dataclasses.replace(table.analysis, folder=f"{table.analysis.folder}-{beside}"),
    )


# ------------------------------------------------------------------------------- the paper's tables


def _paper(name: str, data: str, **options: str) -> Training:
    told = ",".join(f"{key}={value}" for key, value in {"data": data, **options}.items())
    return Training(name, f"configs/paper.py:{told}", data)


def _training(backbone: str, method: str, data: str, **options: str) -> Training:
    told = (f"{key}-{value}" for key, value in options.items())
    parts = [data.replace("/", "."), backbone, method, *told]
    return _paper("-".join(parts), data, backbone=backbone, method=method, **options)


def _tested(*data: str) -> tuple[Cell, ...]:
    return tuple(Cell(f"{name} video AUC", name) for name in data)


def _authors(*values: float) -> dict[str, float]:
    return {cell.title: v for cell, v in zip(_tested(FF, CELEB, DFDC), values, strict=True)}


def _sota(form: str, data: str) -> Table:
    published = {
        "resnet34": _authors(0.9970, 0.9115, 0.7149),
        "efficientnet_b3": _authors(0.9978, 0.9308, 0.7334),
        "efficientnet_b4": _authors(0.9979, 0.9388, 0.7385),
    }
    tested = _tested(FF, CELEB, DFDC)
    rows = [
        Row(f"Ours, {b}", _training(b, "iid", FF), tested, values, AUTHORS)
        for b, values in published.items()
    ]
    binary = (*published, "resnet18", "resnet50", "efficientnet_b0", "xception")
    rows += [Row(f"binary, {b}", _training(b, "binary", FF), tested) for b in binary]
    return Table("sota", f"Trained on {FF}: in-data-set and cross-data-set", tuple(rows))


def _dfdc(form: str, data: str) -> Table:
    rows = [
        Row(f"{label}, {b}", _training(b, method, DFDC), _tested(DFDC, FF))
        for label, method in (("Ours", "iid"), ("binary", "binary"))
        for b in ("resnet34", "efficientnet_b3", "efficientnet_b4")
    ]
    return Table("dfdc", f"Trained on {DFDC}: in-data-set, and on {FF}", tuple(rows))


def _cross_method(form: str, data: str) -> Table:
    cells = tuple(
        Cell(f"{m} ({FF}) video AUC", FF, method="all" if m == "all" else m)
        for m in (*FF_METHODS, "all")
    )
    rows = [
        Row(f"{label} trained on {only}", _training("xception", method, FF, only=only), cells)
        for only in FF_METHODS
        for label, method in (("Xception", "binary"), ("Ours + Xception", "iid"))
    ]
    return Table("cross_method", f"One manipulation of {FF}, tested on each", tuple(rows))


def _robustness(form: str, data: str) -> Table:
    kinds = ("saturation", "contrast", "block", "noise", "blur", "pixelation", "codec", "pixels")
    clean = Cell(f"clean ({FF}) video AUC", FF, corrupt="all")
    worse = (Cell(f"{k}, mean of levels", FF, f"test@{k}", corrupt="all") for k in kinds)
    cells = (clean, *worse)
    rows = [
        Row(f"{label}, {b}", _training(b, method, FF), cells)
        for label, method in (("Ours", "iid"), ("binary", "binary"))
        for b in ("efficientnet_b4", "xception")
    ]
    return Table("robustness", f"Corruptions of {FF}, levels 1 to 5 averaged", tuple(rows))


def _sbi(form: str, data: str) -> Table:
    tested = _tested(FF, CELEB, DFDC)
    rows = [
        Row(f"Ours + SBI, {b}", _training(b, "iid", FF, sbi="yes"), tested)
        for b in ("resnet34", "efficientnet_b4")
    ]
    return Table("sbi", f"With self-blended images, trained on {FF}", tuple(rows))


# -------------------------------------------------------------------- the claim, on made data sets


def _practice(form: str, data: str) -> Table:
    quick = form == "quick"
    rows = [
        _arm(data, form, setting, arm, pairing, seed)
        for setting, pairing in _settings(quick)
        for arm in (("binary", "iid") if quick else arms.ARMS)
        for seed in range(1 if quick else 3)
    ]
    title = f"Is identity leaked, and does the method stop it: {data}, each arm at its plateau"
    return Table("practice", title, tuple(rows))


def _settings(quick: bool) -> list[tuple[arms.Setting, str]]:
    """What the arms are compared under: (arguments of the config, pairing)."""
    lomo = [{"without": name} for name in arms.UNSEEN]
    donors = [{**arms.FEW_DONORS, "donors": n} for n in ("10", "20", "50")]
    if quick:
        return list(itertools.product((*lomo[:2], donors[0]), ("paired", "independent")))
    wide = [*lomo, *donors, {"gap": "donor"}]
    # The hardest test of the cure starts from a network that recognises people.
    start = [(d, "paired") for d in ({"init": "identity"}, {**donors[0], "init": "identity"})]
    return [
        *itertools.product(wide, ("paired", "independent")),
        ({"gap": "target"}, "independent"),
        *start,
    ]


def _arm(data: str, form: str, setting: arms.Setting, arm: str, pairing: str, seed: int) -> Row:
    training = arms.training(data, form, setting, arm, pairing, seed)
    cells = [Cell("seen manipulations", training.data, method="seen")]
    if "without" in setting:
        cells.append(Cell("unseen manipulation", training.data, method=setting["without"]))
    other = arms.other(data)
    cells.append(Cell(f"unseen data set ({other})", f"{other}/default"))
    cells.append(Cell("leak AUC", training.data, metric="leak_auc"))
    told_as = arms.told(setting, pairing)
    label, baseline = f"{told_as}: {arm}", f"{told_as}: binary"
    return Row(label, training, tuple(cells), baseline="" if arm == "binary" else baseline)


# --------------------------------------------------------------------------------- the leak itself


def _leakage(name: str) -> Callable[[str, str], Table]:
    def made(form: str, data: str) -> Table:
        measured = leakage_tables.on_made(form, data) if data in arms.MADE else _on_ff(form)
        return leakage_tables.TABLES[name](measured)

    return made


def _on_ff(form: str) -> Experiment:
    backbones = ("resnet34",) if form == "quick" else ("resnet34", "efficientnet_b3", "xception")
    runs = tuple(
        (f"{method}, {b}", _training(b, method, FF))
        for b in backbones
        for method in leakage_tables.COMPARED
    )
    return Experiment(FF.replace("/", "."), runs, (FF, CELEB), backbones[0], form == "quick")


_TABLES: dict[str, Callable[[str, str], Table]] = {
    "sota": _sota,
    "dfdc": _dfdc,
    "cross_method": _cross_method,
    "robustness": _robustness,
    "sbi": _sbi,
    **{name: _leakage(name) for name in leakage_tables.TABLES},
    "practice": _practice,
}
