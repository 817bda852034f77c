"""Who appears where in a made data set: the dial of identity leakage.

`none`: donors and targets of training fakes also appear as genuine. `donor`: the donors of
training fakes never appear as genuine in training. `target`: nor do the targets.
"""

import dataclasses
import re

import numpy as np

from iid_jax.config import DataConfig
from iid_jax.errors import UsageError

GAPS = ("none", "donor", "target")
TEST_SHARE, VAL_SHARE = 0.26, 0.08
_NAME = re.compile(r"^(default|none|donor|target)(?:_p(\d+))?(?:_d(\d+))?$")


@dataclasses.dataclass(frozen=True)
class Cast:
    """The people of a data set by role; a name is in one of train, val and test only.

    genuine: seen as genuine in training. targets, donors: the two sides of training fakes.
    """

    genuine: tuple[str, ...]
    targets: tuple[str, ...]
    donors: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def training(self) -> tuple[str, ...]:
        """Everybody of whom the detector sees any pixel in training, in a stable order."""
        return tuple(dict.fromkeys((*self.genuine, *self.targets, *self.donors)))

    @property
    def few_donors(self) -> bool:
        """Whether fewer people give a face to training fakes than get one."""
        return len(self.donors) < len(self.targets)

    @property
    def partners(self) -> tuple[str, ...]:
        """Targets whose pristine frames serve as swap partners only."""
        known = set(self.genuine)
        return tuple(name for name in self.targets if name not in known)


def config_name(gap: str, people: int | None, donors: int | None) -> str:
    """Returns the name of a data set's configuration, e.g. `default` or `donor_p80_d10`."""
    if (gap, people, donors) == ("none", None, None):
        return "default"
    return gap + (f"_p{people}" if people else "") + (f"_d{donors}" if donors else "")


def parse_config_name(name: str) -> tuple[str, int | None, int | None]:
    """Returns (gap, train_people, train_donors) of a configuration's name.

    Raises:
      UsageError: not such a name.
    """
    match = _NAME.match(name)
    if not match:
        raise UsageError(
            f"unknown configuration {name!r}; allowed: default, or none|donor|target with "
            "_p<people> and _d<donors>, as in donor_p80_d10"
        )
    gap, people, donors = match.groups()
    gap = "none" if gap == "default" else gap
    return gap, int(people) if people else None, int(donors) if donors else None


def cast(
    people: list[str],
    gap: str,
    train_people: int | None,
    train_donors: int | None,
    rng: np.random.Generator,
) -> Cast:
    """Deals `people` out to the roles; val and test are the same whatever the gap.

    Raises:
      UsageError: there are fewer people than asked for.
    """
    order = [people[i] for i in rng.permutation(len(people))]
    n_test, n_val = round(TEST_SHARE * len(order)), max(2, round(VAL_SHARE * len(order)))
    test, val, pool = order[:n_test], order[n_test : n_test + n_val], order[n_test + n_val :]
    if gap == "none":
        genuine = _take(pool, train_people or len(pool), "train_people")
        donors = _take(genuine, train_donors or len(genuine), "train_donors")
        targets = genuine
    else:
        donors = _take(pool, train_donors or max(2, len(pool) // 5), "train_donors")
        rest = pool[len(donors) :]
        halves = 2 if gap == "target" else 1
        genuine = _take(rest, train_people or len(rest) // halves, "train_people")
        targets = genuine
        if gap == "target":
            rest = rest[len(genuine) :]
            targets = _take(rest, min(len(genuine), max(len(rest), 2)), "train_people")
    return Cast(tuple(genuine), tuple(targets), tuple(donors), tuple(val), tuple(test))


def _take(pool: list[str], count: int, key: str) -> list[str]:
    if count > len(pool) or count < 2:
        raise UsageError(f"config.data.{key}={count}: must be 2 to {len(pool)} here")
    return pool[:count]


def data_name(config: DataConfig) -> str:
    """Returns `name/config` of the data set that a DataConfig trains on.

    Raises:
      UsageError: both the name and the other keys say who appears.
    """
    if "/" not in config.name:
        return f"{config.name}/" + config_name(
            config.identity_gap, config.train_people, config.train_donors
        )
    if (config.identity_gap, config.train_people, config.train_donors) != ("none", None, None):
        raise UsageError(
            f"config.data.name={config.name} names a configuration already; leave out "
            "identity_gap, train_people and train_donors, or the part after the slash"
        )
    return config.name
