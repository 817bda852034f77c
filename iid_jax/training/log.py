"""The run's numbers: metrics.jsonl and TensorBoard, cut back to where a run goes on from."""

import json
import socket
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tensorboardX import summary
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.record_writer import RecordWriter

NAME, BOARD = "metrics.jsonl", "tensorboard"


class Log:
    """Appends lines {"step": ..., name: value, ...} and the same scalars for TensorBoard.

    Lines after `resumed_at` belong to work that is done again and are removed. With `active`
    False (all processes but the first) nothing is written.
    """

    def __init__(self, workdir: Path, resumed_at: int = 0, active: bool = True):
        self._path = Path(workdir) / NAME
        self._active = active
        if not active:
            return
        kept = [line for line in self._lines() if line.get("step", 0) <= resumed_at]
        temporary = self._path.with_suffix(".tmp")
        temporary.write_text("".join(json.dumps(line) + "\n" for line in kept), encoding="utf-8")
        temporary.replace(self._path)
        folder = Path(workdir) / BOARD
        folder.mkdir(exist_ok=True)
        # Not SummaryWriter: on a full disk its thread dies unseen, and training hangs in its queue.
        name = f"events.out.tfevents.{time.time():.6f}.{socket.gethostname()}"
        self._board = RecordWriter(str(folder / name))
        self._show(file_version="brain.Event:2")
        if resumed_at:
            self._show(step=resumed_at + 1, session_log=SessionLog(status=SessionLog.START))

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds one line."""
        if not self._active:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **numbers}) + "\n")
        for name, value in numbers.items():
            self._show(step=step, summary=summary.scalar(name, value))
        self._board.flush()

    def close(self) -> None:
        """Finishes the TensorBoard file."""
        if self._active:
            self._board.close()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _show(self, **event: Any) -> None:
        self._board.write(Event(wall_time=time.time(), **event).SerializeToString())

    def _lines(self) -> list[dict]:
        if not self._path.exists():
            return []
        lines = []
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(dict(json.loads(text)))
            except (ValueError, TypeError):
                continue  # the last line of a killed run may be cut off
        return lines
