"""`predict`: every input has a line, a score only where there is a face, and nothing is lost."""

import csv
import json
import os
import shutil

import cv2
import numpy as np
import pytest
from PIL import Image

import iid_jax
from iid_jax import plots
from iid_jax.errors import UsageError
from iid_jax.faces import drawn, media, video
from iid_jax.inference import drawing, files, given, sources
from iid_jax.inference.prediction import Prediction
from iid_jax.main import main

FINDS = "--landmarker=drawn_videos:find"


def person() -> list[drawn.Shot]:
    """Two pictures of somebody."""
    rng = np.random.default_rng(5)
    return drawn.draw_video(drawn.draw_person(rng), rng, 2)


@pytest.fixture(scope="module")
def album(studio, tmp_path_factory):
    """Two pictures of one drawn person, and what cannot be scored beside them."""
    folder = tmp_path_factory.mktemp("album")
    made = studio(folder)
    for i, shot in enumerate(person()):
        path = folder / "people" / f"{i}.jpg"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(shot.image).save(path, quality=95)
        made.know(media.read_image(path), shot.landmarks)
    small = cv2.resize(shot.image, (24, 24), interpolation=cv2.INTER_AREA)
    Image.fromarray(small).save(folder / "small.png")
    made.know(media.read_image(folder / "small.png"), shot.landmarks / 8)
    Image.new("RGB", (99, 99), (9, 99, 9)).save(folder / "meadow.png")
    (folder / "broken.jpg").write_bytes((folder / "people" / "0.jpg").read_bytes()[:3000])
    (folder / "notes.txt").write_text("no picture")
    (folder / "huge.bmp").write_bytes(huge_bitmap())
    (folder / ".hidden").mkdir()
    shutil.copy(folder / "meadow.png", folder / ".hidden" / "hidden.png")
    made.real("clips/clip.mp4", "somebody", frames=7)
    made.meadow("clips/nobody.mp4", frames=3)
    return folder


def huge_bitmap() -> bytes:
    """A BMP whose header says 9000 x 9000 pixels; there are none."""
    header = np.array([40, 9000, 9000], "<i4").tobytes() + b"\x01\x00\x18\x00" + bytes(24)
    return b"BM" + np.array([54, 0, 54], "<i4").tobytes() + header


def predict(run_dir, out, *words) -> tuple[int, list[dict], list[dict]]:
    """Runs the verb; its exit code, results.json and the lines of results.csv."""
    words = [str(word) for word in words]
    code = main(["predict", *words, f"--checkpoint={run_dir}", f"--out={out}", FINDS, "--quiet"])
    with (out / "results.csv").open(encoding="utf-8", newline="") as file:
        lines = list(csv.DictReader(file))
    return code, json.loads((out / "results.json").read_text(encoding="utf-8")), lines


@pytest.fixture(scope="module")
def judged(run_dir, album, tmp_path_factory):
    out = tmp_path_factory.mktemp("judged")
    return out, *predict(run_dir, out, album, album / "gone.jpg")


def test_every_file_has_its_status_and_only_faces_a_score(judged, album):
    _, code, results, _ = judged
    statuses = {os.path.relpath(r["path"], album): r["status"] for r in results}
    assert statuses == {
        "people/0.jpg": "ok",
        "people/1.jpg": "ok",
        "clips/clip.mp4": "ok",
        "small.png": "too_small",
        "meadow.png": "no_face",
        "broken.jpg": "truncated",
        "huge.bmp": "too_large",
        "clips/nobody.mp4": "no_face",
        "gone.jpg": "not_found",
    }
    assert code == 3
    for result in results:
        assert (result["score"] is not None) == (result["status"] == "ok")
        assert bool(result["error"]) == (result["status"] != "ok")


def test_results_json_has_the_fixed_layout(judged):
    _, _, results, _ = judged
    for result in results:
        assert list(result) == ["path", "status", "error", "score", "frames"]
        for frame in result["frames"]:
            assert {"time", "index", "faces"} <= set(frame)
            for face in frame["faces"]:
                assert {"box", "score", "artifacts", "landmarks"} <= set(face)
                assert np.shape(face["box"]) == (4,) and np.shape(face["landmarks"]) == (68, 2)
                for artifact in face["artifacts"]:
                    assert set(artifact) == {"box", "score"}
                    assert min(artifact["box"]) >= 0 and max(artifact["box"]) <= 192
    assert any(f["artifacts"] for r in results for x in r["frames"] for f in x["faces"])


def test_results_csv_says_the_same(judged):
    _, _, results, lines = judged
    assert list(lines[0]) == ["path", "status", "score", "faces", "error"]
    for result, line in zip(results, lines, strict=True):
        score = "" if result["score"] is None else f"{result['score']:.9g}"
        faces = max((len(frame["faces"]) for frame in result["frames"]), default=0)
        texts = [result[name] for name in ("path", "status", "error")]
        assert [line["path"], line["status"], line["error"]] == texts
        assert (line["score"], line["faces"]) == (score, str(faces))


def test_scores_are_those_of_the_python_call(judged, album, run_dir, studio):
    _, _, results, _ = judged
    from iid_jax.faces import choice

    detector = iid_jax.load(run_dir, choice.choose("drawn_videos:find"))
    scores = {r["path"]: r["score"] for r in results}
    for path in (album / "people" / "0.jpg", album / "clips" / "clip.mp4"):
        assert scores[str(path)] == pytest.approx(detector.predict(path).score, abs=2e-5)


def test_video_has_frames_by_time_and_their_mean_score(judged):
    _, _, results, _ = judged
    (clip,) = (r for r in results if r["path"].endswith("clip.mp4"))
    # 7 frames at 25 a second, looked at 5 times a second.
    assert [(f["index"], f["time"]) for f in clip["frames"]] == [(0, 0.0), (5, 0.2)]
    scores = [f["score"] for f in clip["frames"]]
    assert scores[0] != scores[1]
    assert clip["score"] == pytest.approx(np.mean(scores), abs=1e-8)


def test_frames_without_a_face_have_a_status_and_leave_the_mean_alone(run_dir, studio, tmp_path):
    made = studio(tmp_path)
    made.real("a.mp4", "somebody", frames=6)
    shots = [f.image for f in video.FrameReader(tmp_path / "a.mp4", range(6))]
    import drawn_videos

    path = drawn_videos.write_video(tmp_path / "b.mp4", [*shots[:4], *[shots[0] * 0 + 90] * 4])
    seen = [f.image for f in video.FrameReader(path, range(8))]
    for image, shot in zip(seen[:4], drawn_videos.shots("somebody"), strict=False):
        made.know(image, shot.landmarks)
    code, (result,), _ = predict(run_dir, tmp_path / "out", path, "--fps=25")
    assert [f["status"] for f in result["frames"]] == ["ok"] * 4 + ["no_face"] * 4
    assert [f["score"] is None for f in result["frames"]] == [False] * 4 + [True] * 4
    assert result["score"] == pytest.approx(np.mean([f["score"] for f in result["frames"][:4]]))
    assert code == 0 and result["error"] == "4 of 8 frames no_face"


def test_pictures_are_annotated(judged):
    out, _, results, _ = judged
    names = {path.name for path in (out / "pictures").iterdir()}
    numbers = [i for i, r in enumerate(results, 1) if r["frames"]]
    assert {int(name[:4]) for name in names} == set(numbers)
    path = next(path for path in (out / "pictures").iterdir() if path.name.endswith("0.jpg.png"))
    shown = np.asarray(Image.open(path).convert("RGB")).reshape(-1, 3)
    face = np.array([int(plots.FACE[i : i + 2], 16) for i in (1, 3, 5)])
    assert (shown == face).all(axis=1).sum() > 500


def test_earlier_results_are_not_overwritten_without_saying(run_dir, album, tmp_path, capsys):
    picture = album / "people" / "0.jpg"
    code, before, _ = predict(run_dir, tmp_path, picture, "--no_pictures")
    assert code == 0 and not list((tmp_path / "pictures").iterdir())
    kept = tmp_path / "pictures" / "mine.png"
    kept.write_bytes(b"mine")
    words = [f"--checkpoint={run_dir}", f"--out={tmp_path}", FINDS, "--quiet"]
    assert main(["predict", str(album / "people" / "1.jpg"), *words]) == 4
    assert "--overwrite" in capsys.readouterr().err
    assert json.loads((tmp_path / "results.json").read_text()) == before
    code, after, _ = predict(run_dir, tmp_path, album / "people" / "1.jpg", "--overwrite")
    assert "2 files of an earlier predict are replaced" in capsys.readouterr().out
    assert after != before and kept.read_bytes() == b"mine"


def test_given_landmarks_are_used(run_dir, album, tmp_path):
    """Of a picture that the landmarker does not know, and instead of the ones that it finds."""
    known = shutil.copy(album / "people" / "0.jpg", tmp_path / "known.jpg")
    points = person()[0].landmarks
    Image.fromarray(media.read_image(known) ^ 1).save(tmp_path / "unknown.png")
    stored = {"known.jpg": (points + 3).tolist(), str(tmp_path / "unknown.png"): [points.tolist()]}
    (tmp_path / "points.json").write_text(json.dumps(stored))
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(tmp_path)
        words = ["known.jpg", tmp_path / "unknown.png", tmp_path / "*.jpg"]
        found = predict(run_dir, tmp_path / "out", *words, "--landmarks=points.json")[1]
    assert [r["status"] for r in found] == ["ok", "ok"]
    for result, wanted in zip(found, (points + 3, points), strict=True):
        face = result["frames"][0]["faces"][0]
        np.testing.assert_allclose(face["landmarks"], wanted, atol=0.006)


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        (None, "cannot be read"),
        ("[[[[", "cannot be read"),
        ("[" * 100_000, "cannot be read"),
        ("[1]", "JSON object"),
        ('{"a.jpg": [[1, 2]]}', "those of a.jpg must be finite, (68, 2)"),
        ('{"a.jpg": "points"}', "those of a.jpg must be numbers"),
    ],
)
def test_wrong_landmarks_file_is_a_usage_error(tmp_path, stored, told):
    path = tmp_path / "points.json"
    if stored is not None:
        path.write_text(stored)
    with pytest.raises(UsageError, match="--landmarks=") as caught:
        given.Given.read(path)
    assert told in str(caught.value) and "\n" not in str(caught.value)


def test_interrupted_work_leaves_what_was_judged(run_dir, album, tmp_path, monkeypatch):
    pictures = sorted((album / "people").iterdir())
    real = iid_jax.Detector.predict_file

    def interrupted(self, path, *rest):
        if path == str(pictures[1]):
            raise KeyboardInterrupt
        return real(self, path, *rest)

    monkeypatch.setattr(iid_jax.Detector, "predict_file", interrupted)
    words = [str(p) for p in pictures] + [f"--checkpoint={run_dir}", f"--out={tmp_path}", FINDS]
    assert main(["predict", *words, "--quiet"]) == 130
    assert len(json.loads((tmp_path / "results.json").read_text())) == 1


@pytest.mark.parametrize(
    ("words", "line"),
    [
        (["a.jpg"], "predict needs --checkpoint"),
        (["--checkpoint=runs/x"], "predict needs a PATH"),
        (["a.jpg", "--checkpoint=runs/x", "--fps=0"], "fps=0.0: must be above 0"),
        (["a.jpg", "--checkpoint=runs/x", "--fps=nan"], "fps=nan: must be above 0"),
        (["a.jpg", "--checkpoint=runs/x", "--config.seed=1"], "--config.seed: a detector judges"),
        (["a.jpg", "--checkpiont=runs/x"], "did you mean '--checkpoint'"),
    ],
)
def test_wrong_usage_is_one_line(told, words, line):
    code, said = told("predict", *words)
    assert code == 2 and line in said


def test_missing_checkpoint_leaves_nothing_behind(told, tmp_path):
    code, _ = told("predict", "a.jpg", f"--checkpoint={tmp_path}/no", f"--out={tmp_path}/out")
    assert code == 4 and not (tmp_path / "out").exists()


def test_landmarks_for_a_video_are_a_usage_error(run_dir, album):
    detector = iid_jax.load(run_dir)
    with pytest.raises(UsageError, match="pictures only"):
        detector.predict(album / "clips" / "clip.mp4", np.zeros((68, 2)))


def test_a_pattern_a_folder_and_a_file_mean_each_file_once(album, tmp_path, monkeypatch):
    monkeypatch.chdir(album)
    people = ["people/0.jpg", "people/1.jpg"]
    assert sources.find(["people/1.jpg", "people", "./people/*.jpg", "**/0.jpg"]) == people[::-1]
    odd = tmp_path / "[1].jpg"
    odd.write_bytes(b"")
    assert sources.find([str(odd)]) == [str(odd)]
    (tmp_path / "empty").mkdir()
    none = sources.find([str(tmp_path / "empty"), "*.gif"])
    assert [(p.status, p.score) for p in none] == [("no_media", None), ("not_found", None)]


def test_names_that_are_no_text_or_no_good_file_names_are_told(tmp_path):
    path = os.fsdecode(b"a\xff\nb.jpg")
    files.claim(tmp_path, overwrite=False)
    files.write(tmp_path, [Prediction(path, "no_face", f"{path} has none")])
    (result,) = json.loads((tmp_path / "results.json").read_text(encoding="utf-8"))
    assert result["path"] == "a\\udcff\nb.jpg"
    with (tmp_path / "results.csv").open(encoding="utf-8", newline="") as file:
        assert next(csv.DictReader(file))["path"] == result["path"]
    place = files.picture_path(tmp_path, 12345, "x/../" + "é/" + 300 * "y" + "<&>.jpg")
    assert place.parent == tmp_path / "pictures" and len(place.name) < 100
    assert place.name.startswith("12345_") and place.name.endswith("_.jpg.png")


@pytest.mark.parametrize("count", [1, 16, 17, 100])
def test_a_videos_drawing_shows_frames_of_all_of_it(count):
    from iid_jax.inference import Frame

    drawn_frames = drawing.Drawing(is_video=True)
    for index in range(count):
        drawn_frames(Frame(index, index / 5, ()), np.zeros((720, 1280, 3), np.uint8))
    kept = [frame.index for frame, _, _ in drawn_frames._kept]
    assert min(count, drawing.FRAMES // 2) <= len(kept) <= drawing.FRAMES
    assert kept[0] == 0 and count - kept[-1] <= max(np.diff([*kept, count]))
    assert len(set(np.diff(kept))) <= 1
    assert drawn_frames._kept[0][1].shape == (202, 360, 3)


@pytest.mark.long
def test_real_clips_and_photographs_go_through(shared_data, run_dir, tmp_path):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    people = sorted((shared_data / "lfw").iterdir())[:3]
    words = [*map(str, people), str(shared_data / "videos"), f"--checkpoint={run_dir}"]
    assert main(["predict", *words, f"--out={tmp_path}", "--fps=5", "--quiet"]) in (0, 3)
    results = json.loads((tmp_path / "results.json").read_text())
    clips = [r for r in results if r["path"].endswith(".mp4")]
    assert len(clips) == 3 and all(r["status"] == "ok" for r in clips)
    assert all(30 <= len(r["frames"]) <= 50 for r in clips)
