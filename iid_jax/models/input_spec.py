"""What a model expects of its input; stored in every checkpoint."""

import dataclasses
from typing import Any, Literal

import numpy as np

from iid_jax.errors import DataError, UsageError, nearest

IMAGENET_MEAN = (123.675, 116.28, 103.53)
IMAGENET_STD = (58.395, 57.12, 57.375)
# The reference's alignment: an 80 px face width on a canvas of 224, then scale 0.9.
FACE_SHARE = 80 / 224


@dataclasses.dataclass(frozen=True)
class InputSpec:
    """Side of the square canvas in pixels, channel order, normalisation and the face on it.

    `mean` and `std` are in grey levels (0 to 255), in the order of `channels`; `face_width` is
    in pixels of the canvas (0: the published share of it, 80 of 224) and `scale` what it is
    multiplied by, as in `geometry.alignment`.
    """

    size: int
    channels: Literal["RGB", "BGR"] = "RGB"
    mean: tuple[float, float, float] = IMAGENET_MEAN
    std: tuple[float, float, float] = IMAGENET_STD
    face_width: float = 0.0
    scale: float = 0.9

    def __post_init__(self):
        if self.channels not in ("RGB", "BGR"):
            raise UsageError(f"InputSpec.channels must be 'RGB' or 'BGR', got {self.channels!r}")
        for name in ("mean", "std"):
            values = tuple(float(v) for v in getattr(self, name))
            if len(values) != 3 or not np.isfinite(values).all():
                raise UsageError(f"InputSpec.{name} must be three finite numbers, got {values}")
            object.__setattr__(self, name, values)
        if self.size < 1 or self.scale <= 0 or min(self.std) <= 0 or self.face_width < 0:
            raise UsageError(f"InputSpec: size, std, scale and face_width must be above 0: {self}")
        if self.face_width == 0:
            object.__setattr__(self, "face_width", FACE_SHARE * self.size)

    @classmethod
    def reference(cls) -> "InputSpec":
        """Returns the input of the published PyTorch weights: BGR 0 to 255, 224 px, as is."""
        return cls(224, "BGR", (0.0, 0.0, 0.0), (1.0, 1.0, 1.0), face_width=80.0, scale=0.9)

    def normalise(self, images: Any) -> Any:
        """Returns the model's float32 input for RGB uint8 `images` (..., S, S, 3).

        NumPy arrays stay NumPy; JAX arrays and tracers stay on the device.
        """
        ordered = images[..., ::-1] if self.channels == "BGR" else images
        mean, std = np.float32(self.mean), np.float32(self.std)
        return (ordered.astype(np.float32) - mean) / std

    def to_dict(self) -> dict[str, Any]:
        """Returns plain values, as JSON gives them back."""
        plain = dataclasses.asdict(self)
        return {**plain, "mean": list(self.mean), "std": list(self.std)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> "InputSpec":
        """Returns the InputSpec of `to_dict`'s values.

        Raises:
          DataError: a missing or unknown key, or an impossible value.
        """
        known = {f.name for f in dataclasses.fields(cls)}
        for key in set(values) - known:
            raise DataError(f"input spec: unknown key {key!r}{nearest(key, known)}")
        for key in known - set(values):
            raise DataError(f"input spec: key {key!r} is missing")
        try:
            return cls(**values)
        except (UsageError, TypeError, ValueError) as error:
            raise DataError(f"input spec: {error}") from error
