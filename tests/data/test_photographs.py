"""Folders of photographs: who is there, whose face it is, and the part of the picture to use."""

import io

import cv2
import numpy as np
import pytest
from PIL import Image

from iid_jax import geometry
from iid_jax.data import photographs
from iid_jax.errors import UsageError
from iid_jax.faces import media
from iid_jax.faces.landmarks import Face


@pytest.fixture(scope="module")
def drawing(photo_tree) -> tuple[np.ndarray, np.ndarray]:
    """One picture (192, 192, 3) and its landmarks."""
    picture = media.read_image(photo_tree.folder / "Person_00" / "0.jpg")
    return picture, photo_tree.find(picture)[0].landmarks


def written(folder, picture, find, *landmarks):
    """The picture as a PNG in a person's folder, known to the landmarker."""
    path = folder / "Somebody" / "0.png"
    path.parent.mkdir(exist_ok=True)
    Image.fromarray(picture).save(path)
    find.know(picture, *landmarks)
    return path


def face(x0, y0, x1, y1) -> Face:
    return Face(np.array([x0, y0, x1, y1], np.float32), np.zeros((68, 2), np.float32), 1.0)


def test_people_come_sorted_with_their_pictures_and_strays_are_told(tmp_path):
    for name in ("B/2.jpg", "B/10.JPG", "A/1.png", "A/notes.txt", "A/.hidden.jpg", "readme.md"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    (tmp_path / ".git").mkdir()
    (tmp_path / "Nobody").mkdir()
    found, strays = photographs.people_of(tmp_path)
    assert {name: [p.name for p in paths] for name, paths in found.items()} == {
        "A": ["1.png"],
        "B": ["10.JPG", "2.jpg"],
    }
    assert [(item, status) for item, status, _ in strays] == [
        ("A/notes.txt", "stray"),
        ("readme.md", "stray"),
    ]


def test_the_limit_keeps_the_first_people(photo_tree):
    found, _ = photographs.people_of(photo_tree.folder, limit=3)
    assert list(found) == ["Person_00", "Person_01", "Person_02"]


def test_a_folder_without_pictures_is_refused_with_the_layout(tmp_path):
    with pytest.raises(UsageError, match=r"<person>/\*\.jpg"):
        photographs.people_of(tmp_path)


def test_the_cut_out_is_the_pictures_own_pixels_and_carries_its_landmarks(photo_tree):
    path = photo_tree.folder / "Person_01" / "2.jpg"
    picture = media.read_image(path)
    wanted = photo_tree.find(picture)[0].landmarks
    photograph = photographs.examine(path, photo_tree.find)
    x0, y0, x1, y1 = photograph.window
    assert photograph.window == geometry.crop_box(wanted, picture.shape[:2])
    np.testing.assert_array_equal(photographs.read_cut(photograph), picture[y0:y1, x0:x1])
    np.testing.assert_allclose(photograph.landmarks + (x0, y0), wanted, atol=1e-4)
    assert photograph.faces == 1 and photograph.score == 1.5 and photograph.quality == ""


def test_large_faces_are_cut_out_at_512_px_with_landmarks_on_the_same_spots(
    photo_tree, drawing, tmp_path
):
    picture, points = drawing
    large = cv2.resize(picture, None, fx=5, fy=5, interpolation=cv2.INTER_CUBIC)
    path = written(tmp_path, large, photo_tree.find, (points + 0.5) * 5 - 0.5)
    photograph = photographs.examine(path, photo_tree.find)
    cut = photographs.read_cut(photograph)
    assert max(cut.shape[:2]) == 512
    x0, y0, x1, _ = photographs.cut_window(picture, points)
    scale = 512 / (x1 - x0)
    # Both windows are rounded to whole pixels of pictures of different sizes.
    np.testing.assert_allclose(photograph.landmarks, (points - (x0, y0)) * scale, atol=4.0)
    small = photographs.skin_tone(picture, points)
    np.testing.assert_allclose(photograph.tone, small, atol=3)


def test_pictures_that_cannot_be_used_are_returned_with_their_reason(photo_tree, drawing, tmp_path):
    data = io.BytesIO()
    Image.fromarray(drawing[0]).save(data, "JPEG")
    broken = tmp_path / "broken.jpg"
    broken.write_bytes(data.getvalue()[:2000])
    empty = tmp_path / "empty.jpg"
    empty.write_bytes(b"")
    flat = tmp_path / "flat.png"
    Image.new("RGB", (64, 64), (90, 90, 90)).save(flat)
    found = [photographs.examine(path, photo_tree.find) for path in (broken, empty, flat)]
    assert [status for _, status, _ in found] == ["truncated", "empty", "no_face"]
    assert found[0][0] == f"{tmp_path.name}/broken.jpg"


def test_black_corners_of_a_turned_picture_are_cut_away(photo_tree, drawing, tmp_path):
    picture, points = drawing
    side = picture.shape[0]
    matrix = cv2.getRotationMatrix2D((side / 2, side / 2), 12.0, 1.0)
    turned = cv2.warpAffine(np.maximum(picture, 30), matrix, (side, side))
    moved = cv2.transform(points[None], matrix)[0]
    x0, y0, x1, y1 = photographs.cut_window(turned, moved)
    assert turned[y0, x0].max() > 12 and turned[y1 - 1, x1 - 1].max() > 12
    assert turned[y0, x1 - 1].max() > 12 and turned[y1 - 1, x0].max() > 12
    low, high = moved.min(axis=0), moved.max(axis=0)
    assert (np.array([x0, y0]) <= low).all() and (np.array([x1, y1]) > high).all()
    assert (x1 - x0) * (y1 - y0) > 0.5 * np.prod(np.ptp(geometry.hull(moved), axis=0))


def test_a_dark_place_inside_the_picture_is_not_padding(drawing):
    picture, points = drawing
    dark = picture.copy()
    dark[60:140, 4:30] = 0
    assert photographs.cut_window(dark, points) == photographs.cut_window(picture, points)


def test_padding_that_reaches_the_face_is_a_reason_to_leave_the_picture_out(
    photo_tree, drawing, tmp_path
):
    picture, points = drawing
    padded = picture.copy()
    padded[int(points[8, 1]) - 5 :] = 0
    path = written(tmp_path, padded, photo_tree.find, points)
    assert photographs.examine(path, photo_tree.find)[1] == "padded_face"


def test_of_nearly_equal_faces_the_one_in_the_middle_is_the_persons():
    middle, aside, small = face(40, 40, 80, 80), face(0, 0, 50, 50), face(58, 58, 62, 62)
    assert photographs.main_face([aside, middle, small], (120, 120)) is middle
    assert photographs.main_face([face(0, 0, 90, 90), middle], (120, 120)).box[2] == 90


def test_landmarks_that_the_mirrored_picture_does_not_confirm_are_refused(
    photo_tree, drawing, tmp_path
):
    picture, points = drawing
    path = written(tmp_path, picture, photo_tree.find, points)
    assert isinstance(photographs.examine(path, photo_tree.find), photographs.Photograph)
    eyes = np.linalg.norm(np.diff(geometry.five_points(points)[:2], axis=0))
    slipped = points + np.float32(0.2 * eyes) * np.array([0, 1], np.float32)
    photo_tree.find.know_as_it_is(
        picture[:, ::-1], geometry.mirror_landmarks(slipped, picture.shape[1])
    )
    item, status, detail = photographs.examine(path, photo_tree.find)
    assert (item, status, detail[:4]) == ("Somebody/0.png", "unsure_landmarks", "0.20")
    photo_tree.find.know_as_it_is(picture[:, ::-1])
    assert photographs.examine(path, photo_tree.find)[1] == "unsure_landmarks"
    photo_tree.find.know(picture, points)


def test_skin_tone_is_the_colour_between_eyes_and_nose(drawing):
    picture, points = drawing
    painted = np.zeros_like(picture)
    x0, y0 = points[[36, 31]].min(axis=0).astype(int)
    x1, y1 = points[[45, 33]].max(axis=0).astype(int) + 1
    painted[y0:y1, x0:x1] = (200, 150, 100)
    np.testing.assert_array_equal(photographs.skin_tone(painted, points), (200, 150, 100))
    np.testing.assert_array_equal(photographs.skin_tone(painted, points - 1000), (0, 0, 0))


def test_quality_tells_tiny_turned_and_several_faces(photo_tree, drawing, tmp_path):
    picture, points = drawing
    turned = points.copy()
    turned[geometry.NOSE_TIP, 0] += 20
    wide = np.concatenate([picture, picture], axis=1)
    other = points + np.array([picture.shape[1], 0], np.float32)
    tiny = cv2.resize(picture, None, fx=0.4, fy=0.4, interpolation=cv2.INTER_AREA)
    flags = [
        photographs.examine(written(tmp_path, *known), photo_tree.find).quality
        for known in (
            (np.flipud(picture).copy(), photo_tree.find, turned),
            (wide, photo_tree.find, points, other),
            (tiny, photo_tree.find, points * 0.4),
        )
    ]
    assert flags == ["profile", "several", "tiny"]


def test_photographs_are_found_by_dlib_in_several_processes(photo_tree):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    from iid_jax.faces.landmarks import DlibLandmarker

    paths = sorted((photo_tree.folder / "Person_03").glob("*.jpg"))
    alone = list(photographs.examine_all(paths, DlibLandmarker))
    together = list(photographs.examine_all(paths, DlibLandmarker, jobs=2))
    assert any(isinstance(p, photographs.Photograph) for p in alone)
    for one, other in zip(alone, together, strict=True):
        np.testing.assert_equal(tuple(one), tuple(other))
