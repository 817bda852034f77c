"""dfd: DeepFakeDetection, actors in scenes and face swaps between them, in one compression."""

import re
from pathlib import Path

import tensorflow_datasets as tfds

from iid_jax.data import listing, schema, videos
from iid_jax.data.clips import Clip
from iid_jax.errors import UsageError

METHOD = "DeepFakeDetection"
FOLDERS = {"raw": ("raw", "c0"), "c23": ("c23",), "c40": ("c40",)}
_REAL = re.compile(r"^(\d+)__(.+)$")
_FAKE = re.compile(r"^(\d+)_(\d+)__(.+)__([0-9A-Z]+)$")


class Builder(videos.VideoDatasetBuilder):
    """Builds dfd; the configuration is the compression: raw, c23 or c40. All of it is test."""

    VERSION = tfds.core.Version("1.0.0")
    NAMES = tuple(FOLDERS)
    PUBLISHED = {  # noqa: RUF012
        name: {("test", schema.ORIGINAL): 363, ("test", METHOD): 3068} for name in FOLDERS
    }

    def clips(self) -> list[Clip]:
        """Returns every clip there is; no split was published.

        Raises:
          UsageError: the actors' folder is missing.
        """
        folders = FOLDERS[self.builder_config.name]
        real = listing.folder(self.source, "original_sequences", "actors", folders)
        if real is None:
            raise UsageError(
                f"no original_sequences/actors/{folders[0]} in {self.source}; {self._layout()}"
            )
        fake = listing.folder(self.source, "manipulated_sequences", METHOD, folders)
        return self._in(real, _REAL) + (self._in(fake, _FAKE) if fake else [])

    def _in(self, place: Path, form: re.Pattern[str]) -> list[Clip]:
        """The clips of a folder; whose name has another form is noted."""
        found, strays = listing.videos(self.source, place)
        self.problems += strays
        listed = []
        for path in found:
            match = form.match(path.stem)
            if match is None:
                self.problems.append((path.as_posix(), "stray", "not named as its folder's are"))
            elif form is _REAL:
                listed.append(self._real(path, match))
            else:
                listed.append(self._fake(path, match))
        return listed

    def _real(self, path: Path, match: re.Match[str]) -> Clip:
        return Clip(
            video_id=f"{schema.ORIGINAL}/{path.stem}",
            split="test",
            path=path.as_posix(),
            identity=match[1],
            compression=self.builder_config.name,
        )

    def _fake(self, path: Path, match: re.Match[str]) -> Clip:
        """`T_S__scene__HASH` is `T__scene` with the face of actor S."""
        target, source, scene, _ = match.groups()
        mask = Path("manipulated_sequences", METHOD, "masks", "videos", path.name)
        return Clip(
            video_id=f"{METHOD}/{path.stem}",
            split="test",
            label=schema.FAKE,
            method=METHOD,
            path=path.as_posix(),
            mask=mask.as_posix() if (self.source / mask).is_file() else "",
            identity=target,
            source_identity=source,
            pristine_id=f"{schema.ORIGINAL}/{target}__{scene}",
            compression=self.builder_config.name,
        )
