"""faceforensics: FaceForensics++ in one compression, with the published splits and masks."""

from collections.abc import Iterator
from pathlib import Path

import tensorflow_datasets as tfds

from iid_jax.data import listing, schema, videos
from iid_jax.data.clips import Clip
from iid_jax.errors import DataError, UsageError

METHODS = ("Deepfakes", "Face2Face", "FaceSwap", "NeuralTextures", "FaceShifter")
# What the folder of a compression is called.
FOLDERS = {"raw": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}
SPLIT_FOLDERS = ("", "splits", "dataset/splits")
PAIRS = {"train": 360, "val": 70, "test": 70}


class Builder(videos.VideoDatasetBuilder):
    """Builds faceforensics; the configuration is the compression: raw, c23 or c40."""

    VERSION = tfds.core.Version("1.0.0")
    NAMES = tuple(FOLDERS)
    PUBLISHED = {  # noqa: RUF012
        name: {
            (split, method): 2 * pairs
            for split, pairs in PAIRS.items()
            for method in (schema.ORIGINAL, *METHODS)
        }
        for name in FOLDERS
    }

    def clips(self) -> list[Clip]:
        """Returns the clips of the published pairs, of every manipulation that is there.

        Raises:
          UsageError: the originals or the split files are missing.
        """
        self._folders = FOLDERS[self.builder_config.name]
        originals = self._place("original_sequences", "youtube")
        if originals is None:
            raise UsageError(
                f"no original_sequences/youtube/{self._folders[0]} in {self.source}; the layout is "
                f"told in datasets/{self.name}/README.md"
            )
        there = {schema.ORIGINAL: originals}
        for method in METHODS:
            place = self._place("manipulated_sequences", method)
            if place is not None:
                there[method] = place
        paths = {method: self._paths(place) for method, place in there.items()}
        listed = list(self._listed(paths))
        self._note_unlisted(paths, listed)
        return listed

    def _listed(self, paths: dict[str, dict[str, str]]) -> Iterator[Clip]:
        """The clips of the split files, each pair in both directions."""
        for split in PAIRS:
            for pair in self._pairs(split):
                for target, source in (pair, pair[::-1]):
                    for method in paths:
                        yield self._clip(split, method, target, source, paths[method])

    def _clip(
        self, split: str, method: str, target: str, source: str, paths: dict[str, str]
    ) -> Clip:
        """The clip `<target>_<source>`: its first number is the pristine video behind it."""
        common = {"split": split, "identity": target, "compression": self.builder_config.name}
        original = f"{schema.ORIGINAL}/{target}"
        if method == schema.ORIGINAL:
            return Clip(video_id=original, path=self._path(paths, target), **common)
        name = f"{target}_{source}"
        mask = Path("manipulated_sequences", method, "masks", "videos", f"{name}.mp4")
        return Clip(
            video_id=f"{method}/{name}",
            label=schema.FAKE,
            method=method,
            path=self._path(paths, name),
            mask=mask.as_posix() if (self.source / mask).is_file() else "",
            source_identity=source,
            pristine_id=original,
            **common,
        )

    def _path(self, paths: dict[str, str], name: str) -> str:
        # Where it is not there, base tells so by this name.
        return paths.get(name, f"{paths['']}/{name}.mp4")

    def _paths(self, place: Path) -> dict[str, str]:
        """{name: path below the source} of the videos of a folder; "" is the folder itself."""
        found, strays = listing.videos(self.source, place)
        self.problems += strays
        paths: dict[str, str] = {"": place.relative_to(self.source).as_posix()}
        for path in found:
            if path.stem in paths:
                detail = f"{path.as_posix()} besides {paths[path.stem]}"
                self.problems.append((path.as_posix(), "copy", detail))
            paths.setdefault(path.stem, path.as_posix())
        return paths

    def _place(self, *levels: str) -> Path | None:
        return listing.folder(self.source, *levels, self._folders)

    def _pairs(self, split: str) -> list[tuple[str, str]]:
        names = [Path(folder, f"{split}.json").as_posix() for folder in SPLIT_FOLDERS]
        path = listing.first_file(self.source, *names)
        if path is None:
            raise UsageError(
                f"{self.source / names[0]} is missing; the split files train.json, val.json and "
                "test.json are in dataset/splits of the data set's repository"
            )
        pairs = listing.parsed(path, list)
        if not all(isinstance(p, list) and len(p) == 2 for p in pairs):
            raise DataError(f'{path} must be a list of pairs such as ["071", "054"]')
        return [(str(a), str(b)) for a, b in pairs]

    def _note_unlisted(self, paths: dict[str, dict[str, str]], listed: list[Clip]) -> None:
        used = {clip.path for clip in listed}
        for method in paths:
            for name, path in paths[method].items():
                if name and path not in used:
                    self.problems.append((path, "stray", "in no split file"))
