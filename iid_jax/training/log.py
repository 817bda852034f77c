"""The run's numbers: metrics.jsonl and TensorBoard, cut back to the step that a run resumes from."""

import json
from pathlib import Path

from tensorboardX import SummaryWriter

NAME = "metrics.jsonl"


class Log:
    """Appends lines {"step": ..., name: value, ...} and the same scalars for TensorBoard."""

    def __init__(self, workdir: Path, resumed_at: int = 0):
        self._path = Path(workdir) / NAME
        kept = [line for line in self._lines() if line["step"] <= resumed_at]
        text = "".join(json.dumps(line) + "\n" for line in kept)
        self._path.write_text(text, encoding="utf-8")
        self._board = SummaryWriter(str(Path(workdir) / "tensorboard"), purge_step=resumed_at)

    def write(self, step: int, numbers: dict[str, float]) -> None:
        """Adds one line."""
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps({"step": step, **numbers}) + "\n")
        for name, value in numbers.items():
            self._board.add_scalar(name, value, step)

    def close(self) -> None:
        """Finishes the TensorBoard file."""
        self._board.close()

    def _lines(self) -> list[dict]:
        if not self._path.exists():
            return []
        lines = []
        for text in self._path.read_text(encoding="utf-8").splitlines():
            try:
                lines.append(json.loads(text))
            except ValueError:
                continue  # the last line of a killed run may be cut off
        return lines
