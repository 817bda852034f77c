"""The configuration of an experiment: frozen dataclasses, validated before JAX starts.

Each class checks its values when it is made: an impossible one is a `UsageError` that names the
key. `config_file.py` builds a `Config` from a file and the command line.
"""

import dataclasses
import json
from typing import Any, Literal, get_args

from iid_jax.config_samples import (
    AugmentConfig,
    CrossBlendConfig,
    SelfBlendConfig,
    SwapConfig,
    at_least,
    share,
)
from iid_jax.errors import UsageError

# What the look at held-out people can measure: `metrics.METRICS`, which lies a floor above.
Merit = Literal[
    "video_auc",
    "video_ap",
    "video_eer",
    "video_acc",
    "video_tpr_at_1pct_fpr",
    "video_tpr_at_0.1pct_fpr",
    "frame_auc",
    "frame_ap",
    "frame_eer",
    "frame_acc",
    "frame_tpr_at_1pct_fpr",
    "frame_tpr_at_0.1pct_fpr",
]
# The generators of fakes: each a file of `iid_jax.forgery`, and a group of settings in `data`.
Forger = Literal["swap", "self_blend", "cross_blend"]
CANVAS_RANGE = (64, 1024)


@dataclasses.dataclass(frozen=True)
class DataConfig:
    """What is trained on, and how batches are drawn.

    Of several generators in `forgery` each makes an equal share of the fakes. `apart_from`:
    prepared data sets whose held-out pictures a classifier of people is not trained on, since
    detectors that start from it are measured there.
    """

    name: str = "practice_faces"
    methods: tuple[str, ...] = ()
    without: tuple[str, ...] = ()
    identity_gap: Literal["none", "donor", "target"] = "none"
    train_people: int | None = None
    train_donors: int | None = None
    pairing: Literal["paired", "people", "independent"] = "paired"
    apart_from: tuple[str, ...] = ()
    workers: int = 0
    forgery: tuple[Forger, ...] = ("swap",)
    swap: SwapConfig = dataclasses.field(default_factory=SwapConfig)
    self_blend: SelfBlendConfig = dataclasses.field(default_factory=SelfBlendConfig)
    cross_blend: CrossBlendConfig = dataclasses.field(default_factory=CrossBlendConfig)
    augment: AugmentConfig = dataclasses.field(default_factory=AugmentConfig)

    def __post_init__(self):
        for key in ("train_people", "train_donors"):
            value = getattr(self, key)
            if value is not None and value < 2:
                raise UsageError(f"config.data.{key} must be at least 2, got {value}")
        if not self.forgery or len(set(self.forgery)) < len(self.forgery):
            known = ", ".join(get_args(Forger))
            raise UsageError(
                f"config.data.forgery must name generators once each ({known}), got {self.forgery}"
            )
        if not 0 <= self.workers <= 256:
            raise UsageError(f"config.data.workers must be 0 to 256, got {self.workers}")
        if self.identity_gap == "target" and self.pairing != "independent":
            raise UsageError(
                f"config.data.pairing={self.pairing!r} needs the targets of fakes among the "
                "genuine people, which identity_gap='target' excludes; set "
                "--config.data.pairing=independent"
            )


@dataclasses.dataclass(frozen=True)
class ModelConfig:
    """The detector: a backbone, and the Artifact Detection Module or none (plain classifier).

    `dropout` and `drop_connect` are those published with the backbone where they are None.
    `init_from`: a file of published weights, a run or an export, whose backbone training starts
    from. `people`: a classifier of so many people in place of a detector, to start others from; 0:
    of as many as are in training.
    """

    backbone: str = "resnet_small"
    adm: bool = True
    adm_width: int | None = None
    canvas: int = 112
    dtype: Literal["auto", "float32", "bfloat16"] = "auto"
    dropout: float | None = None
    drop_connect: float | None = None
    init_from: str | None = None
    people: int | None = None

    def __post_init__(self):
        for name in ("dropout", "drop_connect"):
            rate = getattr(self, name)
            if rate is not None and not 0.0 <= rate < 1.0:
                raise UsageError(f"config.model.{name} must be 0 to below 1, got {rate}")
        if self.people is not None and (self.adm or self.people in (1, 2) or self.people < 0):
            raise UsageError(
                f"config.model.people={self.people} must be 0 (all in training) or at least 3, and "
                "goes with --config.model.adm=False"
            )
        low, high = CANVAS_RANGE
        if not low <= self.canvas <= high:
            raise UsageError(f"config.model.canvas must be {low} to {high} px, got {self.canvas}")
        if self.adm_width is not None and self.adm_width < 8:
            raise UsageError(f"config.model.adm_width must be at least 8, got {self.adm_width}")


@dataclasses.dataclass(frozen=True)
class LossConfig:
    """L = L_cls + beta * (L_conf + alpha * L_loc) / N (paper, equations 5 and 6)."""

    beta: float = 0.1
    alpha: float = 1.0
    iou_threshold: float = 0.5
    negatives_per_positive: int = 2
    min_negatives: int = 4
    negatives: Literal["outside_mask", "all"] = "outside_mask"
    ignore_above: float = 0.1

    def __post_init__(self):
        share("loss", self, "iou_threshold", "ignore_above")
        at_least("loss", self, 0, "beta", "alpha", "negatives_per_positive", "min_negatives")


@dataclasses.dataclass(frozen=True)
class OptimConfig:
    """AdamW and its learning-rate schedule; `boundaries` are shares of the run (steps only).

    `beta2` is the decay of AdamW's second moment.
    """

    schedule: Literal["cosine", "steps", "constant"] = "cosine"
    learning_rate: float = 3.6e-4
    warmup_steps: int = 0
    rates: tuple[float, ...] = (1e-4, 5e-5)
    boundaries: tuple[float, ...] = (0.1, 0.2)
    beta2: float = 0.999
    weight_decay: float = 4e-3
    clip_value: float = 2.0

    def __post_init__(self):
        at_least("optim", self, 0, "learning_rate", "warmup_steps", "weight_decay")
        share("optim", self, "beta2")
        if self.clip_value <= 0:
            raise UsageError(f"config.optim.clip_value must be above 0, got {self.clip_value}")
        if len(self.rates) != len(self.boundaries):
            raise UsageError(
                "config.optim.rates and config.optim.boundaries must be equally long, "
                f"got {len(self.rates)} and {len(self.boundaries)}"
            )


@dataclasses.dataclass(frozen=True)
class TrainConfig:
    """The length of a run, and when it looks, saves and logs. `fsdp` devices share parameters.

    `compilation_cache`: the folder of compiled programs, which the next start of the same program
    takes from there; None for none. The environment's JAX_COMPILATION_CACHE_DIR goes before it.
    """

    steps: int = 600
    batch_size: int = 64
    log_every: int = 20
    eval_every: int = 150
    checkpoint_every: int = 150
    keep: int = 2
    fsdp: int = 1
    best_metric: Merit = "video_auc"
    compilation_cache: str | None = "~/.cache/iid_jax/xla"

    def __post_init__(self):
        names = ("steps", "log_every", "eval_every", "checkpoint_every", "keep", "fsdp")
        at_least("train", self, 1, *names)
        if self.batch_size < 2 or self.batch_size % 2:
            raise UsageError(
                "config.train.batch_size must be even (half genuine, half fake) and at least 2, "
                f"got {self.batch_size}"
            )


@dataclasses.dataclass(frozen=True)
class EvalConfig:
    """How detectors are scored; `val_frames` bounds the look during training."""

    batch_size: int = 64
    val_frames: int = 1000
    bootstrap: int = 1000

    def __post_init__(self):
        at_least("eval", self, 1, "batch_size", "val_frames", "bootstrap")


@dataclasses.dataclass(frozen=True)
class Config:
    """One experiment, whole."""

    seed: int = 0
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    loss: LossConfig = LossConfig()
    optim: OptimConfig = OptimConfig()
    train: TrainConfig = TrainConfig()
    eval: EvalConfig = EvalConfig()

    def __post_init__(self):
        if not 0 <= self.seed < 2**63:
            raise UsageError(f"config.seed must be 0 to below 2^63, got {self.seed}")
        if self.data.apart_from and self.model.people is None:
            raise UsageError(
                f"config.data.apart_from={self.data.apart_from} goes with a classifier of people: "
                "take configs/identity.py"
            )

    def to_dict(self) -> dict[str, Any]:
        """Returns the configuration as nested plain dicts and lists, as JSON gives them back."""
        return json.loads(json.dumps(dataclasses.asdict(self)))

    def outcome(self) -> dict[str, Any]:
        """Returns what the outcome of a run depends on: not on how many processes make batches."""
        data = dataclasses.replace(self.data, workers=0)
        return dataclasses.replace(self, data=data).to_dict()
