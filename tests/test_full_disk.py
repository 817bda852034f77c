"""A disk that is full or fills up: one line, exit code 4, and what was there before is whole."""

import contextlib
import errno
import os
import resource
import subprocess
import sys
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from iid_jax import show
from iid_jax.checkpoint import FOLDER
from iid_jax.errors import DataError
from iid_jax.evaluation import table
from iid_jax.main import main
from iid_jax.seal import SEAL, sealed_steps
from iid_jax.training import checkpoints as checkpoints_module
from iid_jax.training.checkpoints import Checkpoints
from iid_jax.training.log import Log

REPOSITORY = Path(__file__).parents[1]


def tree(folder):
    """Every file below a folder with its content."""
    return {p.relative_to(folder): p.read_bytes() for p in Path(folder).rglob("*") if p.is_file()}


@contextlib.contextmanager
def no_room(largest=4096):
    """Files of this process cannot grow beyond so many bytes: the kernel refuses, also for root."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (largest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


def state(seed):
    return {"params": {"kernel": jax.random.normal(jax.random.key(seed), (200, 200))}}


def test_full_disk_while_saving_is_one_line_and_earlier_checkpoints_are_whole(tmp_path, caplog):
    checkpoints = Checkpoints(tmp_path)
    checkpoints.save(1, state(1), {}, None)
    checkpoints.wait()
    before = tree(tmp_path / FOLDER / "1")
    with no_room():
        checkpoints.save(2, state(2), {}, None)
        with pytest.raises(DataError) as caught:
            checkpoints.wait()
    line = str(caught.value)
    assert "checkpoint of step 2 cannot be written" in line and "\n" not in line
    assert os.strerror(errno.EFBIG) in line and "goes on from step 1" in line
    assert not caplog.records  # Orbax's threads would log pages of tracebacks
    checkpoints.close()
    assert tree(tmp_path / FOLDER / "1") == before
    with Checkpoints(tmp_path) as again:
        assert again.steps() == [1] and again.removed
        restored, _ = again.restore(1, {"params": {"kernel": jnp.zeros((200, 200))}})
        again.save(2, state(2), {}, None)
    np.testing.assert_array_equal(restored["params"]["kernel"], state(1)["params"]["kernel"])
    assert sorted(sealed_steps(tmp_path / FOLDER)) == [1, 2]


def test_full_disk_while_sealing_leaves_the_step_before_in_force(tmp_path, monkeypatch):
    def refuse(folder):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder / SEAL))

    with Checkpoints(tmp_path, keep=1) as checkpoints:
        checkpoints.save(1, state(1), {}, None)
        checkpoints.wait()
        monkeypatch.setattr(checkpoints_module, "seal", refuse)
        checkpoints.save(2, state(2), {}, None)
        with pytest.raises(DataError, match=r"step 2 cannot be written .*No space left on device"):
            checkpoints.wait()
        assert checkpoints.steps() == [1]
    assert sealed_steps(tmp_path / FOLDER) == [1]


SCORES = """\
record,data,split,video_id,frame,face,method,identity,source_identity,label,score,logit,status
d/c:m/a_b#0#0,d/c,test,m/a_b,0,0,m,a,b,1,0.9,2,ok
d/c:original/a#0#0,d/c,test,original/a,0,0,original,a,,0,0.2,-1.5,ok
"""


def test_full_disk_while_writing_results_ends_with_4_and_leaves_no_half_file(told, tmp_path):
    scores, out = tmp_path / "d.c.test.csv", tmp_path / "out"
    scores.write_text(SCORES)
    assert main(["evaluate", f"--from_scores={scores}", f"--out={out}"]) == 0
    before = tree(out)
    with no_room(largest=1000):
        code, line = told("evaluate", f"--from_scores={scores}", f"--out={out}")
    assert code == 4 and f"cannot write {out}/summary.json: {os.strerror(errno.EFBIG)}" in line
    assert tree(out) == before


def test_full_disk_while_writing_scores_keeps_the_old_file(tmp_path):
    path = tmp_path / "d.c.test.csv"
    path.write_text(SCORES)
    scores = table.read_csv(path)
    with no_room(largest=50), pytest.raises(DataError, match=f"cannot write {path}: "):
        table.write_csv(path, scores)
    assert tree(tmp_path) == {Path(path.name): SCORES.encode()}


def test_any_other_full_disk_is_one_line_and_a_bug_is_not_hidden(told, monkeypatch):
    def full(argv):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "/runs/metrics.jsonl")

    def bug(argv):
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), "forgotten")

    monkeypatch.setattr(show, "main", full)
    code, line = told("show")
    assert code == 4 and line.startswith("/runs/metrics.jsonl: No space left on device; ")
    monkeypatch.setattr(show, "main", bug)
    with pytest.raises(FileNotFoundError):
        main(["show"])


def test_log_on_a_full_disk_stops_the_run_instead_of_a_thread_unseen(tmp_path):
    log = Log(tmp_path)
    log.write(1, {"loss": 1.0})
    with no_room(largest=200):
        with pytest.raises(OSError, match="File too large"):
            log.write(2, {f"loss{i}": 1.0 for i in range(9)})
        with pytest.raises(OSError, match="File too large"):
            log.close()
    assert (tmp_path / "metrics.jsonl").read_text().startswith('{"step": 1, "loss": 1.0}\n')


SETTINGS = (
    "--config=configs/quickstart.py:method=binary,steps=4",
    "--config.train.batch_size=4",
    "--config.train.checkpoint_every=1",
    "--quiet",
)


def test_training_on_a_disk_that_fills_up_ends_with_4_and_goes_on_later(practice_dir, tmp_path):
    """A real process on a real file system of 7 MB, in a namespace of its own."""
    small = [
        "unshare",
        "-Urm",
        "sh",
        "-c",
        f'mount -t tmpfs -o size=7m none {tmp_path} && exec "$@"',
    ]
    if subprocess.run([*small, "sh", "true"], capture_output=True, check=False).returncode:
        pytest.skip("this machine allows no mounts in namespaces")
    command = [sys.executable, "-m", "iid_jax.main", *SETTINGS]
    command += [f"--workdir={tmp_path}/run", f"--data_dir={practice_dir}"]
    then = 'status=$?; ls "$0"/run/checkpoints/*/sha256.json; exit $status'
    shell = ["sh", "-c", f'"$@"; {then}', str(tmp_path), *command]
    done = subprocess.run(
        [*small, "sh", *shell], cwd=REPOSITORY, capture_output=True, text=True, timeout=300
    )
    assert done.returncode == 4, done.stderr
    line = done.stderr
    assert line.startswith("iid_jax: ") and line.count("\n") == 1
    assert "No space left on device" in line
    assert f"{tmp_path}/run/checkpoints/1/sha256.json" in done.stdout
    assert "goes on from step" in line
