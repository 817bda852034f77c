"""The tables of the leak itself: probe, influence, t-SNE and subsets, measured by `analyze`.

On a made data set with arms of the claim, with and without an identity gap; on FaceForensics++ with
the backbones of the paper. The first data set is the one trained on, the second is another.
"""

from typing import NamedTuple

from iid_jax.evaluation import arms
from iid_jax.evaluation.declared import Analysis, Cell, Row, Table, Training

COMPARED = ("binary", "iid")
SUBSETS = 4


class Experiment(NamedTuple):
    """Labelled trainings, and the data sets measured on, the own one first.

    `backbone` is the first training's, which the control of random weights has too.
    """

    name: str
    runs: tuple[tuple[str, Training], ...]
    data: tuple[str, str]
    backbone: str
    quick: bool


def on_made(form: str, data: str) -> Experiment:
    """Returns binary and IID detectors without a gap and with one of ten donors."""
    settings = {"no gap": {}, "10 donors, never genuine": arms.FEW_DONORS}
    runs = [
        (f"{arm}, {told}", arms.training(data, form, setting, arm, seed=seed))
        for told, setting in settings.items()
        for arm in COMPARED
        for seed in range(1 if form == "quick" else 3)
    ]
    names = f"{data}/default", f"{arms.other(data)}/default"
    return Experiment(f"{data}-{form}", tuple(runs), names, "resnet_small", form == "quick")


def probe(made: Experiment) -> Table:
    """Returns top-1 of a linear probe for identity, beside pixels and a random network."""
    # Everybody in training, and the clips of them that training never sees.
    data = f"{made.data[0]}:train", f"{made.data[1]}:test"
    controls = (f"random {made.backbone}", "24 x 24 grey pixels", "chance")
    cells = [_cell("identity, top-1", name, "top1") for name in data]
    cells += [_cell(f"{c}, top-1", data[0], "top1", c) for c in controls]
    title = "Do the features hold identities: a linear probe on frozen features"
    return _table("probe", title, made, cells, data)


def influence(made: Experiment) -> Table:
    """Returns the AUC of the interaction of the face's cells, by what absent ones show."""
    data = tuple(f"{name}:test" for name in made.data)
    cells = [
        _cell(f"AUC of I ({absent})", name, "influence_auc", f"RUN, {absent}")
        for name in data
        for absent in ("mean", "blur")
    ]
    flags = ("--images=24",) if made.quick else ()
    return _table("influence", "Does identity influence the verdict", made, cells, data, flags)


def tsne(made: Experiment) -> Table:
    """Returns the silhouettes by person and label; the pictures lie beside them."""
    data = tuple(f"{name}:test" for name in made.data)
    cells = [
        _cell(f"silhouette by {what}", name, f"silhouette_{what}")
        for name in data
        for what in ("identity", "label")
    ]
    title = "What the features keep together: silhouettes, and t-SNE in pictures"
    return _table("tsne", title, made, cells, data, measurement="embedding")


def subsets(made: Experiment) -> Table:
    """Returns the AUC of detectors trained on the one, two, ... largest subsets of the fakes."""
    data = tuple(f"{name}:test" for name in made.data)
    cells = [
        _cell(f"{count} of {SUBSETS}", name, "video_auc", f"{count} subsets")
        for name in data
        for count in range(1, SUBSETS + 1)
    ]
    made = made._replace(runs=tuple(run for run in made.runs if "donors" not in run[0]))
    title = "Do more kinds of artifacts help: video AUC by the number of subsets trained on"
    flags = (f"--subsets={SUBSETS}",)
    return _table("subsets", title, made, cells, (",".join(data),), flags, apart=True)


def _cell(what: str, data: str, metric: str, detector: str = "RUN") -> Cell:
    name, _, split = data.partition(":")
    return Cell(f"{what} ({name})", name, split, metric=metric, detector=detector)


def _table(
    name: str,
    title: str,
    made: Experiment,
    cells: list[Cell],
    data: tuple[str, ...],
    flags: tuple[str, ...] = (),
    measurement: str = "",
    apart: bool = False,
) -> Table:
    rows = tuple(Row(label, training, tuple(cells)) for label, training in made.runs)
    analysis = Analysis(measurement or name, f"{made.name}/{name}", data, flags, apart)
    return Table(name, title, rows, analysis)


TABLES = {"probe": probe, "influence": influence, "tsne": tsne, "subsets": subsets}
