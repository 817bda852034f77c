"""The command line run by a program: its exit code, and who hears a SIGTERM."""

import os
import shutil
import signal
import subprocess
import sys
import time

import pytest

from iid_jax import child

# Stands in for iid_jax.main: says that it runs, and how it ended.
SLEEPER = """
import signal, sys, time
def stop(*_):
    open("stopped", "w").close()
    sys.exit(143)
signal.signal(signal.SIGTERM, stop)
open("ready", "w").close()
time.sleep(60)
"""


@pytest.mark.parametrize(("words", "code"), [(["--help"], 0), (["nonsense"], 2)])
def test_the_exit_code_is_the_command_s(words, code, capfd):
    assert child.run(*words) == code


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_a_signal_reaches_the_command_which_ends_first(tmp_path, sent, code):
    package = tmp_path / "iid_jax"
    package.mkdir()
    (package / "__init__.py").touch()
    (package / "main.py").write_text(SLEEPER)
    shutil.copy(child.__file__, package)
    # 130 is what iid_jax.main ends with when it is interrupted. Who is started in the background of
    # a shell inherits that SIGINT is ignored.
    program = """
import signal, sys
from iid_jax import child
signal.signal(signal.SIGINT, signal.default_int_handler)
try:
    sys.exit(child.run())
except KeyboardInterrupt:
    sys.exit(130)
"""
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    with subprocess.Popen([sys.executable, "-c", program], cwd=tmp_path, env=environment) as parent:
        limit = time.monotonic() + 60
        while not (tmp_path / "ready").exists() and time.monotonic() < limit:
            time.sleep(0.05)
        parent.send_signal(sent)
        assert parent.wait(60) == code
    assert (tmp_path / "stopped").exists()
