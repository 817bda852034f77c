"""The configuration: what is accepted, and the one line that refuses the rest."""

import pytest

from iid_jax import config, config_file
from iid_jax.errors import UsageError

QUICKSTART = "configs/quickstart.py"


def test_config_survives_json():
    loaded = config_file.load(QUICKSTART)
    assert config_file.from_dict(loaded.to_dict()) == loaded


def test_arguments_of_the_file_reach_the_config():
    loaded = config_file.load(f"{QUICKSTART}:method=binary,steps=50,gap=donor,donors=10")
    assert (loaded.train.steps, loaded.model.adm, loaded.data.swap.untouched) == (50, False, 1.0)
    assert (loaded.data.identity_gap, loaded.data.train_donors) == ("donor", 10)


@pytest.mark.parametrize(
    ("key", "text", "expected"),
    [
        ("train.steps", "7", 7),
        ("data.methods", "affine_swap,expression", ("affine_swap", "expression")),
        ("model.adm_width", "None", None),
        ("model.adm_width", "64", 64),
        ("optim.rates", "1e-4,5e-5", (1e-4, 5e-5)),
        ("data.swap.poisson", ".25", 0.25),
        ("model.adm", "false", False),
    ],
)
def test_override_is_read_as_the_type_of_its_key(key, text, expected):
    value = config_file.load(QUICKSTART, {key: text})
    for name in key.split("."):
        value = getattr(value, name)
    assert value == expected and type(value) is type(expected)


@pytest.mark.parametrize(
    ("spec", "overrides", "words"),
    [
        ("configs/quickstar.py", {}, "did you mean 'quickstart.py'"),
        (f"{QUICKSTART}:stepz=3", {}, "did you mean 'steps'"),
        (f"{QUICKSTART}:steps=many", {}, "must be of type int, got 'many'"),
        (f"{QUICKSTART}:method=bynary", {}, "did you mean 'binary'"),
        (QUICKSTART, {"train.stepz": "3"}, "config.train.stepz (did you mean 'steps'?)"),
        (QUICKSTART, {"trian.steps": "3"}, "config.trian (did you mean 'train'?)"),
        (QUICKSTART, {"train.steps": "0"}, "config.train.steps must be at least 1, got 0"),
        (QUICKSTART, {"train.steps": "2.5"}, "must be of type int"),
        (QUICKSTART, {"train.batch_size": "7"}, "must be even"),
        (QUICKSTART, {"train": "3"}, "is a group"),
        (QUICKSTART, {"data.swap.partial": "0.9"}, "must be 1"),
        (QUICKSTART, {"data.identity_gap": "doner"}, "did you mean 'donor'"),
        (QUICKSTART, {"optim.learning_rate": "nan"}, "nan"),
        (QUICKSTART, {"train.best_metric": "vide_auc"}, "did you mean 'video_auc'"),
        (QUICKSTART, {"train.best_metric": "loss"}, "allowed: frame_acc, frame_ap, frame_auc"),
        (QUICKSTART, {"data.identity_gap": "target"}, "pairing=independent"),
        (
            QUICKSTART,
            {"data.identity_gap": "target", "data.pairing": "people"},
            "pairing='people' needs the targets",
        ),
        (QUICKSTART, {"data.augment.jpeg_quality": "80,15"}, "jpeg_quality must rise, within 1"),
        (QUICKSTART, {"data.augment.gamma_range": "-1,0"}, "gamma_range must rise"),
        (QUICKSTART, {"data.augment.stretch": "0,0"}, "stretch must rise"),
        (QUICKSTART, {"data.augment.scale": "0.9,-0.1"}, "a mean and a deviation"),
        (QUICKSTART, {"data.augment.shift": "-1"}, "shift must be at least 0"),
        (QUICKSTART, {"data.swap.window_jitter": "5,1"}, "window_jitter must rise"),
    ],
)
def test_wrong_config_ends_in_one_line_that_names_the_fault(spec, overrides, words):
    with pytest.raises(UsageError) as error:
        config_file.load(spec, overrides)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_config_file_with_a_misspelt_key_names_the_file_and_the_key(tmp_path):
    path = tmp_path / "mine.py"
    path.write_text(
        "from iid_jax import config_file\n"
        "def get_config(argument):\n"
        "    config = config_file.default()\n"
        "    config.train.step = 3\n"
        "    return config\n"
    )
    with pytest.raises(UsageError, match="step") as error:
        config_file.load(str(path))
    assert "mine.py" in str(error.value) and "\n" not in str(error.value)


def test_defaults_are_frozen():
    with pytest.raises(AttributeError):
        config.Config().seed = 3
