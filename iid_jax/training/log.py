"""The run's numbers: metrics.jsonl and TensorBoard, cut back to where a run goes on from."""

import json
from collections.abc import Mapping
from pathlib import Path

from tensorboardX import SummaryWriter

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
        folder = str(Path(workdir) / BOARD)
        self._board = SummaryWriter(folder, purge_step=resumed_at + 1 if resumed_at else None)

    def write(self, step: int, numbers: Mapping[str, float]) -> None:
        """Adds one line."""
        if not self._active:
            return
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **numbers}) + "\n")
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Finishes the TensorBoard file."""
        if self._active:
            self._board.close()

    def __enter__(self) -> "Log":
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

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
