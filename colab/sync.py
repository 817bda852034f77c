"""Writes the notebooks of the sources beside it: `python colab/sync.py` (or `make colab`).

A source is a Python file in jupytext's percent format: that is what is edited and reviewed. Once
pyproject.toml declares where the repository lies ([project.urls] Repository, on GitHub), every
notebook begins with an `Open in Colab` badge, and installs from there where `source` is empty.
"""

import tomllib
from pathlib import Path

import jupytext
import nbformat

HERE = Path(__file__).parent
GITHUB = "https://github.com/"
BADGE = (
    "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
    "(https://colab.research.google.com/github/{repository}/blob/main/colab/{name}.ipynb)"
)
NO_SOURCE = 'source = ""  #'


def sources() -> list[Path]:
    """Returns the notebooks' sources."""
    return sorted(path for path in HERE.glob("*.py") if path.name != Path(__file__).name)


def repository() -> str:
    """Returns the declared address of the repository, "" where there is none on GitHub."""
    project = tomllib.loads((HERE.parent / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project.get("urls", {}).get("Repository", "").removesuffix("/").removesuffix(".git")
    return address if address.startswith(GITHUB) else ""


def render(source: Path, address: str) -> str:
    """Returns the text of a source's notebook: no outputs, and the same for the same source."""
    notebook = jupytext.read(source)
    if address:
        badge = BADGE.format(repository=address.removeprefix(GITHUB), name=source.stem)
        notebook.cells.insert(0, nbformat.v4.new_markdown_cell(badge))
        for cell in notebook.cells:
            cell.source = cell.source.replace(NO_SOURCE, f'source = "git+{address}"  #')
    for number, cell in enumerate(notebook.cells):
        cell.id, cell.metadata = f"cell-{number:02d}", {}
    notebook.metadata.pop("jupytext", None)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    nbformat.validate(notebook)
    return nbformat.writes(notebook) + "\n"


if __name__ == "__main__":
    for path in sources():
        path.with_suffix(".ipynb").write_text(render(path, repository()), encoding="utf-8")
