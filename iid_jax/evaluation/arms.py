"""The arms of the claim's experiments on made data sets: binary, ADM only, MFS only, IID."""

from collections.abc import Mapping

from iid_jax.evaluation.declared import Training

MADE = ("practice_faces", "photo_swaps")
ARMS = ("binary", "adm", "mfs", "iid")
# Full; the same rows and seeds with shorter trainings; and these of a few rows and one seed.
FORMS = ("full", "short", "quick")
UNSEEN = ("affine_swap", "resynthesis", "expression", "poisson_swap")
# Few donors, of whom no genuine picture is seen: the paper's situation.
FEW_DONORS = {"gap": "donor", "people": "80", "donors": "10"}
# Arguments of configs/quickstart.py; `init` is the run that training starts from.
Setting = Mapping[str, str]


def other(data: str) -> str:
    """Returns the made data set that `data` is not."""
    return next(name for name in MADE if name != data)


def named(setting: Setting, pairing: str) -> str:
    """Returns a folder's name for a setting and a pairing."""
    told = [f"{key}-{value}" for key, value in setting.items() if key != "init"] or ["all"]
    start = f"_from-{setting['init']}" if "init" in setting else ""
    return "_".join(told) + f"_{pairing}{start}"


def told(setting: Setting, pairing: str) -> str:
    """Returns what a setting and a pairing are called in a table."""
    kept = [f"{key}={value}" for key, value in setting.items() if key != "init"]
    start = [f"from {setting['init']}"] if "init" in setting else []
    return ", ".join([*(kept or ["all manipulations"]), pairing, *start])


def training(
    data: str, form: str, setting: Setting, arm: str, pairing: str = "paired", seed: int = 0
) -> Training:
    """Returns the run of an arm on a made data set; tables that need the same one share it.

    The forms `short` and `quick` have the same trainings.
    """
    short = form != "full"
    steps = _steps(arm, short)
    arguments = {key: value for key, value in setting.items() if key != "init"}
    told = {"method": arm, "data": data, **arguments, "steps": steps, "seed": seed}
    look = steps // 8
    overrides = [f"--config.data.pairing={pairing}"]
    overrides += [f"--config.train.{k}={look}" for k in ("eval_every", "checkpoint_every")]
    return Training(
        f"{_folder(data, short)}/{named(setting, pairing)}/{arm}-{seed}",
        "configs/quickstart.py:" + ",".join(f"{k}={v}" for k, v in told.items()),
        _full_name(data, setting),
        tuple(overrides),
        seed,
        _recogniser(data, _full_name(data, setting), seed) if "init" in setting else None,
    )


def _folder(data: str, short: bool) -> str:
    return f"{data}-{'quick' if short else 'full'}"


def _recogniser(data: str, measured_on: str, seed: int) -> Training:
    """A classifier of everybody in training, those whose faces are donors' in a gap included.

    Not trained on the pictures that the leak AUC is measured on. As long in every form: after a
    quarter of its steps it recognises next to nobody.
    """
    config = f"configs/identity.py:data={data},steps=3600,seed={seed}"
    whole = f"{data}/default"
    apart = () if measured_on == whole else (f"--config.data.apart_from={measured_on}",)
    name = f"{data}-identity/{measured_on.partition('/')[2]}-{seed}"
    return Training(name, config, whole, apart, seed)


def _steps(arm: str, short: bool) -> int:
    """Swap-trained arms learn more slowly; each arm goes on to its own plateau."""
    slow = arm in ("mfs", "iid")
    return (1200 if slow else 900) if short else (3600 if slow else 1800)


def _full_name(data: str, setting: Setting) -> str:
    """The prepared data set's full name, as `data.people.config_name` makes it."""
    gap = setting.get("gap", "none")
    if gap == "none":
        return f"{data}/default"
    counts = (f"_{k[0]}{setting[k]}" for k in ("people", "donors") if k in setting)
    return f"{data}/{gap}{''.join(counts)}"
