"""The verb `evaluate`: its flags, its exit codes, and what it hands on."""

import json
from types import SimpleNamespace

import jax.numpy as jnp
import pytest

from iid_jax import checkpoint, main
from iid_jax.config import Config, EvalConfig
from iid_jax.data.catalog import Catalog
from iid_jax.errors import UsageError
from iid_jax.evaluation import report, stored, summary
from iid_jax.flags import parse_data
from iid_jax.models import InputSpec
from iid_jax.models.detector import Outputs

CONFIG = Config(eval=EvalConfig(bootstrap=20))
HEADER = (
    "record,data,split,video_id,frame,face,method,identity,source_identity,label,score,logit,status"
)
SCORES = f"""{HEADER}
d/c:m/a_b#0#0,d/c,test,m/a_b,0,0,m,a,b,1,0.9,2,ok
d/c:m/b_a#0#0,d/c,test,m/b_a,0,0,m,b,a,1,0.3,-1,ok
d/c:original/a#0#0,d/c,test,original/a,0,0,original,a,,0,0.2,-1.5,ok
d/c:original/b#0#0,d/c,test,original/b,0,0,original,b,,0,0.4,-0.5,ok
"""


@pytest.fixture
def scores(tmp_path, monkeypatch):
    """A scores file of two people; fewer bootstrap draws than usual."""
    monkeypatch.setattr(stored, "EvalConfig", lambda: EvalConfig(bootstrap=20))
    path = tmp_path / "scores" / "d.c.test.csv"
    path.parent.mkdir()
    path.write_text(SCORES, encoding="utf-8")
    return path


@pytest.fixture
def workdir(tmp_path, monkeypatch):
    """A run whose detector calls bright pictures fake."""

    def apply(variables, images):
        level = images.mean((1, 2, 3))
        return Outputs(jnp.stack([-level, level], -1), None, None, {})

    loaded = SimpleNamespace(
        module=SimpleNamespace(apply=apply),
        variables={},
        input_spec=InputSpec(112),
        anchors=None,
        config=CONFIG,
        step=1,
        landmarker="",
    )
    monkeypatch.setattr(checkpoint, "load_detector", lambda path: loaded)
    folder = tmp_path / "run"
    (folder / "checkpoints" / "1").mkdir(parents=True)
    (folder / "config.json").write_text("{}", encoding="utf-8")
    return folder


def run(*argv):
    return main.main(["evaluate", *(str(word) for word in argv)])


def read(path):
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("practice_faces", [("practice_faces/default", "test")]),
        ("a/b", [("a/b", "test")]),
        ("a:val,b/c:probe", [("a/default", "val"), ("b/c", "probe")]),
        ("a:val,a:test", [("a/default", "val"), ("a/default", "test")]),
    ],
)
def test_data_is_name_config_and_split(text, expected):
    assert parse_data(text) == expected


@pytest.mark.parametrize("text", ["", "a,", ":test", "a:", "a/", "/b", "a,a/default:test"])
def test_data_that_names_nothing_or_twice_is_refused(text):
    with pytest.raises(UsageError, match="--data"):
        parse_data(text)


@pytest.mark.parametrize(
    ("argv", "message"),
    [
        ([], "either --checkpoint or --from_scores"),
        (["--checkpoint=a", "--from_scores=b"], "either --checkpoint or --from_scores"),
        (["--from_scores=b"], "needs --out"),
        (["--from_scores=b", "--out=c", "--data=d"], "--data goes with --checkpoint"),
        (["--checkpoint=a", "--seed=1"], "--seed goes with --from_scores"),
        (["--checkpoint=a", "--config.seed=1"], "--config.seed"),
        (["--checkpoint=a", "--data=x:"], "--data"),
        (["--from_scores=b", "--out=c", "--seed=-1"], "--seed must be 0 to"),
        (["--checkpoint=a", "--bootstrap=5"], "--bootstrap goes with --from_scores"),
        (["--from_scores=,", "--out=c"], "--from_scores=, names no file"),
        (["--from_scores=b", "--out=c", "--against=,"], "--against=, names no file"),
        (["--chekpoint=a"], "did you mean '--checkpoint'?"),
    ],
)
def test_wrong_usage_ends_with_2_and_one_line(argv, message, capsys):
    assert run(*argv) == 2
    error = capsys.readouterr().err
    assert message in error and error.count("\n") == 1


def test_from_scores_measures_a_file_without_detector_or_data(scores, tmp_path, capsys):
    assert run(f"--from_scores={scores}", f"--out={tmp_path / 'out'}") == 0
    made = read(tmp_path / "out" / "summary.json")
    (auc,) = [r["value"] for r in made["results"] if r["metric"] == "video_auc"
              and r["method"] == "all"]  # fmt: skip
    assert auc == 0.75
    assert made["command"].startswith("python -m iid_jax.main evaluate --from_scores=")
    out = capsys.readouterr().out
    assert "video AUC 0.750" in out and "report.html" in out


def test_records_without_a_score_end_with_3(scores, tmp_path, capsys):
    line = "d/c:original/c#0#0,d/c,test,original/c,0,0,original,c,,0,,,unreadable\n"
    scores.write_text(SCORES + line, encoding="utf-8")
    assert run(f"--from_scores={scores}", f"--out={tmp_path / 'out'}") == 3
    assert "1 records have no score" in capsys.readouterr().out


def test_missing_scores_file_ends_with_4(tmp_path, capsys):
    assert run(f"--from_scores={tmp_path / 'no.csv'}", f"--out={tmp_path / 'out'}") == 4
    assert "no.csv" in capsys.readouterr().err


def test_missing_data_set_ends_with_4_and_the_command_that_makes_it(workdir, tmp_path, capsys):
    assert run(f"--checkpoint={workdir}", "--data=nothing", f"--data_dir={tmp_path}") == 4
    error = capsys.readouterr().err
    assert "prepare --dataset=nothing/default" in error and error.count("\n") == 1
    assert sorted(path.name for path in workdir.iterdir()) == ["checkpoints", "config.json"]


def test_missing_checkpoint_ends_with_4(tmp_path, capsys):
    assert run(f"--checkpoint={tmp_path / 'gone'}", f"--data_dir={tmp_path}") == 4
    assert "no checkpoint" in capsys.readouterr().err


def test_detector_is_scored_on_its_own_data_and_nothing_of_the_run_is_overwritten(
    workdir, practice_dir, capsys
):
    before = summary.build("the training command", 0, CONFIG, {}, [], {"steps": 7})
    summary.write(workdir, before)
    assert run(f"--checkpoint={workdir}", f"--data_dir={practice_dir}", "--quiet") == 0
    out = workdir / "evaluations" / "practice_faces.default.test"
    assert (out / "scores" / "practice_faces.default.test.csv").exists()
    assert (out / "scores" / "practice_faces.default.probe.csv").exists()
    made = read(out / "summary.json")
    assert made["train"]["steps"] == 7
    assert made["data"]["practice_faces/default"]["landmarker"]
    assert read(workdir / "summary.json") == before
    page = (out / report.REPORT).read_text(encoding="utf-8")
    assert str(workdir) not in page and str(practice_dir) not in page
    assert "video AUC" in capsys.readouterr().out


def test_step_folder_belongs_to_the_run_around_it(workdir):
    assert summary.run_folder(workdir / "checkpoints" / "1") == workdir
    assert summary.run_folder(workdir) == workdir


def test_two_runs_are_set_side_by_side(scores, tmp_path, capsys):
    other = tmp_path / "other.csv"
    other.write_text(SCORES.replace(",0.3,-1,", ",0.7,1,"), encoding="utf-8")
    out = tmp_path / "out"
    assert run(f"--from_scores={scores}", f"--against={other}", f"--out={out}") == 0
    rows = read(out / "summary.json")["comparison"]
    (row,) = [r for r in rows if (r["method"], r["metric"]) == ("all", "video_auc")]
    # Fakes 0.9 and 0.3, then 0.9 and 0.7, against 0.2 and 0.4.
    assert (row["first"], row["second"], row["difference"]) == (0.75, 1.0, 0.25)
    assert "video_auc: 0.750 and 1.000, +0.250" in capsys.readouterr().out
    assert "Two runs side by side" in (out / report.REPORT).read_text(encoding="utf-8")


def test_records_that_another_run_could_not_score_are_told_and_end_with_3(scores, tmp_path, capsys):
    other, out = tmp_path / "other.csv", tmp_path / "out"
    other.write_text(SCORES.replace(",0.3,-1,ok", ",,,unreadable"), encoding="utf-8")
    assert run(f"--from_scores={scores}", f"--against={other}", f"--out={out}") == 3
    assert "1 records without a score of one of the two left out" in capsys.readouterr().out
    assert "records left out" in (out / report.REPORT).read_text(encoding="utf-8")


def test_corrupted_validation_scores_alone_are_measured(scores, tmp_path):
    validation = SCORES.replace(",test,", ",val,")
    scores.write_text(validation, encoding="utf-8")
    worse = tmp_path / "worse.csv"
    worse.write_text(validation.replace(",val,", ",val@blur-1,"), encoding="utf-8")
    assert run(f"--from_scores={scores},{worse}", f"--out={tmp_path / 'out'}") == 0
    splits = {row["split"] for row in read(tmp_path / "out" / "summary.json")["results"]}
    assert splits == {"val", "val@blur-1"}


def test_corrupted_scores_that_lack_records_end_with_4_and_leave_no_folder(
    scores, tmp_path, capsys
):
    worse = tmp_path / "worse.csv"
    kept = [line for line in SCORES.splitlines() if "m/b_a" not in line]
    worse.write_text("\n".join(kept).replace(",test,", ",test@blur-1,"), encoding="utf-8")
    assert run(f"--from_scores={scores},{worse}", f"--out={tmp_path / 'o'}") == 4
    told = capsys.readouterr().err
    assert "test@blur-1 beside test: the second scores lack 1" in told and "m/b_a" in told


def test_records_that_another_run_lacks_end_with_4_and_are_named(scores, tmp_path, capsys):
    other = tmp_path / "other.csv"
    kept = [line for line in SCORES.splitlines() if "m/b_a" not in line]
    other.write_text("\n".join(kept) + "\n", encoding="utf-8")
    assert run(f"--from_scores={scores}", f"--against={other}", f"--out={tmp_path / 'o'}") == 4
    assert "lack 1 of the other's records: d/c:m/b_a#0#0" in capsys.readouterr().err
    assert not (tmp_path / "o" / "summary.json").exists()


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--checkpoint=x", "--against=y"), "--against goes with --from_scores"),
        (("--from_scores=x", "--out=o", "--corrupt=blur"), "--corrupt goes with --checkpoint"),
        (("--checkpoint=x", "--corrupt=blurr"), "did you mean 'blur'"),
    ],
)
def test_flags_that_do_not_go_together_end_with_2(flags, message, capsys):
    assert run(*flags) == 2
    assert message in capsys.readouterr().err


def test_corrupted_pictures_are_scored_and_averaged(workdir, practice_dir, tmp_path):
    flags = (f"--data_dir={practice_dir}", f"--out={tmp_path / 'out'}", "--quiet")
    corrupt = "--corrupt=saturation,codec:2"
    assert run(f"--checkpoint={workdir}", "--data=practice_faces", corrupt, *flags) == 0
    rows = {
        (r["split"], r["metric"]): r
        for r in read(tmp_path / "out" / "summary.json")["results"]
        if r["method"] == "all"
    }
    levels = [rows[f"test@saturation-{level}", "video_auc"]["value"] for level in range(1, 6)]
    assert rows["test@saturation", "video_auc"]["value"] == pytest.approx(sum(levels) / 5)
    assert "not made from videos" in rows["test@codec-2", "video_auc"]["reason"]
    assert ("test@pixels", "video_auc") not in rows
    stored = tmp_path / "out" / "scores" / "practice_faces.default.test@saturation-5.csv"
    assert stored.read_text(encoding="utf-8").count("test@saturation-5") > 10


def test_data_of_another_landmarker_is_refused_until_allowed(
    workdir, practice_dir, monkeypatch, capsys
):
    monkeypatch.setattr(Catalog, "landmarker", "dlib-20/ab")
    checkpoint.load_detector("").landmarker = "mediapipe-1/cd"
    where = (f"--checkpoint={workdir}", f"--data_dir={practice_dir}", "--data=practice_faces:moon")
    assert run(*where) == 4
    assert "found by dlib-20/ab" in capsys.readouterr().err
    assert run(*where, "--allow_other_landmarker") == 4
    told = capsys.readouterr()
    assert "found by dlib-20/ab" in told.out and "moon" in told.err
