"""The command line run by a program, as a user would run it."""

import signal
import subprocess
import sys

# The exit code of a command whose work is whole but for records that could not be used.
UNSCORED = 3


def run(*words: str) -> int:
    """Runs `python -m iid_jax.main WORDS` to its end and returns its exit code.

    A SIGTERM that comes meanwhile goes to the command, which saves its work and ends; so does a
    SIGINT, which may have been sent to this process alone. To be called in the main thread.
    """
    with subprocess.Popen([sys.executable, "-m", "iid_jax.main", *words]) as command:
        before = signal.signal(signal.SIGTERM, lambda *_: command.terminate())
        try:
            return command.wait()
        except KeyboardInterrupt:
            command.terminate()
            command.wait()
            raise
        finally:
            signal.signal(signal.SIGTERM, before)


def run_whole(*words: str) -> None:
    """Runs as `run` does, and ends this program with the command's code where that failed."""
    code = run(*words)
    if code not in (0, UNSCORED):
        sys.exit(code)
