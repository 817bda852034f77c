"""Progress of long work: a bar with rate and time left on a terminal, plain lines elsewhere."""

import sys
import time

import tqdm

PLAIN_EVERY_S = 15.0


class Progress:
    """Counts `total` units of work under a label; `quiet` leaves out everything but `say`."""

    def __init__(
        self, total: int, label: str, unit: str = "it", quiet: bool = False, done: int = 0
    ):
        self.total, self.label, self.unit = total, label, unit
        self.done, self._start, self._first = done, time.monotonic(), done
        self._terminal = sys.stderr.isatty() and not quiet
        self._plain = not self._terminal and not quiet
        self._last_line = self._start
        self._bar = (
            tqdm.tqdm(total=total, initial=done, desc=label, unit=unit, dynamic_ncols=True)
            if self._terminal
            else None
        )

    def update(self, count: int = 1, **shown: float) -> None:
        """Adds finished units; `shown` are numbers to stand beside the bar."""
        self.done += count
        if self._bar is not None:
            self._bar.set_postfix({k: f"{v:.4g}" for k, v in shown.items()}, refresh=False)
            self._bar.update(count)
            if self.done >= self.total:
                self._bar.close()
        elif self._plain:
            self._line(shown)

    def say(self, text: str) -> None:
        """Prints one line without tearing the bar."""
        if self._bar is not None:
            self._bar.write(text, file=sys.stderr)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        """Ends the bar, also where the work ended early."""
        if self._bar is not None:
            self._bar.close()

    def _line(self, shown: dict[str, float]) -> None:
        now = time.monotonic()
        if self.done < self.total and now - self._last_line < PLAIN_EVERY_S:
            return
        self._last_line = now
        rate = (self.done - self._first) / max(now - self._start, 1e-9)
        left = (self.total - self.done) / rate if rate else float("inf")
        numbers = "".join(f"  {name} {value:.4g}" for name, value in shown.items())
        print(
            f"{self.label}: {self.done}/{self.total} {self.unit}, {rate:.3g}/s, "
            f"{left:.0f} s left{numbers}",
            file=sys.stderr,
            flush=True,
        )
