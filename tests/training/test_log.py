"""metrics.jsonl and TensorBoard over interruptions."""

import json
import struct

from tensorboardX.proto.event_pb2 import Event, SessionLog

from iid_jax.training.log import Log


def _lines(folder):
    return [json.loads(text) for text in (folder / "metrics.jsonl").read_text().splitlines()]


def test_lines_are_json_with_their_step(tmp_path):
    with Log(tmp_path) as log:
        log.write(3, {"loss": 0.5})
    assert _lines(tmp_path) == [{"step": 3, "loss": 0.5}]
    assert list((tmp_path / "tensorboard").iterdir())


def test_lines_after_the_step_resumed_from_are_removed(tmp_path):
    with Log(tmp_path) as log:
        for step in (1, 2, 3):
            log.write(step, {"loss": float(step)})
    with Log(tmp_path, resumed_at=2) as log:
        log.write(3, {"loss": 30.0})
    assert [(line["step"], line["loss"]) for line in _lines(tmp_path)] == [(1, 1), (2, 2), (3, 30)]


def test_a_line_cut_off_by_a_kill_is_dropped(tmp_path):
    (tmp_path / "metrics.jsonl").write_text('{"step": 1, "loss": 1.0}\n{"step": 2, "lo')
    with Log(tmp_path, resumed_at=5) as log:
        log.write(6, {"loss": 6.0})
    assert [line["step"] for line in _lines(tmp_path)] == [1, 6]


def test_other_processes_write_nothing(tmp_path):
    with Log(tmp_path, active=False) as log:
        log.write(1, {"loss": 1.0})
    assert not list(tmp_path.iterdir())


def _events(folder):
    """TFRecord: length, its checksum, the event, its checksum."""
    found = []
    for path in (folder / "tensorboard").iterdir():
        content, at = path.read_bytes(), 0
        while at < len(content):
            (length,) = struct.unpack_from("<Q", content, at)
            found.append(Event.FromString(content[at + 12 : at + 12 + length]))
            at += length + 16
    return found


def test_tensorboard_has_every_number_at_once_and_is_told_where_the_run_went_on(tmp_path):
    with Log(tmp_path, resumed_at=2) as log:
        log.write(3, {"loss": 0.5, "rate": 0.25})
        events = _events(tmp_path)
    scalars = [(e.step, v.tag, v.simple_value) for e in events for v in e.summary.value]
    assert scalars == [(3, "loss", 0.5), (3, "rate", 0.25)]
    starts = [e.step for e in events if e.session_log.status == SessionLog.START]
    assert starts == [3]
