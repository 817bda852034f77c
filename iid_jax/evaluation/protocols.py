"""The experiments as declarations: what is trained and tested on what, and which number counts.

A table is a list of rows; a row is one training and the cells read from its summaries. The
compression is a part of a data set's name, and so of every label. Published numbers are given only
where their source was read; a cell that is None is not published, or was not looked up.
"""

import dataclasses
import itertools
from collections.abc import Callable, Mapping

from iid_jax.errors import UsageError, nearest

FF, CELEB, DFDC = "faceforensics/c23", "celeb_df/v2", "dfdc/default"
FF_METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures")
UNSEEN = ("affine_swap", "resynthesis", "expression", "poisson_swap")
ARMS = ("binary", "adm", "mfs", "iid")
FORMS = ("full", "quick")
AUTHORS = "the authors' README, github.com/megvii-research/CADDM; its compression is not stated"


@dataclasses.dataclass(frozen=True)
class Training:
    """A run: its folder's name, `--config` and overrides, and the data set it needs."""

    name: str
    config: str
    data: str
    overrides: tuple[str, ...] = ()


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number of a row: metric of a manipulation (or all, or `seen`) on `data`'s split.

    `seen` is the mean over the manipulations that were trained on. With `corrupt` the test pictures
    are corrupted too, and `split` may name a corrupted split.
    """

    title: str
    data: str
    split: str = "test"
    method: str = "all"
    metric: str = "video_auc"
    corrupt: str = ""


@dataclasses.dataclass(frozen=True)
class Row:
    """One training and its cells; `published` has the numbers by the cells' titles.

    Rows of one `label` are seeds of the same experiment; `baseline` is the label it is set beside.
    """

    label: str
    training: Training
    cells: tuple[Cell, ...]
    published: Mapping[str, float] = dataclasses.field(default_factory=dict)
    source: str = ""
    baseline: str = ""


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: its rows, or the verb that makes it."""

    name: str
    title: str
    rows: tuple[Row, ...] = ()
    made_by: str = ""


def names() -> tuple[str, ...]:
    """Returns the names of all tables."""
    return tuple(_TABLES)


def table(name: str, form: str = "full", data: str = "practice_faces") -> Table:
    """Returns a table; `form` and `data` (a made data set) are those of `practice`.

    Raises:
      UsageError: no such table or form.
    """
    for value, allowed, what in ((name, _TABLES, "--table"), (form, FORMS, "--form")):
        if value not in allowed:
            raise UsageError(f"{what}: unknown {value!r}{nearest(value, allowed)}")
    return _TABLES[name](form, data)


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


def _steps(arm: str, form: str) -> int:
    """Swap-trained arms learn more slowly; each arm goes on to its own plateau."""
    slow = arm in ("mfs", "iid")
    return (1200 if slow else 900) if form == "quick" else (3600 if slow else 1800)


def _practice(form: str, data: str) -> Table:
    seeds = range(3 if form == "full" else 1)
    other = "photo_swaps" if data == "practice_faces" else "practice_faces"
    rows = [
        _arm(data, other, form, setting, arm, pairing, seed)
        for setting, pairing in _settings(form)
        for arm in (ARMS if form == "full" else ("binary", "iid"))
        for seed in seeds
    ]
    title = f"Is identity leaked, and does the method stop it: {data}, each arm at its plateau"
    return Table("practice", title, tuple(rows))


def _settings(form: str) -> list[tuple[dict[str, str], str]]:
    """What the arms are compared under: (arguments of the config, pairing)."""
    lomo = [{"without": name} for name in UNSEEN]
    donors = [{"gap": "donor", "people": "80", "donors": n} for n in ("10", "20", "50")]
    if form == "quick":
        return list(itertools.product((*lomo[:2], donors[0]), ("paired", "independent")))
    wide = [*lomo, *donors, {"gap": "donor"}]
    # The hardest test of the cure starts from a network that recognises people.
    start = [(d, "paired") for d in ({"init": "identity"}, {**donors[0], "init": "identity"})]
    return [
        *itertools.product(wide, ("paired", "independent")),
        ({"gap": "target"}, "independent"),
        *start,
    ]


def _arm(
    data: str, other: str, form: str, setting: dict[str, str], arm: str, pairing: str, seed: int
) -> Row:
    setting = dict(setting)
    init, steps = setting.pop("init", ""), _steps(arm, form)
    told = {"method": arm, "data": data, **setting, "steps": steps, "seed": seed}
    config = "configs/quickstart.py:" + ",".join(f"{k}={v}" for k, v in told.items())
    look = steps // 8
    overrides = [f"--config.data.pairing={pairing}"]
    overrides += [f"--config.train.{k}={look}" for k in ("eval_every", "checkpoint_every")]
    overrides += [f"--config.model.init_from={data}-{init}"] if init else []
    name = (
        "_".join([f"{k}-{v}" for k, v in setting.items()] or ["all"])
        + f"_{pairing}"
        + (f"_from-{init}" if init else "")
    )
    training = Training(
        f"{data}-{form}/{name}/{arm}-{seed}", config, _config_of(data, setting), tuple(overrides)
    )
    cells = [Cell("seen manipulations", training.data, method="seen")]
    if "without" in setting:
        cells.append(Cell("unseen manipulation", training.data, method=setting["without"]))
    cells.append(Cell(f"unseen data set ({other})", f"{other}/default"))
    cells.append(Cell("leak AUC", training.data, metric="leak_auc"))
    told_as = name.replace("_", " ")
    label, baseline = f"{told_as}: {arm}", f"{told_as}: binary"
    return Row(label, training, tuple(cells), baseline="" if arm == "binary" else baseline)


def _config_of(data: str, setting: Mapping[str, str]) -> str:
    """The prepared data set's full name, as `data.people.config_name` makes it."""
    gap = setting.get("gap", "none")
    if gap == "none":
        return f"{data}/default"
    counts = (f"_{k[0]}{setting[k]}" for k in ("people", "donors") if k in setting)
    return f"{data}/{gap}{''.join(counts)}"


def _analyzed(name: str) -> Callable[[str, str], Table]:
    return lambda form, data: Table(name, f"Made by `analyze`: {name}", made_by="analyze")


_TABLES: dict[str, Callable[[str, str], Table]] = {
    "sota": _sota,
    "dfdc": _dfdc,
    "cross_method": _cross_method,
    "robustness": _robustness,
    "sbi": _sbi,
    **{name: _analyzed(name) for name in ("probe", "influence", "tsne", "subsets")},
    "practice": _practice,
}
