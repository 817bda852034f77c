"""The multivariate interaction of a coalition, and what it is estimated from (Shapley values).

Zhang et al., "Interpreting Multivariate Shapley Interactions in DNNs", AAAI 2021, equation 3:
I([S]) = phi([S] | N_[S]) - sum over i in S of phi(i | N_i). phi([S] | N_[S]) is the Shapley value
of S acting as one player among the others, phi(i | N_i) that of player i in N_i = (N without S)
and i. Both average over the same contexts T, subsets of N without S (the size uniform, then the
subset uniform), so one drawn T serves S and every i: |S| + 2 evaluations, exact in expectation.
"""

from typing import NamedTuple

import numpy as np


class Contexts(NamedTuple):
    """Draws that give a context for any set of players: `order` (P, n) and `share` (P,) in 0..1.

    Every draw stands for two contexts, T and all the other players without T (antithetic).
    """

    order: np.ndarray
    share: np.ndarray


class Interaction(NamedTuple):
    """An estimate of I([S]) with its standard error.

    `coalition` is phi([S] | N_[S]), `players` (n,) phi(i | N_i), NaN outside S; `halves` (2,) are
    I([S]) from two disjoint halves of the contexts.
    """

    value: float
    error: float
    coalition: float
    players: np.ndarray
    halves: np.ndarray


def draw(count: int, players: int, rng: np.random.Generator) -> Contexts:
    """Returns draws for `count` contexts, an even number of at least 4.

    Raises:
      ValueError: another number.
    """
    if count < 4 or count % 2:
        raise ValueError(f"contexts come in pairs, at least 4 of them, got {count}")
    order = np.stack([rng.permutation(players) for _ in range(count // 2)])
    return Contexts(order, rng.random(count // 2))


def contexts_outside(drawn: Contexts, inside: np.ndarray) -> np.ndarray:
    """Returns the contexts (2 P, n) bool: subsets of the players that are not `inside` (n,).

    Rows 2p and 2p + 1 are the two of one draw.
    """
    outside = np.flatnonzero(~inside)
    found = np.zeros((2 * len(drawn.order), len(inside)), bool)
    for number, (order, share) in enumerate(zip(drawn.order, drawn.share, strict=True)):
        present = order[np.isin(order, outside)]
        size = int(share * (len(outside) + 1))
        found[2 * number, present[:size]] = True
        found[2 * number + 1, present[size:]] = True
    return found


def coalitions(contexts: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Returns the sets to evaluate (C, |S| + 2, n) bool: T, T with all of S, T with each i of S."""
    members = np.flatnonzero(inside)
    sets = np.repeat(contexts[:, None], len(members) + 2, axis=1)
    sets[:, 1] |= inside
    sets[:, 2 + np.arange(len(members)), members] = True
    return sets


def interaction(
    values: np.ndarray, inside: np.ndarray, weights: np.ndarray | None = None
) -> Interaction:
    """Returns the Interaction of values (C, |S| + 2) of the sets that `coalitions` lists.

    Without `weights` (C,) the contexts count alike and come in antithetic pairs, which give the
    error and the halves; with them (an enumeration of all contexts) there is no error: 0.
    """
    values = np.asarray(values, np.float64)
    gains = values[:, 1:] - values[:, :1]
    each = gains[:, 0] - gains[:, 1:].sum(axis=1)
    share = np.full(len(values), 1 / len(values)) if weights is None else weights
    players = np.full(len(inside), np.nan)
    players[inside] = share @ gains[:, 1:]
    error, halves = 0.0, np.full(2, share @ each)
    if weights is None:
        pairs = each.reshape(-1, 2).mean(axis=1)
        error = float(pairs.std(ddof=1) / np.sqrt(len(pairs)))
        halves = np.array([pairs[0::2].mean(), pairs[1::2].mean()])
    return Interaction(float(share @ each), error, float(share @ gains[:, 0]), players, halves)


def split_half(halves: np.ndarray) -> float:
    """Returns the correlation of the two halves (N, 2) over pictures; NaN where one is constant."""
    first, second = np.asarray(halves, np.float64).T
    if len(first) < 3 or np.ptp(first) == 0 or np.ptp(second) == 0:
        return float("nan")
    return float(np.corrcoef(first, second)[0, 1])
