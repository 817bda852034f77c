"""What an experiment is made of, as declarations: trainings, analyses, and the cells of tables."""

import dataclasses
from collections.abc import Mapping


@dataclasses.dataclass(frozen=True)
class Training:
    """A run: its folder's name, `--config` and overrides, and the data set it needs.

    It starts from the weights of the run `start` where there is one.
    """

    name: str
    config: str
    data: str
    overrides: tuple[str, ...] = ()
    seed: int = 0
    start: "Training | None" = None


@dataclasses.dataclass(frozen=True)
class Cell:
    """A number of a row: metric of a manipulation (or all, or `seen`) on `data`'s split.

    `seen` is the mean over the manipulations that were trained on. With `corrupt` the test pictures
    are corrupted too, and `split` may name a corrupted split. With a `detector` the number is one
    that the table's analysis found of it; `RUN` in its name stands for the row's own.
    """

    title: str
    data: str
    split: str = "test"
    method: str = "all"
    metric: str = "video_auc"
    corrupt: str = ""
    detector: str = ""


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
class Analysis:
    """A measurement of `analyze` on the detectors of a table.

    `data` are data sets as `--data` takes them, measured one after the other. All runs of a seed
    are measured in one go, so that pictures show them side by side, below `folder`; with `apart`
    each run alone, with the configuration of its training.
    """

    measurement: str
    folder: str
    data: tuple[str, ...]
    flags: tuple[str, ...] = ()
    apart: bool = False


@dataclasses.dataclass(frozen=True)
class Table:
    """A table: its rows, and the analysis that some of its numbers come from.

    It is written to files called `file`, or where that is empty `name`.
    """

    name: str
    title: str
    rows: tuple[Row, ...] = ()
    analysis: Analysis | None = None
    file: str = ""
