"""Interrupted runs end as the one that was not: bit for bit, by SIGTERM and by kill -9."""

import json
import shutil
import signal
import time

import numpy as np
import orbax.checkpoint as ocp
import pytest

from iid_jax.checkpoint import FOLDER, STATE
from iid_jax.seal import sealed_steps

PROGRAM = "run_tiny.py"


def _wait_for_step(process, workdir, step):
    """Waits until a checkpoint of `step` or later is sealed; the process must still be alive."""
    deadline = time.monotonic() + 120
    while max(sealed_steps(workdir / FOLDER), default=0) < step:
        assert process.poll() is None, process.communicate()[1]
        assert time.monotonic() < deadline
        time.sleep(0.01)


def _finish(process, code=0):
    _, err = process.communicate(timeout=300)
    assert process.returncode == code, err
    return err


def _arrays(workdir, step):
    with ocp.StandardCheckpointer() as reader:
        tree = reader.metadata(workdir / FOLDER / str(step) / STATE).item_metadata.tree
    as_numpy = _map(tree, ocp.RestoreArgs(restore_type=np.ndarray))
    with ocp.PyTreeCheckpointer() as reader:
        state = reader.restore(workdir / FOLDER / str(step) / STATE, restore_args=as_numpy)
    return dict(_flat(state))


def _map(tree, value):
    if isinstance(tree, dict):
        return {name: _map(child, value) for name, child in tree.items()}
    return [_map(child, value) for child in tree] if isinstance(tree, (list, tuple)) else value


def _flat(tree, path=""):
    if tree is None:
        return
    items = tree.items() if isinstance(tree, dict) else enumerate(tree)
    for name, child in items:
        if isinstance(child, np.ndarray) or np.isscalar(child):
            yield f"{path}/{name}", np.asarray(child)
        else:
            yield from _flat(child, f"{path}/{name}")


def _differing(one, other):
    assert one.keys() == other.keys()
    return [name for name in one if not np.array_equal(one[name], other[name])]


@pytest.fixture(scope="module")
def runs(start, tiny, practice_dir, tmp_path_factory):
    """Workdirs of a whole run, one stopped and killed on its way, a copy of it when stopped."""
    root = tmp_path_factory.mktemp("resume")
    whole, broken, stopped = (root / name for name in ("whole", "broken", "stopped"))
    first = start(PROGRAM, whole, practice_dir)
    told = start(PROGRAM, broken, practice_dir, "slow")
    _wait_for_step(told, broken, tiny.SAVED_EVERY)
    told.send_signal(signal.SIGTERM)
    messages = {"stopped": _finish(told, 143)}
    stopped_at = max(sealed_steps(broken / FOLDER))
    shutil.copytree(broken, stopped)
    killed = start(PROGRAM, broken, practice_dir, "slow")
    _wait_for_step(killed, broken, stopped_at + 1)
    killed.kill()
    messages["killed"] = _finish(killed, -signal.SIGKILL)
    killed_at = max(sealed_steps(broken / FOLDER))
    last = start(PROGRAM, broken, practice_dir)
    messages["last"] = _finish(last)
    _finish(first)
    return {
        "whole": whole,
        "broken": broken,
        "stopped": stopped,
        "messages": messages,
        "stopped_at": stopped_at,
        "killed_at": killed_at,
    }


def test_run_stopped_and_killed_ends_with_the_same_state_bit_for_bit(runs, tiny):
    whole, broken = (_arrays(runs[name], tiny.STEPS) for name in ("whole", "broken"))
    assert sum(values.size for values in whole.values()) > 10_000
    assert _differing(whole, broken) == []


def test_it_truly_went_on_from_where_it_was_stopped(runs, tiny):
    assert tiny.SAVED_EVERY <= runs["stopped_at"] < runs["killed_at"] < tiny.STEPS
    goes_on = f"train: going on from step {{}} of {tiny.STEPS}"
    assert goes_on.format(runs["stopped_at"]) in runs["messages"]["killed"]
    assert goes_on.format(runs["killed_at"]) in runs["messages"]["last"]


def test_sigterm_says_which_step_was_saved(runs):
    assert f"stopped by SIGTERM, saved at step {runs['stopped_at']}" in runs["messages"]["stopped"]


def test_metrics_of_the_interrupted_run_are_those_of_the_whole(runs):
    def losses(workdir):
        lines = (workdir / "metrics.jsonl").read_text().splitlines()
        lines = [json.loads(line) for line in lines]
        return [(x["step"], x.get("loss"), x.get("val_frame_auc")) for x in lines]

    assert losses(runs["broken"]) == losses(runs["whole"])


@pytest.mark.long
@pytest.mark.parametrize("flag", ["", "forget"])
def test_only_a_run_that_forgets_its_data_position_ends_differently(
    start, runs, tiny, practice_dir, tmp_path, flag
):
    workdir = shutil.copytree(runs["stopped"], tmp_path / "run")
    _finish(start(PROGRAM, workdir, practice_dir, flag))
    whole, other = (_arrays(folder, tiny.STEPS) for folder in (runs["whole"], workdir))
    assert (len(_differing(whole, other)) > 10) == bool(flag)


@pytest.mark.long
def test_kills_in_the_middle_of_saving_change_nothing(start, runs, tiny, practice_dir, tmp_path):
    rng = np.random.default_rng(0)
    messages = []
    for _ in range(5):
        process = start(PROGRAM, tmp_path, practice_dir, "slow")
        # What the kill before left behind goes first, then the next save begins.
        for begun in (False, True):
            while bool(_unfinished(tmp_path / FOLDER)) != begun and process.poll() is None:
                time.sleep(0.002)
        time.sleep(rng.choice([0.0, 0.0, 0.3]))
        process.kill()
        messages.append(process.communicate(timeout=300)[1])
    messages.append(_finish(start(PROGRAM, tmp_path, practice_dir)))
    assert sum("was cut off while saving" in message for message in messages) >= 2
    assert _differing(_arrays(runs["whole"], tiny.STEPS), _arrays(tmp_path, tiny.STEPS)) == []


def _unfinished(folder):
    """What a process that has just begun saving has made, and has not sealed."""
    names = {path.name for path in folder.glob("*")}
    sealed = {str(step) for step in sealed_steps(folder)}
    return {name for name in names - sealed if name[0].isdigit()}
