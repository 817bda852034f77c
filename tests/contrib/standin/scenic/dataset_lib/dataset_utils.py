"""The Dataset that builders return."""

import dataclasses
from typing import Any


@dataclasses.dataclass(frozen=True)
class Dataset:
    train_iter: Any = None
    valid_iter: Any = None
    test_iter: Any = None
    meta_data: dict[str, Any] = dataclasses.field(default_factory=dict)
    train_ds: Any = None
    valid_ds: Any = None
    test_ds: Any = None
