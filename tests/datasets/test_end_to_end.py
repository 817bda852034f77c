"""From folders as downloaded to a table: trained on FaceForensics++, evaluated on Celeb-DF."""

import csv
import json

import pytest

from iid_jax.main import main

SMALL = {"train.steps": 2, "train.batch_size": 8, "eval.bootstrap": 20, "eval.val_frames": 8}


@pytest.mark.long
def test_trained_on_one_data_set_and_evaluated_on_another(
    faceforensics_tree, celeb_df_tree, tmp_path
):
    def run(*words):
        return main([*words, f"--data_dir={tmp_path / 'data'}", "--quiet"])

    for name, tree in (("faceforensics/c23", faceforensics_tree), ("celeb_df/v2", celeb_df_tree)):
        found_by = ["--frames=4", "--landmarker=drawn_videos:find", "--jobs=1", "--seed=1"]
        assert run("prepare", f"--dataset={name}", f"--source={tree.folder}", *found_by) == 0
    small = [f"--config.{key}={value}" for key, value in SMALL.items()]
    config = "--config=configs/quickstart.py:data=faceforensics/c23"
    assert run(config, *small, f"--workdir={tmp_path / 'run'}") == 0
    tested = [f"--checkpoint={tmp_path / 'run'}", "--data=celeb_df/v2"]
    assert run("evaluate", *tested, f"--out={tmp_path / 'out'}") == 0

    trained = json.loads((tmp_path / "run" / "summary.json").read_text())
    assert set(trained["data"]) == {"faceforensics/c23"} and trained["train"]["images"] == 16
    table = json.loads((tmp_path / "out" / "summary.json").read_text())["results"]
    (row,) = [r for r in table if (r["metric"], r["method"]) == ("video_auc", "all")]
    assert row["data"] == "celeb_df/v2" and row["n_videos"] == 3 and 0 <= row["value"] <= 1
    with next((tmp_path / "out" / "scores").glob("*.csv")).open(newline="") as file:
        scored = list(csv.DictReader(file))
    assert {(r["video_id"], r["label"], r["status"]) for r in scored} == {
        ("YouTube-real/00170", "0", "ok"),
        ("Celeb-real/id0_0000", "0", "ok"),
        ("Celeb-synthesis/id0_id1_0000", "1", "ok"),
    }
    assert len(scored) == 12
