"""The verb `analyze`: its flags, its exit codes, and the page it writes."""

import json
import re
import shutil
from pathlib import Path

import pytest

from iid_jax import main
from iid_jax.leakage.section import RESULTS


def analyze(run_dir, practice_dir, out, measurement, *flags):
    command = ["analyze", measurement, f"--checkpoint={run_dir}", f"--data_dir={practice_dir}"]
    return main.main([*command, f"--out={out}", "--bootstrap=20", "--quiet", *flags])


@pytest.fixture(scope="module")
def folder(run_dir, practice_dir, tmp_path_factory):
    """A leak and a small cam in one folder."""
    out = tmp_path_factory.mktemp("analyzed")
    assert analyze(run_dir, practice_dir, out, "leak") == 0
    assert analyze(run_dir, practice_dir, out, "cam", "--images=4") == 0
    return out


def test_measurements_gather_in_one_results_file(folder):
    stored = json.loads((folder / RESULTS).read_text(encoding="utf-8"))
    assert stored["schema"] == 1 and set(stored["measurements"]) == {"leak", "cam"}
    cam = stored["measurements"]["cam"]
    assert cam["command"].startswith("python -m iid_jax.main analyze cam")
    assert {"seed", "commit", "versions", "hardware", "data", "detectors"} <= set(cam)
    assert any(row["metric"] == "leak_auc" for row in stored["measurements"]["leak"]["results"])


def test_every_figure_is_a_png_and_in_the_page(folder):
    stored = json.loads((folder / RESULTS).read_text(encoding="utf-8"))["measurements"]
    files = [figure["file"] for part in stored.values() for figure in part["figures"]]
    assert files and all((folder / name).read_bytes().startswith(b"\x89PNG") for name in files)
    text = (folder / "leakage.html").read_text(encoding="utf-8")
    assert text.count("data:image/png;base64,") == len(files)
    assert not re.search(r'(src|href)="(?!data:)', text)


def test_what_a_stranger_s_results_file_says_is_text_on_the_page(
    folder, run_dir, practice_dir, tmp_path
):
    out = tmp_path / "out"
    shutil.copytree(folder, out)
    stored = json.loads((out / RESULTS).read_text(encoding="utf-8"))
    part = stored["measurements"]["cam"]
    part["notes"] = ["<script>alert(1)</script>"]
    part["figures"] = [{"file": "../secret.png", "caption": "x"}]
    (tmp_path / "secret.png").write_bytes(b"secret")
    (out / RESULTS).write_text(json.dumps(stored), encoding="utf-8")
    assert analyze(run_dir, practice_dir, out, "leak") == 0
    text = (out / "leakage.html").read_text(encoding="utf-8")
    assert "<script>" not in text and "&lt;script&gt;" in text
    assert "c2VjcmV0" not in text


def test_a_picture_that_is_cut_off_leaves_the_one_before(
    folder, run_dir, practice_dir, tmp_path, monkeypatch
):
    def killed(path, content):
        with path.open("wb") as file:
            file.write(content[: len(content) // 2])
        raise KeyboardInterrupt

    out = tmp_path / "out"
    shutil.copytree(folder, out)
    before = (out / "leak.png").read_bytes()
    monkeypatch.setattr(Path, "write_bytes", killed)
    assert analyze(run_dir, practice_dir, out, "leak") == 130
    assert (out / "leak.png").read_bytes() == before


def test_unusable_pictures_end_with_3(run_dir, practice_dir, tmp_path, monkeypatch, capsys):
    from iid_jax.leakage import leak

    def losing(*args):
        section = measure(*args)
        section.lose("run", 2)
        return section

    measure = leak.measure
    monkeypatch.setattr(leak, "measure", losing)
    assert analyze(run_dir, practice_dir, tmp_path, "leak") == 3
    assert "2 pictures could not be used" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["prob"], "unknown measurement 'prob' (did you mean 'probe'?)"),
        (["probe", "--contexts=8"], "--contexts goes with influence, not with probe"),
        (["influence", "--contexts=7"], "--contexts=7: contexts come in pairs"),
        (["influence", "--images=1"], "--images=1: must be at least 4"),
        (["leak", "--data=practice_faces"], "leak is measured on the data each detector"),
        (["probe", "--config.seed=1"], "--config.seed: a detector is analyzed"),
        (["probe", "--feature=embeding"], "no feature 'embeding' (did you mean 'embedding'?)"),
        (["cam", "--feature=embedding"], "no map for Grad-CAM in 'embedding'"),
        (["subsets"], "subsets needs --config"),
        (["subsets", "--config=c.py", "--by=person"], "--by: unknown 'person'"),
        (
            ["subsets", "--config=c.py", "--by=method", "--subsets=3"],
            "--subsets=3: --by=method makes one subset of each manipulation; leave it out",
        ),
        (["probe", "--subsets=3"], "--subsets goes with subsets, not with probe"),
        (["influence", "--baseline=grey"], "--baseline: unknown 'grey'"),
    ],
)
def test_wrong_usage_is_one_line(told, run_dir, practice_dir, tmp_path, flags, said):
    common = [f"--checkpoint={run_dir}", f"--data_dir={practice_dir}", f"--out={tmp_path}"]
    code, line = told("analyze", *flags, *common, "--quiet")
    assert code == 2 and said in line
    assert not (tmp_path / RESULTS).exists()


def test_a_detector_given_twice_is_refused(told, run_dir, practice_dir, tmp_path):
    code, line = told(
        "analyze", "probe", f"--checkpoint={run_dir}", f"--against={run_dir}/",
        f"--data_dir={practice_dir}", f"--out={tmp_path}",
    )  # fmt: skip
    assert code == 2 and "given twice" in line


def test_another_verb_s_results_are_not_overwritten(told, run_dir, practice_dir, tmp_path):
    (tmp_path / RESULTS).write_text("[]", encoding="utf-8")
    code, line = told(
        "analyze", "leak", f"--checkpoint={run_dir}", f"--data_dir={practice_dir}",
        f"--out={tmp_path}",
    )  # fmt: skip
    assert code == 4 and "choose another --out" in line
    assert (tmp_path / RESULTS).read_text(encoding="utf-8") == "[]"


def test_a_missing_data_set_names_the_command_that_makes_it(told, run_dir, tmp_path):
    code, line = told(
        "analyze", "leak", f"--checkpoint={run_dir}", f"--data_dir={tmp_path}", f"--out={tmp_path}"
    )
    assert code == 4 and "prepare" in line


@pytest.mark.long
def test_detectors_are_trained_on_growing_numbers_of_subsets(run_dir, practice_dir, tmp_path):
    flags = ["--config=configs/quickstart.py", "--subsets=2", "--config.train.steps=4"]
    flags += ["--config.train.batch_size=8", "--config.train.eval_every=4"]
    assert analyze(run_dir, practice_dir, tmp_path, "subsets", *flags) == 0
    found = json.loads((tmp_path / RESULTS).read_text(encoding="utf-8"))["measurements"]["subsets"]
    names = {row["detector"] for row in found["results"] if row["value"] is not None}
    assert names == {"1 subsets", "2 subsets"}
    assert len(found["figures"]) == 3
