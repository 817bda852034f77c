"""Long work goes on where it was interrupted, and damaged files are told."""

import numpy as np
import pytest

from iid_jax.errors import DataError
from iid_jax.leakage.store import Store


def fill(store, rows):
    for number in rows:
        store.add(value=float(number), cells=np.full(3, number))


def test_interrupted_work_goes_on_with_the_rows_that_were_saved(tmp_path):
    path = tmp_path / "a" / "work.npz"
    fill(Store(path, 5, every_s=0.0), range(3))
    again = Store(path, 5)
    assert again.done == 3
    fill(again, range(3, 5))
    columns = again.finish()
    np.testing.assert_array_equal(columns["value"], np.arange(5.0))
    assert columns["cells"].shape == (5, 3)
    assert Store(path, 5).done == 5


def test_rows_that_are_missing_are_not_passed_over(tmp_path):
    store = Store(tmp_path / "work.npz", 3)
    fill(store, range(2))
    with pytest.raises(ValueError, match="2 of 3"):
        store.finish()


def test_between_two_savings_nothing_is_written(tmp_path):
    store = Store(tmp_path / "work.npz", 3, every_s=1000.0)
    fill(store, range(2))
    assert not any(tmp_path.iterdir())
    fill(store, [2])
    assert [p.name for p in tmp_path.iterdir()] == ["work.npz"]


@pytest.mark.parametrize("damage", ["cut", "text", "objects", "longer"])
def test_a_damaged_file_is_named_and_nothing_in_it_is_run(tmp_path, damage):
    path = tmp_path / "work.npz"
    fill(Store(path, 3), range(3))
    if damage == "cut":
        path.write_bytes(path.read_bytes()[:-40])
    elif damage == "text":
        path.write_text("nothing")
    elif damage == "objects":
        np.savez(path, value=np.array([print], dtype=object))
    with pytest.raises(DataError, match=r"work\.npz cannot be read"):
        Store(path, 2 if damage == "longer" else 3)
