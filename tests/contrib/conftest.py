"""Scenic as it is installed or, where it is not, what stands in for it."""

import importlib.util
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
STANDIN = HERE / "standin"


def is_scenic() -> bool:
    """Whether google-research/scenic is installed (not PyPI's scenic)."""
    found = importlib.util.find_spec("scenic")
    folders = [Path(folder) for folder in (found and found.submodule_search_locations) or ()]
    return any((folder / "dataset_lib").is_dir() for folder in folders)


# Asked before the stand-in is on the path.
REAL = is_scenic()


@pytest.fixture(scope="session")
def real_scenic() -> None:
    """Skips where google-research/scenic is not installed."""
    if not REAL:
        pytest.skip("google-research/scenic is not installed (it is not on PyPI)")


@pytest.fixture(scope="session")
def scenic(tmp_path_factory):
    """Makes `import scenic` work: the real one, or the stand-in while the session lasts."""
    if REAL:
        yield "real"
        return
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(STANDIN))
        yield "stand-in"
        for name in [n for n in sys.modules if n.split(".")[0] == "scenic"]:
            del sys.modules[name]
        for name in [n for n in sys.modules if n.startswith("iid_jax.contrib.scenic")]:
            del sys.modules[name]


@pytest.fixture(scope="session")
def tiny(scenic):
    """The tiny backbone of the training tests, registered."""
    path = HERE.parent / "training" / "run_tiny.py"
    spec = importlib.util.spec_from_file_location("run_tiny", path)
    module = importlib.util.module_from_spec(spec)
    sys.modules["run_tiny"] = module
    spec.loader.exec_module(module)
    module.add_backbone()
    return module


@pytest.fixture
def config(tiny, practice_dir):
    """The shipped Scenic config made tiny: four steps on the small practice_faces."""
    from iid_jax.contrib.scenic import config as shipped
    from iid_jax.contrib.scenic import settings

    made = shipped.get_config()
    ours = settings.groups(tiny.tiny_config())
    for group in settings.GROUPS:
        made.iid[group].update(ours[group])
    made.num_training_steps, made.batch_size, made.eval_batch_size = 4, 4, 8
    made.log_summary_steps = made.log_eval_steps = made.checkpoint_steps = 2
    made.dataset_configs.data_dir = str(practice_dir)
    return made
