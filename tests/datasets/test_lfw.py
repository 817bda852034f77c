"""LFW: people as clips, photographs as frames, all genuine."""

import shutil

import numpy as np
import pytest
from PIL import Image

from iid_jax.data import prepared
from iid_jax.faces import choice


@pytest.fixture(scope="module")
def known(photo_tree, studio, tmp_path_factory):
    """The drawn photographs in LFW's layout; the Studio's landmarker knows them."""
    folder = tmp_path_factory.mktemp("lfw")
    made = studio(folder)
    people = sorted(photo_tree.folder.iterdir())[:4]
    for person in people:
        place = folder / "lfw-deepfunneled" / person.name
        place.mkdir(parents=True)
        for number, path in enumerate(sorted(person.glob("*.jpg"))):
            shutil.copy(path, place / f"{person.name}_{number + 1:04d}.jpg")
            picture = np.asarray(Image.open(path))
            for image in (picture, picture[:, ::-1]):
                faces = photo_tree.find(np.ascontiguousarray(image))
                made.know(image, *(face.landmarks for face in faces))
    Image.new("RGB", (99, 99), (9, 99, 9)).save(place / f"{person.name}_0005.png")
    (folder / "lfw-deepfunneled" / "Nobody").mkdir()
    Image.new("RGB", (99, 98), (9, 99, 9)).save(folder / "lfw-deepfunneled" / "Nobody" / "1.png")
    return folder


def test_people_photographs_and_what_cannot_be_used(known, prepare_videos, by_video, tmp_path):
    catalog = prepare_videos("lfw", known, tmp_path, frames=None, max_bad=20)
    people = [f"Person_{number:02d}" for number in range(4)]
    told = by_video(catalog)
    assert set(told) == {f"original/{name}" for name in people}
    for name in people:
        columns = told[f"original/{name}"]
        assert (columns["split"], columns["label"], columns["identity"]) == ("test", 0, name)
    assert catalog.counts() == {"test": {"original": 16}}
    assert sorted(set(catalog.columns["frame"].tolist())) == [0, 1, 2, 3]
    assert {row[:2] for row in prepared.read_report(catalog.directory)} == {
        ("original/Person_03#Person_03/Person_03_0005.png", "no_face"),
        ("original/Nobody#Nobody/1.png", "no_face"),
        ("original/Nobody", "no_photograph"),
    }


def test_so_many_of_each_person(known, prepare_videos, tmp_path):
    catalog = prepare_videos("lfw", known / "lfw-deepfunneled", tmp_path, frames=2, max_bad=20)
    assert catalog.counts() == {"test": {"original": 8}}


def test_real_photographs_with_dlib(shared_data, tmp_path):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    from iid_jax.data import builder

    choice.choose.cache_clear()
    for person in sorted((shared_data / "lfw").iterdir())[:3]:
        shutil.copytree(person, tmp_path / "lfw" / person.name)
    settings = builder.Settings(source=str(tmp_path / "lfw"), frames=2)
    catalog = builder.prepare("lfw", tmp_path / "data", settings, jobs=1, quiet=True)
    assert len(catalog.people("test")) == 3
