"""The detector as a project of Scenic: the calls that Scenic's mains and trainers make."""

import importlib
import importlib.util
import inspect
import json
import os
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import losses
from iid_jax.errors import UsageError
from iid_jax.models.initial import initialise

HERE = Path(__file__).parent
REPOSITORY = HERE.parents[1]
INTERFACES = {
    "scenic.model_lib.base_models.base_model": ("BaseModel",),
    "scenic.dataset_lib.dataset_utils": ("Dataset",),
    "scenic.dataset_lib.datasets": ("add_dataset", "get_dataset"),
    "scenic.train_lib.train_utils": ("get_dataset",),
    "scenic.app": ("run",),
}


class Written(list):
    """A MetricWriter that remembers."""

    def write_scalars(self, step, scalars):
        self.append((step, dict(scalars)))

    def flush(self):
        pass


@pytest.fixture
def made(config, monkeypatch):
    """(model, data set) as a Scenic main makes them, on one device."""
    from scenic.train_lib import train_utils

    from iid_jax.contrib.scenic import dataset as _  # noqa: F401
    from iid_jax.contrib.scenic import model

    data = train_utils.get_dataset(config, jax.random.PRNGKey(0), dataset_service_address=None)
    yield model.get_model_cls(config.model_name)(config, data.meta_data), data
    data.train_iter.flat.close()


def variables_of(model):
    """Fresh variables of a model, without the minutes that compiling Linen's `init` takes."""
    return initialise(model.flax_model, model.spec, seed=1)


def first_device(batch):
    return {name: values[0] for name, values in batch.items()}


# ------------------------------------------------------------------------------ the data set
def test_batches_have_scenics_shapes(made, config):
    _, data = made
    shards = jax.local_device_count()
    learned, held_out = next(data.train_iter), next(data.valid_iter)
    assert learned["inputs"].shape == (shards, 4 // shards, 96, 96, 3)
    assert held_out["inputs"].shape == (shards, 8 // shards, 96, 96, 3)
    for batch in (learned, held_out):
        shape = batch["inputs"].shape[:2]
        assert batch["inputs"].dtype == np.uint8 and batch["batch_mask"].dtype == np.float32
        assert batch["label"].shape == batch["batch_mask"].shape == shape
    assert learned["batch_mask"].all() and sorted(learned["label"].ravel()) == [0, 0, 1, 1]
    assert set(learned) - set(held_out) == {"boxes", "boxes_valid", "coverage"}


def test_meta_data_says_what_scenic_asks(made, practice):
    meta = made[1].meta_data
    assert meta["num_classes"] == 2 and meta["target_is_onehot"] is False
    assert meta["input_shape"] == (-1, 96, 96, 3) and meta["input_dtype"] == jnp.uint8
    assert meta["num_train_examples"] == len(practice.select("train"))
    assert meta["num_eval_examples"] == 8
    assert meta["num_test_examples"] == len(practice.select("test"))


def test_a_look_sees_every_test_record_once_and_then_begins_again(made, practice):
    data, count = made[1], -(-len(practice.select("test")) // 8)
    rounds = [[next(data.test_iter) for _ in range(count)] for _ in range(2)]
    for batches in rounds:
        mask = np.concatenate([b["batch_mask"].ravel() for b in batches])
        label = np.concatenate([b["label"].ravel() for b in batches])[mask > 0]
        wanted = practice.columns["label"][practice.select("test")]
        np.testing.assert_array_equal(label, wanted)
    np.testing.assert_array_equal(rounds[0][0]["inputs"], rounds[1][0]["inputs"])


def test_float_input_holds_the_same_pixels(config):
    from scenic.train_lib import train_utils

    from iid_jax.contrib.scenic import dataset as _  # noqa: F401

    whole = []
    for kind in ("uint8", "float32"):
        config.data_dtype_str = kind
        data = train_utils.get_dataset(config, jax.random.PRNGKey(0))
        whole.append(next(data.train_iter)["inputs"])
        data.train_iter.flat.close()
        assert whole[-1].dtype == kind == data.meta_data["input_dtype"]
    np.testing.assert_array_equal(*whole)


def test_a_tf_data_service_is_refused(config):
    from scenic.train_lib import train_utils

    from iid_jax.contrib.scenic import dataset as _  # noqa: F401

    with pytest.raises(UsageError, match=r"tf\.data service"):
        train_utils.get_dataset(config, jax.random.PRNGKey(0), dataset_service_address="grpc://x")


# ------------------------------------------------------------------------------ the model
def test_a_step_and_a_look_as_scenics_trainers_do_them(made, config):
    model, data = made
    variables = variables_of(model)

    def step(params, state, batch):
        def loss(params):
            found, updated = model.flax_model.apply(
                {"params": params, **state},
                batch["inputs"],
                mutable=["batch_stats"],
                train=True,
                rngs={"dropout": jax.random.PRNGKey(0)},
                debug=False,
            )
            return model.loss_function(found, batch, params), (updated, found)

        (value, (state, found)), grads = jax.value_and_grad(loss, has_aux=True)(params)
        return value, grads, state, model.get_metrics_fn("train")(found, batch)

    mapped = jax.vmap(step, in_axes=(None, None, 0), axis_name="batch")
    state = {"batch_stats": variables["batch_stats"]}
    value, grads, updated, metrics = jax.jit(mapped)(
        variables["params"], state, next(data.train_iter)
    )
    assert np.isfinite(value).all() and set(updated) == {"batch_stats"}
    assert all(np.abs(leaf).sum() > 0 for leaf in jax.tree.leaves(grads["classifier"]))
    assert set(metrics) == {"accuracy", "loss_cls"}
    assert all(float(count[0]) == 4 for _, count in metrics.values())


def test_parameters_have_the_names_of_iid_jax(made, config):
    from iid_jax.models import detector

    model, data = made
    module, _, _ = detector.build_detector(model.experiment.model)
    shape = (config.batch_size // jax.device_count(), *data.meta_data["input_shape"][1:])
    inputs = jnp.zeros(shape, data.meta_data["input_dtype"])
    rngs = {"params": jax.random.PRNGKey(1)}
    theirs = jax.eval_shape(
        lambda r: model.flax_model.init(r, inputs, train=False, debug=False), rngs
    )
    images = jax.ShapeDtypeStruct((1, 96, 96, 3), jnp.float32)
    ours = jax.eval_shape(module.init, jax.random.key(0), images)
    assert jax.tree.structure(theirs) == jax.tree.structure(ours)


def test_the_loss_is_that_of_the_training_loop(made, config):
    from iid_jax.models.detector import Outputs
    from iid_jax.training.step import loss_terms

    model, data = made
    variables, batch = variables_of(model), first_device(next(data.train_iter))
    found = model.flax_model.apply(variables, batch["inputs"], train=False)
    outputs = Outputs(found["logits"], found["deltas"], found["box_logits"], {})
    terms = loss_terms(outputs, batch, model.anchors, model.experiment.loss)
    assert float(terms["positives"]) > 0
    got = model.loss_function(found, batch, variables["params"])
    np.testing.assert_allclose(got, terms["loss"], rtol=1e-6)


@pytest.mark.parametrize("negatives", ["outside_mask", "all"])
def test_padding_changes_neither_loss_nor_metrics(made, config, negatives):
    model, data = made
    with config.unlocked():
        config.iid.loss.negatives = negatives
    model = type(model)(config, data.meta_data)
    batch = {k: v.reshape(-1, *v.shape[2:]) for k, v in next(data.train_iter).items()}
    found = model.flax_model.apply(variables_of(model), batch["inputs"])
    padded = {k: np.concatenate([v, v[:2] * 0 + (k == "label")]) for k, v in batch.items()}
    padded["boxes_valid"][-2:] = True
    wrong = {k: jnp.concatenate([v, v[:2] * 0 - 3.0]) for k, v in found.items()}
    np.testing.assert_allclose(
        model.loss_function(wrong, padded), model.loss_function(found, batch), rtol=1e-5
    )
    measure = model.get_metrics_fn_jit("validation")
    for name, pair in measure(found, batch).items():
        np.testing.assert_allclose(measure(wrong, padded)[name], pair, rtol=1e-6)
    entropy, count = measure(found, batch)["loss_cls"]
    whole = losses.cross_entropy(found["logits"], batch["label"])
    np.testing.assert_allclose(entropy / count, whole, rtol=1e-6)


def test_a_model_of_another_canvas_than_the_data_is_refused(made, config):
    model, data = made
    with config.unlocked():
        config.iid.model.canvas = 112
    with pytest.raises(UsageError, match="input_shape"):
        type(model)(config, data.meta_data)


def test_without_a_config_the_default_model_is_built(scenic):
    from iid_jax.contrib.scenic import model

    assert model.DetectorModel(None, {}).flax_model.backbone == "resnet_small"


def test_a_misspelt_model_is_told(scenic):
    from iid_jax.contrib.scenic import model

    with pytest.raises(UsageError, match="did you mean 'iid_detector'"):
        model.get_model_cls("iid_detektor")


def test_the_shipped_config_is_the_quickstart(scenic):
    from iid_jax import config_file
    from iid_jax.contrib.scenic import config, settings

    made = settings.experiment(config.get_config("method=binary,steps=50")).to_dict()
    wanted = config_file.load("quickstart.py:method=binary,steps=50").to_dict()
    assert made["train"].pop("best_metric") == "frame_auc"
    del wanted["train"]["best_metric"]
    assert made == wanted


def test_what_is_set_in_one_place_of_the_config_holds_in_the_other(scenic):
    from iid_jax.contrib.scenic import config

    made = config.get_config()
    made.num_training_steps, made.iid.data.name = 7, "photo_swaps"
    assert made.dataset_configs.num_training_steps == 7
    assert made.dataset_configs.iid.data.name == "photo_swaps"


# ------------------------------------------------------------------------------ the trainer
def test_the_trainer_goes_on_where_it_stopped_and_its_checkpoint_is_ours(config, tmp_path):
    from scenic.train_lib import train_utils

    from iid_jax.checkpoint import load_detector
    from iid_jax.contrib.scenic import model, trainer

    def run(steps, folder):
        with config.unlocked():
            config.num_training_steps = steps
        dataset = train_utils.get_dataset(config, jax.random.PRNGKey(0))
        written = Written()
        result = trainer.train(
            rng=jax.random.PRNGKey(3),
            config=config,
            model_cls=model.DetectorModel,
            dataset=dataset,
            workdir=str(tmp_path / folder),
            writer=written,
        )
        return result, written

    config.iid.optim.schedule = "constant"
    config.dataset_configs.num_training_steps = 4
    (whole, learned, judged), written = run(4, "whole")
    assert int(whole.step) == 4 and {step for step, _ in written} == {2, 4}
    assert {"loss", "grad_norm"} == set(learned)
    assert {"accuracy", "loss_cls", "frame_auc"} == set(judged)
    run(2, "parts")
    (parts, _, _), written = run(4, "parts")
    assert {step for step, _ in written} == {4}
    for a, b in zip(jax.tree.leaves(whole.params), jax.tree.leaves(parts.params), strict=True):
        np.testing.assert_array_equal(a, b)
    loaded = load_detector(tmp_path / "whole")
    kernel = loaded.variables["params"]["classifier"]["kernel"]
    assert kernel.shape == whole.params["classifier"]["kernel"].shape


@pytest.mark.long
def test_the_program_runs_as_scenic_starts_it(scenic, practice_dir, tmp_path):
    path = [str(REPOSITORY), *([str(HERE / "standin")] if scenic == "stand-in" else [])]
    command = [sys.executable, "-m", "iid_jax.contrib.scenic.main", f"--workdir={tmp_path / 'w'}"]
    command += ["--config=iid_jax/contrib/scenic/config.py:steps=2"]
    command += [f"--config.dataset_configs.data_dir={practice_dir}", "--config.batch_size=4"]
    command += ["--config.iid.eval.val_frames=8", "--config.eval_batch_size=8"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    done = subprocess.run(command, cwd=REPOSITORY, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "w" / "checkpoints" / "2" / "sha256.json").exists()
    done = subprocess.run(
        [*command, "--config.model_name=iid"],
        cwd=REPOSITORY, env=environment, capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode == 2 and "unknown model 'iid'" in done.stderr.splitlines()[-1]


# ------------------------------------------------------------------------------ which scenic
def check_with(folder: Path | None) -> subprocess.CompletedProcess:
    """Imports the project where `scenic` is only in `folder`."""
    path = [str(REPOSITORY), *([str(folder)] if folder else [])]
    code = (
        "import iid_jax.errors\n"
        "try:\n import iid_jax.contrib.scenic\n"
        "except iid_jax.errors.UsageError as error: print(isinstance(error, ImportError), error)\n"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    command = [sys.executable, "-c", code]
    return subprocess.run(command, env=environment, capture_output=True, text=True, check=True)


def package(folder: Path, *parts: str) -> Path:
    for part in parts:
        (folder / "scenic" / part).mkdir(parents=True)
        (folder / "scenic" / part / "__init__.py").touch()
    (folder / "scenic" / "__init__.py").write_text("raise SystemExit('imported')\n")
    return folder


def test_the_scenario_language_of_pypi_is_refused_and_never_imported(tmp_path):
    told = check_with(package(tmp_path, "core", "syntax", "simulators")).stdout
    assert told.startswith(f"True the `scenic` at {tmp_path / 'scenic'} is the scenario language")
    assert "git clone https://github.com/google-research/scenic" in told


def test_another_package_of_that_name_is_refused(tmp_path):
    assert "is another package" in check_with(package(tmp_path, "things")).stdout


def test_googles_scenic_is_accepted(tmp_path):
    assert check_with(package(tmp_path, "dataset_lib", "model_lib")).stdout == ""


def test_no_scenic_is_told_with_the_command():
    if importlib.util.find_spec("scenic") is not None:
        pytest.skip("a scenic is installed here")
    assert "is not installed; it is not on PyPI" in check_with(None).stdout


# ------------------------------------------------------------------------------ the real one
@pytest.mark.parametrize("name", sorted(INTERFACES))
def test_the_stand_in_has_scenics_signatures(real_scenic, name):
    path = HERE / "standin" / Path(*name.split(".")).with_suffix(".py")
    spec = importlib.util.spec_from_file_location(f"standin_{path.stem}", path)
    standin = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(standin)
    real = importlib.import_module(name)
    for item in INTERFACES[name]:
        assert parameters(getattr(standin, item)) == parameters(getattr(real, item))


def parameters(thing) -> dict:
    members = inspect.getmembers(thing, inspect.isfunction) if inspect.isclass(thing) else []
    return {
        name: [(p.name, p.kind) for p in inspect.signature(member).parameters.values()]
        for name, member in [("", thing), *members]
    }


def test_scenics_own_trainer_trains_the_detector(real_scenic, config, tmp_path):
    from clu import metric_writers
    from scenic.train_lib import classification_trainer, train_utils

    from iid_jax.contrib.scenic import dataset as _  # noqa: F401
    from iid_jax.contrib.scenic import model

    with config.unlocked():
        config.checkpoint = config.debug_train = config.debug_eval = config.xprof = False
        config.lr_configs = {"learning_rate_schedule": "compound", "factors": "constant"}
        config.lr_configs.base_learning_rate = 1e-3
        config.optimizer, config.optimizer_configs = "adam", {}
    state, learned, judged = classification_trainer.train(
        rng=jax.random.PRNGKey(0),
        config=config,
        model_cls=model.DetectorModel,
        dataset=train_utils.get_dataset(config, jax.random.PRNGKey(0)),
        workdir=str(tmp_path),
        writer=metric_writers.create_default_writer(str(tmp_path), just_logging=True),
    )
    assert int(np.ravel(state.global_step)[0]) == 4
    assert json.dumps({k: float(v) for k, v in {**learned, **judged}.items()})
