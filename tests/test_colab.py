"""The notebooks: each is what its source says, and runs from top to bottom in its small form."""

import base64
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
COLAB = REPOSITORY / "colab"
PNG = b"\x89PNG"


@pytest.fixture(scope="module")
def sync():
    """colab/sync.py, which is no part of a package."""
    spec = importlib.util.spec_from_file_location("colab_sync", COLAB / "sync.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def cells(path: Path) -> list[dict]:
    return json.loads(path.read_text(encoding="utf-8"))["cells"]


def code(path: Path) -> list[dict]:
    return [cell for cell in cells(path) if cell["cell_type"] == "code"]


def text(cell: dict) -> str:
    return "".join(cell["source"])


def execute(name: str, folder: Path) -> list[bytes]:
    """Runs a notebook by nbmake in `folder`; returns the pictures that it shows."""
    folder.mkdir(exist_ok=True)
    path = shutil.copy(COLAB / f"{name}.ipynb", folder)
    options = ["--nbmake", "--overwrite", "--nbmake-timeout=900", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", "-q", "-c", os.devnull, f"--rootdir={folder}"]
    environment = {**os.environ, "IID_SMOKE": "1", "IPYTHONDIR": str(folder / ".ipython")}
    environment.pop("PYTEST_ADDOPTS", None)
    done = subprocess.run(
        [*command, *options, path], cwd=folder, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stdout + done.stderr
    outputs = [output for cell in code(Path(path)) for output in cell["outputs"]]
    found = [out["data"]["image/png"] for out in outputs if "image/png" in out.get("data", {})]
    pictures = [base64.b64decode(picture) for picture in found]
    assert all(picture.startswith(PNG) for picture in pictures)
    return pictures


NOTEBOOKS = ["identity_leakage", "predict", "quickstart", "train_tpu"]


def test_every_source_has_its_notebook(sync):
    assert [path.stem for path in sync.sources()] == NOTEBOOKS
    assert sorted(path.stem for path in COLAB.glob("*.ipynb")) == NOTEBOOKS


@pytest.mark.parametrize("name", NOTEBOOKS)
def test_a_notebook_is_what_its_source_says_and_holds_no_outputs(sync, name):
    stored = COLAB / f"{name}.ipynb"
    wanted = sync.render(COLAB / f"{name}.py", sync.repository())
    assert stored.read_text(encoding="utf-8") == wanted, "run `make colab`"
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in code(stored))


def test_all_notebooks_install_alike_and_as_tested():
    (installs,) = {text(code(COLAB / f"{name}.ipynb")[0]) for name in NOTEBOOKS}
    pins = (REPOSITORY / "constraints.txt").read_text().splitlines()
    wanted = re.findall(r'"([\w-]+==[\w.]+)"', installs)
    assert len(wanted) == 5 and set(wanted) <= set(pins)
    extras = re.findall(r'"(faces[\w,]*)"', installs)
    project = (REPOSITORY / "pyproject.toml").read_text()
    assert extras == ["faces,gpu", "faces,tpu", "faces"]
    assert all(re.search(rf"^{extra} = \[", project, re.M) for extra in ("faces", "gpu", "tpu"))


def test_the_configs_that_notebooks_name_are_there():
    named = {
        path
        for name in NOTEBOOKS
        for path in re.findall(r"configs/\w+\.py", (COLAB / f"{name}.py").read_text())
    }
    assert len(named) > 1 and all((REPOSITORY / path).is_file() for path in named)


def test_a_declared_repository_gives_badges_and_is_installed_from(sync, tmp_path):
    text = sync.render(COLAB / "predict.py", "https://github.com/somebody/iid_jax")
    path = tmp_path / "predict.ipynb"
    path.write_text(text, encoding="utf-8")
    badge = "".join(cells(path)[0]["source"])
    assert "github/somebody/iid_jax/blob/main/colab/predict.ipynb" in badge
    assert 'source = "git+https://github.com/somebody/iid_jax"  # @param' in text.replace("\\", "")


def test_predict_runs(run_dir, tmp_path):
    pytest.importorskip("dlib", reason="the [faces] extra is not installed")
    shutil.copytree(run_dir, tmp_path / "runs" / "quickstart")
    pictures = execute("predict", tmp_path)
    # The picture, the clip, and why of the two faces on the picture.
    assert len(pictures) == 4


@pytest.mark.long
def test_quickstart_runs_and_predict_takes_what_it_trained(tmp_path):
    assert len(execute("quickstart", tmp_path)) == 2
    assert (tmp_path / "runs/quickstart/report.html").exists()
    assert len(execute("predict", tmp_path)) == 4


@pytest.mark.long
def test_identity_leakage_runs(tmp_path):
    assert len(execute("identity_leakage", tmp_path)) >= 3
    stored = json.loads((tmp_path / "leakage/results.json").read_text())
    assert set(stored["measurements"]) == {"leak", "probe", "embedding"}


def validations(path: Path) -> list[dict]:
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if "val_video_auc" in row]


@pytest.mark.long
def test_train_tpu_goes_on_where_its_runtime_was_taken_away(tmp_path):
    assert len(execute("train_tpu", tmp_path)) == 1
    first, last = (tmp_path / "runs/tpu/checkpoints" / step for step in ("2", "4"))
    validated = validations(tmp_path / "runs/tpu/metrics.jsonl")
    assert [row["step"] for row in validated] == [2, 4]
    saved = first.stat().st_mtime_ns
    shutil.rmtree(last)
    (tmp_path / "runs/tpu/summary.json").unlink()
    execute("train_tpu", tmp_path)
    # Not begun anew, and with the batches that it would have seen.
    assert first.stat().st_mtime_ns == saved
    assert last.is_dir() and validations(tmp_path / "runs/tpu/metrics.jsonl") == validated
    assert (tmp_path / "runs/tpu-detector-4.zip").exists()
