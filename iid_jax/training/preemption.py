"""SIGTERM: the machine is wanted back; the loop saves and stops."""

import contextlib
import signal
from typing import Any

import jax
from jax.experimental import multihost_utils

from iid_jax.errors import UserError


class Preempted(UserError):
    """Training was told to stop and has saved (exit code 143)."""

    exit_code = 143


class Stop:
    """Notes SIGTERM while the context lasts: in `noted`."""

    def __enter__(self) -> "Stop":
        self.noted, self._before = False, None
        # Several processes must stop at the same step: JAX hears the signal and agrees on one.
        if jax.process_count() == 1:
            # Outside the main thread signals are somebody else's business.
            with contextlib.suppress(ValueError):
                self._before = signal.signal(signal.SIGTERM, self._note)
        return self

    def __exit__(self, *_: Any) -> None:
        if self._before is not None:
            signal.signal(signal.SIGTERM, self._before)

    def wanted(self, step: int) -> bool:
        """Returns whether to save and stop after this step; to be asked once after every step."""
        if jax.process_count() > 1:
            self.noted = multihost_utils.reached_preemption_sync_point(step)
        return self.noted

    def _note(self, number: int, frame: Any) -> None:
        self.noted = True
