"""The autoencoder's fakes: put where the face is, and the donors' decoders differ."""

import pickle

import cv2
import jax
import numpy as np
import pytest

from iid_jax import geometry
from iid_jax.errors import DataError
from iid_jax.faces import drawn
from iid_jax.forgery import autoencoder
from iid_jax.forgery.autoencoder import SIDE, Autoencoder, Faces
from iid_jax.forgery.manipulations import MANIPULATIONS


def taken(number: int, count: int = 4) -> list[drawn.Shot]:
    rng = np.random.default_rng(number)
    return drawn.draw_video(drawn.draw_person(rng), rng, count)


def faces(shots: list[drawn.Shot]) -> Faces:
    aligned = [autoencoder.align(shot.image, shot.landmarks) for shot in shots]
    return Faces(*(np.stack(parts) for parts in zip(*aligned, strict=True)))


class Painter(Autoencoder):
    """Paints what its function makes of the aligned face, and where the whole canvas is face."""

    def __init__(self, function):
        super().__init__({}, {})
        object.__setattr__(self, "function", function)

    def paint(self, image, donor):
        """Returns the changed face."""
        return self.function(image / 255.0).astype(np.float32), np.ones((SIDE, SIDE), np.float32)


@pytest.fixture(scope="module")
def shot():
    return taken(3, 1)[0]


def test_aligned_face_fills_the_canvas_and_its_mask_is_the_face(shot):
    image, mask = autoencoder.align(shot.image, shot.landmarks)
    assert image.shape == (SIDE, SIDE, 3) and mask.shape == (SIDE, SIDE)
    matrix = autoencoder._alignment(shot.landmarks)
    points = geometry.transform_points(matrix, shot.landmarks)
    assert points.min() > -2 and points.max() < SIDE + 1 and np.ptp(points[:, 0]) > 0.7 * SIDE
    at = np.rint(points[27:]).astype(int)
    assert mask[at[:, 1], at[:, 0]].mean() > 240  # eyes, nose and mouth
    assert mask[0].max() == mask[-1].max() == 0 and 0.4 < (mask > 127).mean() < 0.8


def test_a_face_painted_as_it_is_lands_where_it_was(shot):
    """Seen at 64 px it loses detail, so that the picture is one without any."""
    soft = cv2.GaussianBlur(shot.image, (0, 0), 4)
    negative = Painter(lambda face: 1 - face).swap(soft, shot.landmarks, "", no_rng())
    back = Painter(lambda face: 1 - face).swap(negative.image, shot.landmarks, "", no_rng())
    inside = negative.mask > 0.99
    assert inside.sum() > 1000
    # The tone is that of the face that was there: what is left are the signs of the differences.
    assert np.abs(back.image[inside].astype(int) - soft[inside]).mean() < 4
    assert np.abs(negative.image[inside].astype(int) - soft[inside]).mean() > 10


def no_rng():
    """The target's tone as a whole."""

    class Whole:
        def uniform(self, low, high):
            return high

    return Whole()


def test_outside_the_mask_the_target_is_untouched_and_its_edge_is_soft(shot):
    made = Painter(lambda face: face[::-1]).swap(
        shot.image, shot.landmarks, "", np.random.default_rng(0)
    )
    assert made.image.dtype == np.uint8 and made.mask.dtype == np.float32
    np.testing.assert_array_equal(made.image[made.mask == 0], shot.image[made.mask == 0])
    assert made.mask.min() == 0 and made.mask.max() <= 1
    x, y = geometry.five_points(shot.landmarks).mean(axis=0).astype(int)
    assert made.mask[y, x] > 0.99
    assert np.abs(np.diff(made.mask, axis=1)).max() < 0.5


def test_a_face_that_does_not_change_is_refused(shot):
    flat = np.full_like(shot.image, 120)
    with pytest.raises(DataError, match="grey levels"):
        Painter(lambda face: face).swap(flat, shot.landmarks, "", np.random.default_rng(0))


@pytest.fixture(scope="module")
def trained():
    """Three steps on three people, two of them donors; and again with the same and another seed."""
    people = {str(n): faces(taken(n)) for n in (3, 4, 5)}
    everybody = Faces(*map(np.concatenate, zip(*people.values(), strict=True)))
    donors = {name: people[name] for name in ("3", "4")}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(autoencoder, "BATCH", 4)
        done = []
        models = [
            autoencoder.train(everybody, donors, np.random.default_rng(seed), 3, 3, done.append)
            for seed in (0, 0, 1)
        ]
    assert sum(done) == 3 * (3 + 2 * 3)
    return models


def test_training_depends_on_the_seed_alone(trained):
    first, same, other = (jax.tree.leaves((m.encoder, m.decoders)) for m in trained)
    assert all(np.array_equal(a, b) for a, b in zip(first, same, strict=True))
    assert not all(np.array_equal(a, b) for a, b in zip(first, other, strict=True))
    assert all(isinstance(leaf, np.ndarray) for leaf in first)


def test_every_donor_has_a_decoder_and_processes_can_be_given_them(trained, shot):
    model = pickle.loads(pickle.dumps(trained[0]))
    assert set(model.decoders) == {"3", "4"}
    image, _ = autoencoder.align(shot.image, shot.landmarks)
    painted = [model.paint(image, name) for name in ("3", "4")]
    assert not np.array_equal(painted[0][0], painted[1][0])
    for face, mask in painted:
        assert face.shape == (SIDE, SIDE, 3) and mask.shape == (SIDE, SIDE)
        assert min(face.min(), mask.min()) >= 0 and max(face.max(), mask.max()) <= 1
    before = trained[0].paint(image, "3")
    np.testing.assert_array_equal(before[0], painted[0][0])


def test_a_sample_is_distorted_within_reach_and_its_target_is_not():
    shots = taken(3)
    everybody, rng = faces(shots), np.random.default_rng(0)
    apart = []
    for _ in range(20):
        distorted, image, mask = autoencoder._sample(everybody, 1, rng)
        assert distorted.shape == image.shape == (*mask.shape, 3) == (SIDE, SIDE, 3)
        apart.append(np.abs(distorted.astype(int) - image).mean())
    assert 1.0 < np.mean(apart) < 20.0


def test_it_is_no_manipulation_of_the_usual_four():
    assert "autoencoder" not in MANIPULATIONS


@pytest.mark.long
def test_a_trained_decoder_paints_its_donor_and_not_another():
    """Of one face, each donor's decoder paints what is nearer to that donor's own pictures.

    Pose and light are the target's in both, so that only who is painted tells them apart.
    """
    people = {str(n): faces(taken(n, 8)) for n in range(3, 9)}
    everybody = Faces(*map(np.concatenate, zip(*people.values(), strict=True)))
    donors = {name: people[name] for name in ("3", "4")}
    model = autoencoder.train(everybody, donors, np.random.default_rng(0), 400, 150)
    right = []
    for name in ("5", "6", "7", "8"):
        inside = people[name].masks[0] > 200
        painted = {donor: model.paint(people[name].images[0], donor)[0] for donor in donors}
        for donor, other in (("3", "4"), ("4", "3")):
            own, others = (
                np.abs(255 * painted[who] - donors[donor].images)[:, inside].mean(axis=(1, 2)).min()
                for who in (donor, other)
            )
            right.append(own < others)
    assert np.mean(right) >= 7 / 8
