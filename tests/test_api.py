"""`import iid_jax`: quick and light; a picture has the score that its record has in evaluation."""

import hashlib
import json
import shutil
import subprocess
import sys
from types import SimpleNamespace

import cv2
import jax
import numpy as np
import pytest
from PIL import Image

import iid_jax
from iid_jax import checkpoint, geometry
from iid_jax.data import builder, canvas, photographs, schema
from iid_jax.errors import DataError, UsageError
from iid_jax.evaluation import localisation, score, summary
from iid_jax.faces import drawn, media
from iid_jax.inference import alignment

SIDE = 192
# Batches of different sizes are computed in different orders.
ROUNDING = 2e-5


@pytest.fixture(scope="module")
def shots():
    """Eight pictures of two drawn people."""
    taken = []
    for number in (3, 4):
        rng = np.random.default_rng(number)
        taken += drawn.draw_video(drawn.draw_person(rng), rng, 4)
    return taken


@pytest.fixture(scope="module")
def detector(run_dir, photo_tree):
    return iid_jax.load(run_dir, photo_tree.find)


def logit(detector, canvases) -> np.ndarray:
    found = detector.logits(np.atleast_1d(np.array(canvases)))
    return found[:, 1] - found[:, 0]


def test_import_is_quick_and_loads_no_heavy_library():
    code = (
        "import sys, time; start = time.perf_counter(); import iid_jax\n"
        "iid_jax.load, iid_jax.data.load\n"
        "print(time.perf_counter() - start, [m for m in sys.modules if m.split('.')[0] in "
        "('jax', 'flax', 'cv2', 'tensorflow', 'orbax', 'grain', 'matplotlib', 'PIL', 'dlib')])"
    )
    runs = [
        subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
        for _ in range(3)
    ]
    seconds = [float(run.stdout.split(maxsplit=1)[0]) for run in runs]
    assert [run.stdout.split(maxsplit=1)[1].strip() for run in runs] == ["[]"] * 3
    # The quickest of three: others may use the machine meanwhile.
    assert min(seconds) < 0.3


def test_load_gives_a_detector_that_tells_its_checkpoint(detector):
    assert isinstance(detector, iid_jax.Detector)
    assert detector.step == 3 and detector.input_spec.size == 112
    assert {"load", "Detector", "data"} <= set(dir(iid_jax))
    with pytest.raises(AttributeError, match="Detektor"):
        iid_jax.Detektor  # noqa: B018


def test_missing_checkpoint_is_a_data_error(tmp_path):
    with pytest.raises(DataError, match="no checkpoint"):
        iid_jax.load(tmp_path)


def test_logits_are_the_models_own_for_any_number_of_canvases(detector, run_dir):
    loaded = checkpoint.load_detector(run_dir)
    images = np.random.default_rng(0).integers(100, 140, (19, 112, 112, 3), np.uint8)
    normalised = loaded.input_spec.normalise(images)
    expected = np.asarray(jax.jit(loaded.module.apply)(loaded.variables, normalised).logits)
    found = detector.logits(images)
    assert found.shape == (19, 2) and found.dtype == np.float32
    assert np.ptp(expected[:, 1] - expected[:, 0]) > 100 * ROUNDING
    np.testing.assert_allclose(found, expected, atol=ROUNDING, rtol=ROUNDING)
    np.testing.assert_allclose(detector.logits(images[:1]), expected[:1], atol=ROUNDING)
    assert detector.logits(images[:0]).shape == (0, 2)


@pytest.mark.parametrize(
    "images",
    [np.zeros((1, 112, 112, 3)), np.zeros((112, 112, 3), np.uint8), np.zeros((1, 9, 9, 3), "u1")],
)
def test_logits_refuse_what_is_no_canvas(detector, images):
    with pytest.raises(ValueError, match="RGB uint8"):
        detector.logits(images)


def test_photograph_has_the_score_of_the_record_made_from_it(
    detector, photo_tree, tmp_path, monkeypatch
):
    cls = builder.builder_class("photo_swaps")
    monkeypatch.setattr(cls, "LANDMARKER", staticmethod(lambda: photo_tree.find))
    settings = builder.Settings(source=str(photo_tree.folder), limit=12)
    catalog = builder.prepare("photo_swaps", tmp_path, settings, jobs=1, quiet=True)
    rows = catalog.select(label=schema.REAL)
    spec = detector.input_spec
    scored = score.score(detector._detect, catalog, rows, spec, 16, quiet=True)
    assert len(rows) > 10 and scored.table.scored.all() and np.ptp(scored.table["logit"]) > 0.01
    for row, expected in zip(scored.rows, scored.table["logit"], strict=True):
        c = catalog.columns
        path = photo_tree.folder / c["identity"][row] / f"{c['frame'][row]}.jpg"
        (face,) = detector.predict(path).faces
        assert face.logit == pytest.approx(expected, abs=ROUNDING)


def changed(name: str, shot) -> tuple[np.ndarray, np.ndarray]:
    """A picture and its landmarks: as drawn, larger than stored, padded, or cut by the edge."""
    picture, points = shot.image, shot.landmarks
    if name == "large":
        side = 7 * SIDE
        picture = cv2.resize(picture, (side, side), interpolation=cv2.INTER_CUBIC)
        return picture, ((points + 0.5) * 7 - 0.5).astype(np.float32)
    if name == "padded":
        turn = cv2.getRotationMatrix2D((SIDE / 2, SIDE / 2), 12, 1.0)
        lifted = np.vstack([turn, (0, 0, 1)])
        picture = cv2.warpAffine(picture, turn, (SIDE, SIDE))
        return picture, geometry.transform_points(lifted, points).astype(np.float32)
    if name == "at_the_edge":
        left = int(points[:, 0].min()) - 3
        return picture[:, left:].copy(), (points - (left, 0)).astype(np.float32)
    return picture, points


@pytest.mark.parametrize("name", ["drawn", "large", "padded", "at_the_edge"])
def test_given_landmarks_lead_to_the_canvas_of_a_prepared_photograph(
    detector, shots, tmp_path, name
):
    picture, points = changed(name, shots[0])
    path = tmp_path / "a.png"
    Image.fromarray(picture).save(path)
    found = [SimpleNamespace(box=np.zeros(4), landmarks=points, score=1.0)]
    monkey = pytest.MonkeyPatch()
    monkey.setattr(photographs, "landmark_doubts", lambda *_: [0.0])
    prepared = photographs.examine(path, lambda _: found)
    monkey.undo()
    record = record_of(photographs.read_cut(prepared), prepared.landmarks)
    expected = canvas.align(record, detector.input_spec).image
    for source in (path, picture):
        (face,) = detector.predict(source, points).faces
        np.testing.assert_array_equal(face.canvas, expected)
        assert face.logit == pytest.approx(logit(detector, [expected])[0], abs=ROUNDING)


def record_of(picture, points):
    columns = {"label": 0, "method": "original", "split": "test", "frame": 0}
    return schema.make_record(picture, points, video_id="v", identity="i", **columns)


def test_drawn_face_with_given_landmarks_has_its_records_score(detector, shots):
    """As practice_faces stores it: the whole frame, without looking for padding."""
    logits = []
    for shot in shots:
        aligned = canvas.align(record_of(shot.image, shot.landmarks), detector.input_spec)
        logits.append(logit(detector, [aligned.image])[0])
        result = detector.predict(shot.image, shot.landmarks)
        assert result.status == "ok" and result.path == "" and result.error == ""
        assert result.faces[0].logit == pytest.approx(logits[-1], abs=ROUNDING)
        assert result.score == pytest.approx(1 / (1 + np.exp(-logits[-1])), abs=ROUNDING)
    assert np.ptp(logits) > 0.01


@pytest.mark.parametrize("name", ["drawn", "large", "padded"])
def test_matrix_takes_the_picture_to_the_canvas(detector, shots, name):
    picture, points = changed(name, shots[1])
    (face,) = detector.predict(picture, points).faces
    # Where it is shrunk a lot, single pixels alias.
    smooth = cv2.GaussianBlur(picture, (0, 0), 3) if name == "large" else picture
    again = geometry.warp(smooth, face.matrix, 112)
    inside = np.s_[30:90, 30:90]
    off = np.abs(again[inside].astype(float) - face.canvas[inside])
    shifted = np.abs(np.roll(again, 2, 1)[inside].astype(float) - face.canvas[inside])
    assert off.mean() < 4.0 and off.mean() < 0.6 * shifted.mean()


def test_box_on_the_canvas_is_told_in_pixels_of_the_picture():
    """A face at (100, 50), twice as large as on its canvas of 10 px."""
    matrix = np.array([[0.5, 0, -0.25 - 50], [0, 0.5, -0.25 - 25], [0, 0, 1.0]])
    boxes = np.array([[0.0, 0.0, 1.0, 1.0], [0.2, 0.4, 0.6, 0.5]])
    found = alignment.on_picture(boxes, matrix, 10, (400, 300))
    np.testing.assert_allclose(found, [[100, 50, 120, 70], [104, 58, 112, 60]], atol=1e-9)
    clipped = alignment.on_picture(boxes, matrix, 10, (65, 110))
    np.testing.assert_allclose(clipped, [[100, 50, 110, 65], [104, 58, 110, 60]], atol=1e-9)


def test_artifacts_are_the_boxes_from_the_threshold_on(detector, shots, monkeypatch):
    assert detector.box_threshold == 0.5
    found = detector.predict(shots[0].image, shots[0].landmarks).faces[0].artifacts
    scores = [artifact.score for artifact in found]
    assert len(scores) >= 3 and scores == sorted(scores, reverse=True) and min(scores) >= 0.5
    for artifact in found:
        x0, y0, x1, y1 = artifact.box
        assert 0 <= x0 < x1 <= SIDE and 0 <= y0 < y1 <= SIDE
    monkeypatch.setattr(detector, "box_threshold", scores[1])
    fewer = detector.predict(shots[0].image, shots[0].landmarks).faces[0].artifacts
    assert fewer == found[:2]


def test_threshold_is_the_one_that_the_run_chose(detector, run_dir, tmp_path):
    run = shutil.copytree(run_dir, tmp_path / "run")
    entry = {"metric": localisation.THRESHOLD, "value": 0.125}
    digest = summary.config_sha256(detector.config)
    for config_sha256, threshold in ((digest, 0.125), ("another", 0.5)):
        made = {"config_sha256": config_sha256, "results": [entry]}
        (run / "summary.json").write_text(json.dumps(made))
        assert iid_jax.load(run).box_threshold == threshold
        assert iid_jax.load(run / "checkpoints" / "3").box_threshold == threshold


def test_a_run_of_an_earlier_version_is_known_by_its_own_configuration(detector, run_dir, tmp_path):
    run = shutil.copytree(run_dir, tmp_path / "run")
    earlier = detector.config.to_dict()
    del earlier["model"]["init_from"]
    entry = {"metric": localisation.THRESHOLD, "value": 0.125}
    digest = hashlib.sha256(json.dumps(earlier, sort_keys=True).encode()).hexdigest()
    made = {"config_sha256": digest, "results": [entry]}
    (run / "summary.json").write_text(json.dumps(made))
    for seed, threshold in ((earlier["seed"], 0.125), (earlier["seed"] + 1, 0.5)):
        (run / "config.json").write_text(json.dumps({**earlier, "seed": seed}))
        assert iid_jax.load(run).box_threshold == threshold


def test_heat_map_adds_up_to_the_logit(detector, run_dir, shots):
    loaded = checkpoint.load_detector(run_dir)
    (face,) = detector.predict(shots[0].image, shots[0].landmarks).faces
    outputs = jax.jit(loaded.module.apply)(
        loaded.variables, loaded.input_spec.normalise(face.canvas[None])
    )
    head = loaded.variables["params"]["classifier"]
    weight = head["kernel"][:, 1] - head["kernel"][:, 0]
    rest = outputs.features["artifact"][0] @ weight + head["bias"][1] - head["bias"][0]
    cells = detector._explain.cells(face.canvas)
    assert cells.shape == (7, 7) and cells.std() > 0
    assert cells.mean() + rest == pytest.approx(face.logit, abs=1e-4)
    assert face.heatmap.shape == (112, 112) and face.heatmap.dtype == np.float32
    middles = face.heatmap.reshape(7, 16, 7, 16)[:, 7:9, :, 7:9].mean(axis=(1, 3))
    np.testing.assert_allclose(middles, cells, atol=0.1 * np.ptp(cells))


def test_picture_without_a_face_has_a_status_and_no_score(detector, shots):
    result = detector.predict(255 - shots[0].image)
    assert (result.status, result.score, result.faces) == ("no_face", None, ())
    assert result.error == "no face was found"
    assert detector.predict(shots[0].image, np.zeros((0, 68, 2))).status == "no_face"


@pytest.mark.parametrize(
    ("status", "change"),
    [
        ("too_small", lambda image, points: (image, points * 0.1 + 90)),
        ("face_outside", lambda image, points: (image, points + 500)),
        ("padded_face", lambda image, points: (np.where(image * 0 + 1, 0, image), points)),
    ],
)
def test_face_that_cannot_be_judged_has_its_reason(detector, shots, status, change):
    image, points = change(shots[0].image, shots[0].landmarks)
    result = detector.predict(image, points)
    (face,) = result.faces
    assert (result.status, result.score, face.status, face.score) == (status, None, status, None)
    assert face.canvas is None and face.heatmap is None and result.error


def test_output_that_is_not_finite_is_no_score(run_dir, shots, monkeypatch):
    detector = iid_jax.load(run_dir)
    nothing = score.Detections(np.full((1, 2), np.nan), np.ones((1, 1, 4)), np.ones((1, 1)))
    monkeypatch.setattr(detector, "_detect", lambda images: nothing)
    result = detector.predict(shots[0].image, shots[0].landmarks)
    assert (result.status, result.score) == ("not_finite", None)
    assert not result.faces[0].artifacts


def test_picture_has_the_score_of_its_most_suspicious_face(detector, shots):
    image = np.concatenate([shots[0].image, shots[4].image], axis=1)
    points = [shots[0].landmarks, shots[4].landmarks + np.float32((SIDE, 0))]
    tiny = points[0] * 0.1 + 90
    for order in ((0, 1), (1, 0)):
        result = detector.predict(image, np.array([points[i] for i in order] + [tiny]))
        assert [face.status for face in result.faces] == ["ok", "ok", "too_small"]
        first, second = (face.score for face in result.faces[:2])
        assert first != second and result.score == max(first, second)
        assert result.status == "ok"


def test_what_is_not_found_again_on_the_mirrored_picture_has_no_score(run_dir, shots):
    """Hair that looks like a face must not be the most suspicious one of the picture."""
    image = np.concatenate([shots[0].image, shots[4].image], axis=1)
    points = [shots[0].landmarks, shots[4].landmarks + np.float32((SIDE, 0))]

    def find(picture):
        if np.array_equal(picture, image):
            found = points
        else:
            found = [geometry.mirror_landmarks(points[0], 2 * SIDE)]
        return [SimpleNamespace(box=np.zeros(4), landmarks=p, score=1.0) for p in found]

    result = iid_jax.load(run_dir, find).predict(image)
    sure, doubtful = result.faces
    assert (sure.status, doubtful.status) == ("ok", "unsure_landmarks")
    assert doubtful.score is None and result.score == sure.score
    points.reverse()
    assert iid_jax.load(run_dir, lambda _: find(image)[:1]).predict(image).error.startswith("what")


@pytest.mark.parametrize(
    ("name", "data", "status"),
    [("gone.jpg", None, "not_found"), ("a.jpg", b"\xff\xd8\xff", "unknown_format")],
)
def test_file_that_cannot_be_read_has_a_status(detector, tmp_path, name, data, status):
    if data is not None:
        (tmp_path / name).write_bytes(data)
    result = detector.predict(tmp_path / name)
    assert result.status == status and name in result.error and result.score is None


@pytest.mark.parametrize(
    ("picture", "landmarks"),
    [
        (np.zeros((64, 64, 3)), None),
        (np.zeros((64, 64), np.uint8), None),
        (np.zeros((64, 9, 3), np.uint8), None),
        (np.zeros((64, 64, 3), np.uint8), np.zeros((5, 2))),
        (np.zeros((64, 64, 3), np.uint8), np.full((68, 2), np.nan)),
        (np.zeros((64, 64, 3), np.uint8), "landmarks.txt"),
    ],
)
def test_wrong_arrays_are_usage_errors(detector, picture, landmarks):
    with pytest.raises(UsageError):
        detector.predict(picture, landmarks)


def test_exif_orientation_turns_the_picture_before_the_search(detector, photo_tree, tmp_path):
    path = sorted(photo_tree.folder.glob("*/*.jpg"))[0]
    picture = media.read_image(path)
    exif = Image.Exif()
    exif[0x0112] = 6
    turned = tmp_path / "turned.png"
    Image.fromarray(np.ascontiguousarray(np.rot90(picture))).save(turned, exif=exif)
    assert detector.predict(turned).score == detector.predict(path).score is not None
