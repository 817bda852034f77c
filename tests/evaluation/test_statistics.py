"""Single numbers of a face: right on pictures made for them, and told where they tell too much."""

import cv2
import numpy as np
import pytest

from iid_jax.data import canvas
from iid_jax.evaluation import page, statistics
from iid_jax.models import InputSpec

SPEC = InputSpec(112)


@pytest.fixture
def aligned(catalog):
    return canvas.align(catalog.read(catalog.select("test", label=0)[0]), SPEC)


def values(aligned, change=lambda image: image) -> dict[str, float]:
    face = statistics._face(aligned._replace(image=change(aligned.image)))
    return {name: function(face) for name, function in statistics.STATISTICS.items()}


def test_blur_rises_with_the_gaussian_and_not_with_brightness(aligned):
    blurs = [
        values(aligned, lambda image, s=s: cv2.GaussianBlur(image, (0, 0), s))["face_blur"]
        for s in (0.5, 1.0, 2.0, 4.0)
    ]
    assert (np.diff(blurs) > 0.3).all()
    brighter = values(aligned, lambda image: image // 2 + 100)["face_blur"]
    halved = values(aligned, lambda image: image // 2)["face_blur"]
    assert brighter == pytest.approx(halved, abs=1e-3)


def test_relative_blur_is_of_the_face_against_what_is_around_it(aligned):
    everywhere = values(aligned, lambda image: cv2.GaussianBlur(image, (0, 0), 2))
    inside = statistics._face(aligned).inside
    soft = cv2.GaussianBlur(aligned.image, (0, 0), 2)
    face_only = values(aligned, lambda image: np.where(inside[..., None], soft, image))
    assert abs(everywhere["relative_blur"] - values(aligned)["relative_blur"]) < 0.2
    assert face_only["relative_blur"] > values(aligned)["relative_blur"] + 0.5


def test_colours_are_those_of_the_face(aligned):
    inside = statistics._face(aligned).inside[..., None]
    flat = np.where(inside, np.uint8((200, 120, 100)), np.uint8((50, 50, 50)))
    found = values(aligned, lambda image: flat)
    assert found["saturation"] == pytest.approx(100) and found["redness"] == pytest.approx(80)
    assert found["brightness"] == pytest.approx(0.299 * 200 + 0.587 * 120 + 0.114 * 100, abs=1)
    assert found["contrast"] == pytest.approx(0, abs=1e-3)
    assert found["colour_step"] > 60  # some of what surrounds the eroded face is its own edge


def test_blur_tells_blurred_fakes_from_genuine_pictures(catalog):
    rows = statistics.blur_results(catalog, "test", SPEC, 50, 0)
    found = {(row["method"], row["metric"]): row for row in rows}
    assert set(found) == {("blur", "face_blur_auc"), ("smear", "face_blur_auc")}
    assert found["blur", "face_blur_auc"]["value"] == 1.0
    detector = {**rows[0], "metric": "video_auc", "value": 0.75}
    (line,) = page._blur([*rows, detector])
    assert line == "Face blur alone has a video AUC of 1.000 on blur, the detector's 0.750."
    assert page._blur([detector]) == []


def test_unreadable_rows_have_no_number_and_are_left_out(make_catalog):
    whole, rows = make_catalog(), make_catalog().select("test")
    broken = make_catalog(broken=rows[:2].tolist())
    found = statistics.measure(broken, rows[:5], SPEC, ("noise", "face_blur"))
    expected = statistics.measure(whole, rows[:5], SPEC)
    assert list(found) == ["noise", "face_blur"]
    np.testing.assert_array_equal(np.isnan(found["noise"]), [True, True, False, False, False])
    np.testing.assert_array_equal(found["noise"][2:], expected["noise"][2:])


def test_some_frames_of_each_video_are_evenly_taken():
    class Rows:
        columns = {  # noqa: RUF012
            "video_id": np.array(["b"] * 9 + ["a"] * 2),
            "frame": np.array([8, 7, 6, 5, 4, 3, 2, 1, 0, 5, 9]),
        }

    assert statistics.some_frames(Rows, np.arange(11), 3).tolist() == [0, 4, 8, 9, 10]
    assert statistics.some_frames(Rows, np.arange(0), 3).tolist() == []
