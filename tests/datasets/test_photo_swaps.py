"""photo_swaps: a data set from a folder of photographs, with nothing lost and nothing leaking."""

import csv
import dataclasses
import hashlib
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

from iid_jax.data import builder, decoders, made, photographs, prepared, schema
from iid_jax.errors import UsageError
from iid_jax.evaluation import shortcuts
from iid_jax.faces import media
from iid_jax.forgery import autoencoder
from iid_jax.forgery.manipulations import MANIPULATIONS

LIMIT = 0.60


def make(name, tree, folder, data_dir, seed=0, **attributes):
    """The data set `name` from `folder`, found with the tree's landmarker; its catalog."""
    cls = builder.builder_class("photo_swaps")
    with pytest.MonkeyPatch.context() as patch:
        for key, value in {"LANDMARKER": lambda: tree.find, **attributes}.items():
            patch.setattr(cls, key, staticmethod(value) if callable(value) else value)
        settings = builder.Settings(source=str(folder), seed=seed)
        return builder.prepare(name, data_dir, settings, jobs=1, quiet=True)


@pytest.fixture(scope="module")
def folder(photo_tree, tmp_path_factory):
    """The drawn photographs with faults among them."""
    folder = tmp_path_factory.mktemp("source") / "people"
    shutil.copytree(photo_tree.folder, folder)
    (folder / "readme.txt").write_text("not a person")
    shutil.copy(folder / "Person_00" / "1.jpg", folder / "Person_00" / "again.jpg")
    shutil.copy(folder / "Person_01" / "1.jpg", folder / "Person_02" / "stolen.jpg")
    (folder / "Person_03" / "broken.jpg").write_bytes(
        (folder / "Person_03" / "0.jpg").read_bytes()[:3000]
    )
    Image.new("RGB", (99, 99), (9, 99, 9)).save(folder / "Person_04" / "meadow.png")
    for person in sorted(folder.glob("Person_*")):
        if person.name >= "Person_10":
            for path in sorted(person.glob("*.jpg"))[1:]:
                path.unlink()
    return folder


@pytest.fixture(scope="module")
def catalog(photo_tree, folder, tmp_path_factory):
    return make("photo_swaps", photo_tree, folder, tmp_path_factory.mktemp("data"))


def problems(catalog) -> set[tuple[str, str]]:
    return {(item, status) for item, status, _ in prepared.read_report(catalog.directory)}


def shown(catalog, rows) -> list[str]:
    """The files that genuine records show: a frame is the file's number in its folder."""
    c = catalog.columns
    return [f"{c['identity'][row]}#{c['frame'][row]}" for row in rows]


def test_every_file_is_a_genuine_record_or_in_the_report(catalog, folder):
    names = {}
    for person in sorted(p for p in folder.iterdir() if p.is_dir()):
        for number, path in enumerate(sorted(person.iterdir())):
            names[f"{person.name}#{number}"] = f"{person.name}/{path.name}"
    used = shown(catalog, catalog.select(label=schema.REAL))
    assert len(used) == len(set(used))
    told = {item for item, status in problems(catalog) if "/" in item and "#" not in item}
    assert {names[key] for key in used} | told == set(names.values())
    assert not {names[key] for key in used} & told


def test_what_cannot_be_used_is_told_with_its_reason(catalog):
    assert {
        ("Person_00/again.jpg", "duplicate"),
        ("Person_01/1.jpg", "duplicate_of_other"),
        ("Person_02/stolen.jpg", "duplicate_of_other"),
        ("Person_03/broken.jpg", "truncated"),
        ("Person_04/meadow.png", "no_face"),
        ("readme.txt", "stray"),
    } <= problems(catalog)
    with (catalog.directory / "prepare_report.csv").open() as file:
        assert next(csv.reader(file)) == ["item", "status", "detail"]
    assert catalog.manifest["left_out"]["duplicate_of_other"] == 2


def test_nobody_is_in_two_splits_and_donors_stay_in_theirs(catalog):
    people = {}
    for split in ("train", "val", "test"):
        people[split] = catalog.people(split)
        assert catalog.people(split, "source_identity") <= people[split]
    assert not people["train"] & people["test"]
    assert not (people["train"] | people["test"]) & people["val"]
    assert catalog.people("probe") <= people["train"]
    fakes = catalog.select(label=schema.FAKE)
    assert (catalog.columns["identity"] != catalog.columns["source_identity"])[fakes].all()


def test_every_genuine_photograph_has_a_fake_of_every_kind_or_the_reason_why_not(catalog):
    refused = {item for item, status in problems(catalog) if status == "not_manipulated"}
    genuine = len(catalog.select(label=schema.REAL)) - len(catalog.select("probe"))
    for method in MANIPULATIONS:
        fakes = catalog.select(methods=(method,), label=schema.FAKE)
        missing = [item for item in refused if item.startswith(f"{method}/")]
        assert len(fakes) + len(missing) == genuine
        assert len(missing) < 0.2 * genuine


def test_a_fake_is_its_genuine_photograph_but_for_the_mask(catalog):
    fakes = catalog.select(label=schema.FAKE)
    partners = catalog.pristine_of(fakes)
    assert len(fakes) >= 100 and (partners >= 0).all()
    changed = []
    for fake, genuine in zip(fakes, partners, strict=True):
        forged, original = catalog.read(fake), catalog.read(genuine)
        np.testing.assert_array_equal(forged.landmarks, original.landmarks)
        np.testing.assert_array_equal(forged.crop, original.crop)
        mask = forged.mask_pixels()
        same = shortcuts.outside(mask)
        np.testing.assert_array_equal(forged.pixels()[same], original.pixels()[same])
        difference = np.abs(forged.pixels().astype(int) - original.pixels())
        changed.append(difference[mask > 0.5].mean())
    assert min(changed) > 1.0


def test_a_genuine_record_is_the_photograph_encoded_once_more(catalog, folder, photo_tree):
    row = catalog.select("test", label=schema.REAL)[0]
    record = catalog.read(row)
    person, number = record.identity, record.frame
    picture = media.read_image(sorted((folder / person).iterdir())[number])
    pixels = record.pixels().astype(int)
    x0, y0, x1, y1 = photographs.cut_window(picture, photo_tree.find(picture)[0].landmarks)
    assert (record.crop == (0, 0, x1 - x0, y1 - y0)).all()
    assert np.abs(picture[y0:y1, x0:x1] - pixels).mean() < 3.0


def test_the_probe_shows_other_pictures_of_the_training_people(catalog):
    train = shown(catalog, catalog.select("train", label=schema.REAL))
    probe = shown(catalog, catalog.select("probe"))
    assert probe and not set(train) & set(probe)
    single = {item for item, status in problems(catalog) if status == "single"}
    assert single and single <= catalog.people("train")
    assert catalog.people("probe") == catalog.people("train") - single


def test_donors_of_the_gap_are_genuine_in_the_probe_only(photo_tree, tmp_path):
    name = "photo_swaps/donor_p5_d3"
    catalog = make(name, photo_tree, photo_tree.folder, tmp_path)
    donors = catalog.people("train", "source_identity")
    genuine = catalog.people("train", label=schema.REAL)
    assert donors and len(genuine) == 5 and not donors & genuine
    assert catalog.people("probe") > donors
    assert len(catalog.people("probe")) == 8


def test_the_same_seed_gives_the_same_data_set_and_another_one_another(
    photo_tree, folder, catalog, tmp_path
):
    again = make("photo_swaps", photo_tree, folder, tmp_path / "again")
    other = make("photo_swaps", photo_tree, folder, tmp_path / "other", seed=1)
    assert again.fingerprint == catalog.fingerprint != other.fingerprint
    assert again.landmarker == "drawn/test"


def test_more_photographs_than_a_person_needs_are_noted(photo_tree, tmp_path, monkeypatch):
    cls = builder.builder_class("photo_swaps")
    monkeypatch.setitem(cls.plan.__globals__, "PER_PERSON", 3)
    catalog = make("photo_swaps", photo_tree, photo_tree.folder, tmp_path)
    assert catalog.manifest["left_out"]["surplus"] == 14
    used = shown(catalog, catalog.select(label=schema.REAL))
    assert len(used) == 14 * 3


def test_the_autoencoders_fakes_join_the_others_where_asked_for(
    photo_tree, folder, catalog, tmp_path
):
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {"STEPS": 2, "DONOR_STEPS": 1}.items():
            patch.setattr(decoders, name, value)
        patch.setattr(autoencoder, "BATCH", 2)
        made = make("photo_swaps/default_autoencoder", photo_tree, folder, tmp_path)
    new = made.select(methods=("autoencoder",), label=schema.FAKE)
    assert set(made.columns["sha256"].tolist()) > set(catalog.columns["sha256"].tolist())
    assert len(made) - len(catalog) == len(new) > 20
    for split in ("train", "val", "test"):
        rows = made.select(split, methods=("autoencoder",), label=schema.FAKE)
        donors = set(made.columns["source_identity"][rows].tolist())
        assert 1 <= len(donors) <= decoders.DONORS and donors <= made.people(split)
        assert (made.columns["identity"][rows] != made.columns["source_identity"][rows]).all()
    for fake, genuine in zip(new, made.pristine_of(new), strict=True):
        forged, original = made.read(fake), made.read(genuine)
        same = shortcuts.outside(forged.mask_pixels())
        np.testing.assert_array_equal(forged.pixels()[same], original.pixels()[same])


def test_people_and_autoencoder_are_named_together():
    config = builder.builder_class("photo_swaps").named_config("donor_p80_d10_autoencoder")
    assert config.name == "donor_p80_d10_autoencoder" and config.autoencoder
    assert (config.identity_gap, config.train_people, config.train_donors) == ("donor", 80, 10)
    assert not builder.builder_class("photo_swaps").named_config("default").autoencoder
    with pytest.raises(UsageError, match="unknown configuration"):
        builder.builder_class("photo_swaps").named_config("autoencoder")


def test_poses_too_far_apart_make_no_fake_and_are_counted(photo_tree, tmp_path):
    catalog = make("photo_swaps", photo_tree, photo_tree.folder, tmp_path, FARTHEST_POSE=0.004)
    fakes, genuine = (len(catalog.select(label=label)) for label in (schema.FAKE, schema.REAL))
    probe = len(catalog.select("probe"))
    refused = catalog.manifest["left_out"]["not_manipulated"]
    assert refused > 0
    assert fakes + refused == len(MANIPULATIONS) * (genuine - probe)


def test_donors_are_likelier_than_drawn_at_random(photo_tree, tmp_path):
    with pytest.MonkeyPatch.context() as patch:
        cls = builder.builder_class("photo_swaps")
        patch.setattr(cls, "LANDMARKER", staticmethod(lambda: photo_tree.find))
        settings = builder.Settings(source=str(photo_tree.folder))
        made_by = builder.load_builder("photo_swaps", tmp_path, settings=settings)
        tasks = made_by.plan()["train"]
        apart = {True: [], False: []}
        for task in tasks:
            shots = made_by.shots(task.person, made.VIDEO)
            for candidates in task.candidates:
                clips = [made_by.shots(name, made.VIDEO) for name in candidates]
                distances = [made.distance(shots, clip) for clip in clips]
                donor = next(
                    r.source_identity
                    for r in made_by.make(task._replace(candidates=(candidates,))).records
                    if r.label == schema.FAKE
                )
                apart[True].append(distances[candidates.index(donor)])
                apart[False].append(np.mean(distances))
                assert apart[True][-1] == min(distances)
    assert np.mean(apart[True]) < 0.8 * np.mean(apart[False])


def test_few_donors_take_turns_and_leave_half_of_their_photographs_to_the_probe(
    photo_tree, tmp_path
):
    with pytest.MonkeyPatch.context() as patch:
        cls = builder.builder_class("photo_swaps")
        patch.setattr(cls, "LANDMARKER", staticmethod(lambda: photo_tree.find))
        settings = builder.Settings(source=str(photo_tree.folder))
        made_by = builder.load_builder("photo_swaps/donor_p5_d3", tmp_path, settings=settings)
        plan = made_by.plan()
    hands = {hand for task in plan["train"] for hand in task.candidates}
    assert {len(hand) for hand in hands} == {2}
    donors = {name for hand in hands for name in hand}
    assert len(donors) == 3
    for task in plan["probe"]:
        shown, held_back = (
            len(made_by.shots(task.person, clip)) for clip in (made.VIDEO, made.PROBE)
        )
        if shown + held_back > 2:
            assert (held_back >= shown - 1) == (task.person in donors)


@pytest.mark.long
def test_two_processes_make_what_one_makes(photo_tree, tmp_path):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    settings = builder.Settings(source=str(photo_tree.folder))
    one, two = (
        builder.prepare("photo_swaps", tmp_path / str(jobs), settings, jobs=jobs, quiet=True)
        for jobs in (1, 2)
    )
    assert one.fingerprint == two.fingerprint and len(one) > 200


@pytest.fixture(scope="module")
def whole(shared_data, tmp_path_factory):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    settings = builder.Settings(source=str(shared_data / "lfw"))
    folder = tmp_path_factory.mktemp("whole")
    return builder.prepare("photo_swaps", folder, settings, jobs=2, quiet=True)


@pytest.mark.long
@pytest.mark.parametrize("method", list(MANIPULATIONS))
def test_photographs_show_no_shortcut_with_95_percent_confidence(method, whole):
    evidence = shortcuts.collect(whole, "test", method)
    assert len(evidence.label) >= 1000
    for name, metric in shortcuts.measure(evidence).items():
        print(f"{method} {name}: AUC {metric.value:.3f}, 95 % {metric.lo:.3f} to {metric.hi:.3f}")
        assert metric.hi < LIMIT, f"{name} tells {method} from genuine by AUC {metric}"


def at_quality(record: schema.Record, quality: int) -> schema.Record:
    sampling = [cv2.IMWRITE_JPEG_SAMPLING_FACTOR, cv2.IMWRITE_JPEG_SAMPLING_FACTOR_444]
    options = [cv2.IMWRITE_JPEG_QUALITY, quality, *sampling]
    image = cv2.imencode(".jpg", record.pixels()[..., ::-1], options)[1].tobytes()
    return dataclasses.replace(record, image=image, sha256=hashlib.sha256(image).hexdigest())


@pytest.mark.long
def test_the_check_sees_a_planted_jpeg_quality_on_photographs(whole):
    fakes = whole.select("test", methods=("affine_swap",), label=schema.FAKE)
    rows, people = [], []
    for fake, genuine in zip(fakes, whole.pristine_of(fakes), strict=True):
        mask, record = whole.read(fake).mask_pixels(), whole.read(genuine)
        rows += [shortcuts.describe(at_quality(record, quality), mask) for quality in (90, 95)]
        people += [record.identity] * 2
    label = np.tile([schema.FAKE, schema.REAL], len(fakes))
    evidence = shortcuts.Evidence(np.array(rows), label, np.array(people))
    for name, metric in shortcuts.measure(evidence, bootstrap=100).items():
        assert metric.lo > 0.9, name


@pytest.mark.long
def test_nearly_all_real_photographs_are_used(whole):
    left_out = whole.manifest["left_out"]
    assert len(whole.select(label=schema.REAL)) > 3900
    assert left_out["no_face"] + left_out.get("unsure_landmarks", 0) < 80
    assert left_out.get("not_manipulated", 0) < 0.02 * len(whole.select(label=schema.FAKE))
