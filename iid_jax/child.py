"""The command line run by a program, as a user would run it."""

import signal
import subprocess
import sys


def run(*words: str) -> int:
    """Runs `python -m iid_jax.main WORDS` to its end and returns its exit code.

    A SIGTERM that comes meanwhile goes to the command, which saves its work and ends. To be called
    in the main thread.
    """
    with subprocess.Popen([sys.executable, "-m", "iid_jax.main", *words]) as command:
        before = signal.signal(signal.SIGTERM, lambda *_: command.terminate())
        try:
            return command.wait()
        finally:
            signal.signal(signal.SIGTERM, before)
