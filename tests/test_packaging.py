"""The built wheel: what it holds, and that it works where there is no checkout."""

import os
import shutil
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[1]
SOURCES = ("pyproject.toml", "setup.py", "README.md", "LICENSE", "iid_jax", "configs", "datasets")


def project() -> dict:
    return tomllib.loads((REPOSITORY / "pyproject.toml").read_text())


def python_files(folder: str) -> set[str]:
    return {str(path.relative_to(REPOSITORY)) for path in (REPOSITORY / folder).rglob("*.py")}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel built from a copy of the sources, offline."""
    copy = tmp_path_factory.mktemp("sources")
    ignored = shutil.ignore_patterns("__pycache__", "*.egg-info")
    for name in SOURCES:
        source = REPOSITORY / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=ignored)
        else:
            shutil.copy(source, copy / name)
    out = tmp_path_factory.mktemp("wheel")
    options = ["--no-deps", "--no-build-isolation", "--quiet", "--wheel-dir", str(out)]
    subprocess.run([sys.executable, "-m", "pip", "wheel", *options, str(copy)], check=True)
    return next(out.glob("*.whl"))


@pytest.fixture(scope="module")
def contents(wheel) -> set[str]:
    return set(zipfile.ZipFile(wheel).namelist())


@pytest.fixture(scope="module")
def installed(wheel, tmp_path_factory) -> Path:
    """A folder with the wheel's files and nothing else of this project."""
    target = tmp_path_factory.mktemp("installed")
    zipfile.ZipFile(wheel).extractall(target)
    return target


def run_installed(installed: Path, cwd: Path, code: str) -> subprocess.CompletedProcess:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    command = [sys.executable, "-P", "-c", code]
    return subprocess.run(command, cwd=cwd, env=environment, capture_output=True, text=True)


def test_every_package_is_listed():
    listed = set(project()["tool"]["setuptools"]["packages"])
    found = {
        str(p.parent.relative_to(REPOSITORY)) for p in REPOSITORY.glob("iid_jax/**/__init__.py")
    }
    assert {name.replace("/", ".") for name in found} == listed - {
        "iid_jax.configs",
        "iid_jax.datasets",
    }


def test_every_constraint_is_one_exact_version():
    lines = (REPOSITORY / "constraints.txt").read_text().splitlines()
    pins = [line for line in lines if line and not line.startswith("#")]
    assert all(line.count("==") == 1 for line in pins)
    names = {line.split("==")[0].lower().replace("_", "-") for line in pins}
    for requirement in project()["project"]["dependencies"]:
        assert requirement.split(">")[0].lower().replace("_", "-") in names


def test_nothing_shadows_other_projects_datasets():
    assert not list(REPOSITORY.glob("datasets/**/__init__.py"))


def test_the_only_top_level_package_is_iid_jax(contents):
    tops = {name.split("/")[0] for name in contents}
    assert {name for name in tops if not name.endswith(".dist-info")} == {"iid_jax"}


def test_the_wheel_holds_all_code_configs_and_builders(contents):
    inside = {f"iid_jax/{name}" for name in python_files("configs") | python_files("datasets")}
    assert python_files("iid_jax") | inside == {n for n in contents if n.endswith(".py")}


def test_the_wheel_holds_what_is_not_code(contents):
    folders = [path for path in (REPOSITORY / "datasets").iterdir() if path.is_dir()]
    wanted = {
        f"iid_jax/datasets/{f.name}/{n}" for f in folders for n in ("README.md", "CITATIONS.bib")
    }
    templates = (REPOSITORY / "iid_jax").rglob("*.jinja")
    wanted |= {str(path.relative_to(REPOSITORY)) for path in templates}
    assert wanted | {"iid_jax/py.typed"} <= contents
    assert any(name.endswith("licenses/LICENSE") for name in contents)


def test_installed_without_a_checkout_it_finds_configs_and_builders(installed, tmp_path):
    code = (
        "import iid_jax, iid_jax.config_file as c\n"
        "from iid_jax.data import builder\n"
        "print(iid_jax.__file__)\n"
        "print(c.load('quickstart.py').seed, c.load('configs/quickstart.py').seed)\n"
        "print(builder.builder_names())\n"
    )
    done = run_installed(installed, tmp_path, code)
    assert done.returncode == 0, done.stderr
    origin, seeds, names = done.stdout.splitlines()
    assert Path(origin).is_relative_to(installed)
    assert seeds == "0 0"
    folders = [path.name for path in (REPOSITORY / "datasets").iterdir() if path.is_dir()]
    assert names == str(sorted(folders))


def test_importing_the_package_loads_no_heavy_library(installed, tmp_path):
    code = (
        "import sys, iid_jax; print([m for m in ('jax', 'cv2', 'tensorflow') if m in sys.modules])"
    )
    done = run_installed(installed, tmp_path, code)
    assert done.stdout.strip() == "[]", done.stderr
