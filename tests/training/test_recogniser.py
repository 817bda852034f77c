"""The classifier of people: what it is fed, that it learns people, and what starts from it."""

import copy
import dataclasses
import json

import jax
import numpy as np
import pytest

from iid_jax import main
from iid_jax.checkpoint import load_detector
from iid_jax.config import Config, DataConfig
from iid_jax.data import identities, schema
from iid_jax.errors import DataError, UsageError
from iid_jax.models import detector
from iid_jax.models.initial import initialise
from iid_jax.models.input_spec import InputSpec
from iid_jax.training import loop, pretrained, recogniser

STEPS = 6


@pytest.fixture(scope="module")
def config(tiny):
    small = tiny.tiny_config(steps=STEPS, batch_size=16, log_every=3, eval_every=3)
    model = dataclasses.replace(small.model, adm=False, people=0)
    return dataclasses.replace(small, model=model)


@pytest.fixture(scope="module")
def run(config, practice, tmp_path_factory):
    workdir = tmp_path_factory.mktemp("recogniser")
    stats = loop.train(config, workdir, practice, quiet=True)
    return workdir, stats


def drawn(practice, config, steps=3):
    given = config.data, InputSpec(96), 6, 8, steps, 0
    return list(identities.train_iterator(practice, *given))


def test_batches_are_genuine_pictures_labelled_by_their_person(practice, config):
    people = identities.people_of(practice)
    for batch in drawn(practice, config):
        columns = {k: practice.columns[k][batch["record"]] for k in ("label", "split", "identity")}
        assert set(columns["label"]) == {schema.REAL} and set(columns["split"]) == {"train"}
        np.testing.assert_array_equal(people[batch["label"]], columns["identity"])


def test_the_same_seed_gives_the_same_batches(practice, config):
    for one, other in zip(drawn(practice, config), drawn(practice, config), strict=True):
        np.testing.assert_array_equal(one["image"], other["image"])


def test_held_out_pictures_are_of_training_s_people_and_in_no_training(practice):
    rows = identities.held_out(practice)
    assert len(rows) and set(practice.columns["split"][rows]) == {"probe"}
    assert set(practice.columns["identity"][rows]) <= set(identities.people_of(practice))


def test_pictures_that_another_set_holds_out_are_in_no_training(practice):
    genuine = practice.select("train", label=schema.REAL)
    held = genuine[::5]
    other = copy.copy(practice)
    other.columns = {**practice.columns, "split": practice.columns["split"].copy()}
    other.columns["split"][held] = "probe"
    kept = identities.apart(practice, [other])
    assert kept.select("train", label=schema.REAL).tolist() == np.setdiff1d(genuine, held).tolist()
    assert identities.held_out(kept).tolist() == identities.held_out(practice).tolist()
    assert kept.read(int(kept.select("train")[-1])).split == "train"
    assert len(practice.select("train", label=schema.REAL)) == len(genuine)


def test_pictures_are_kept_apart_for_classifiers_of_people_alone():
    with pytest.raises(UsageError, match="goes with a classifier of people"):
        Config(data=DataConfig(apart_from=("practice_faces/donor",)))


def test_the_head_has_a_logit_for_everybody_in_training(run, practice):
    loaded = load_detector(run[0], people=True)
    count = len(identities.people_of(practice))
    assert loaded.config.model.people == count
    assert loaded.variables["params"]["classifier"]["bias"].shape == (count,)
    assert run[1]["images"] == STEPS * 16


def test_it_is_no_detector_and_says_what_it_is_for(run):
    with pytest.raises(DataError, match=r"no detector; .*--config\.model\.init_from="):
        load_detector(run[0])


def same(one, other):
    jax.tree.map(np.testing.assert_array_equal, one, other)


def test_a_detector_starts_from_its_backbone_and_has_a_head_of_its_own(run, config):
    model = dataclasses.replace(config.model, people=None)
    module, spec, _ = detector.build_detector(model)
    before = initialise(module, spec, seed=3)
    found, said = pretrained.start_from(run[0], model.backbone, spec, before)
    source = load_detector(run[0], people=True).variables["params"]
    same(found["params"]["trunk"], source["trunk"])
    same(found["params"]["classifier"], before["params"]["classifier"])
    assert "fresh: classifier" in said
    assert "a classifier of " in said and " people on tiny" in said


def test_another_number_of_people_is_refused(config, practice):
    count = len(identities.people_of(practice))
    model = dataclasses.replace(config.model, people=count + 1)
    with pytest.raises(UsageError, match=f"has {count}; leave it at 0"):
        recogniser.resolved(dataclasses.replace(config, model=model), practice)
    with pytest.raises(UsageError, match=r"config\.model\.people=0 must be"):
        dataclasses.replace(config.model, adm=True)


@pytest.mark.long
def test_it_learns_who_is_shown_and_its_command_says_how_well(practice_dir, tmp_path, capsys):
    workdir = tmp_path / "run"
    flags = ["--config=configs/identity.py:steps=150", f"--data_dir={practice_dir}", "--quiet"]
    assert main.main([*flags, f"--workdir={workdir}", "--config.train.eval_every=150"]) == 0
    assert "recognised" in capsys.readouterr().out
    made = json.loads((workdir / "summary.json").read_text(encoding="utf-8"))
    (row,) = made["results"]
    assert row["metric"] == recogniser.TOP1
    count = load_detector(workdir, people=True).config.model.people
    assert row["lo"] > 3 / count  # chance is one in so many
