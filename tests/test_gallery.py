"""`show --gallery`: every generator and every augmentation is in the picture."""

import dataclasses
import typing

import numpy as np
import pytest

from iid_jax.config import Forger
from iid_jax.data import augment, gallery
from iid_jax.errors import UsageError
from iid_jax.plots.gallery import Entry
from iid_jax.plots.gallery import gallery as draw
from iid_jax.show import main


@dataclasses.dataclass(frozen=True)
class Spec:
    """What a model with a 112 px canvas asks for."""

    size: int = 112
    face_width: float = 40.0
    scale: float = 0.9


def test_every_generator_and_augmentation_is_shown_and_changes_its_picture(practice):
    shown = [Entry(*entry) for entry in gallery.entries(practice, Spec(), 7, seed=0)]
    names = [entry.name for entry in shown]
    assert set(augment.AUGMENTATIONS) | {"flip"} <= set(names)
    for name in typing.get_args(Forger):
        assert any(shown_name.startswith(name) for shown_name in names)
    for entry in shown:
        assert (entry.before != entry.after.image).any(), entry.name
        assert entry.after.mask is None or (np.asarray(entry.after.mask) >= 0.5).any()
    assert len(draw(shown[:4]).axes) >= 12


def test_a_gallery_needs_a_config(tmp_path):
    with pytest.raises(UsageError, match="--gallery goes with --config"):
        main(["--checkpoint=x", "--gallery", f"--out={tmp_path}/a.png"])
