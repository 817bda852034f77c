"""The interaction against exact enumeration on eight players, and the axioms it rests on."""

import itertools
import math

import numpy as np
import pytest

from iid_jax.leakage.interaction import coalitions, contexts_outside, draw, interaction, split_half

PLAYERS = 8
INSIDE = np.isin(np.arange(PLAYERS), (1, 2, 5))


def shapley(players, value):
    """The Shapley value of each of the players, by the sum over all orders' subsets."""
    n, found = len(players), {}
    for player in players:
        others, total = [p for p in players if p != player], 0.0
        for size in range(n):
            weight = math.factorial(size) * math.factorial(n - size - 1) / math.factorial(n)
            for chosen in itertools.combinations(others, size):
                total += weight * (value({*chosen, player}) - value(set(chosen)))
        found[player] = total
    return found


def by_enumeration(game):
    """I([S]) by the definition: S one player among the others, less each cell with the others."""
    outside, members = np.flatnonzero(~INSIDE).tolist(), np.flatnonzero(INSIDE).tolist()

    def merged(players):
        cells = {p for p in players if p != "S"}
        return game(cells | set(members) if "S" in players else cells)

    whole = shapley([*outside, "S"], merged)["S"]
    single = {i: shapley([*outside, i], game)[i] for i in members}
    return whole - sum(single.values()), whole, single


def random_game(seed):
    values = np.random.default_rng(seed).normal(size=2**PLAYERS)
    return lambda cells: values[sum(2**c for c in cells)]


def all_contexts():
    """Every subset of the outside players with its chance: the size uniform, then the subset."""
    outside = np.flatnonzero(~INSIDE)
    sets, weights = [], []
    for size in range(len(outside) + 1):
        for chosen in itertools.combinations(outside, size):
            sets.append(np.isin(np.arange(PLAYERS), chosen))
            weights.append(1 / ((len(outside) + 1) * math.comb(len(outside), size)))
    return np.array(sets), np.array(weights)


def play(game, sets):
    flat = sets.reshape(-1, sets.shape[-1])
    return np.array([game(set(np.flatnonzero(s).tolist())) for s in flat]).reshape(sets.shape[:-1])


@pytest.mark.parametrize("seed", range(3))
def test_all_contexts_give_the_definition_exactly(seed):
    game = random_game(seed)
    contexts, weights = all_contexts()
    found = interaction(play(game, coalitions(contexts, INSIDE)), INSIDE, weights)
    value, whole, single = by_enumeration(game)
    assert weights.sum() == pytest.approx(1.0)
    assert found.value == pytest.approx(value) and found.coalition == pytest.approx(whole)
    assert found.players[INSIDE] == pytest.approx(list(single.values()))
    assert np.isnan(found.players[~INSIDE]).all() and found.error == 0.0


def test_drawn_contexts_estimate_it_within_their_standard_error():
    game = random_game(7)
    expected = by_enumeration(game)[0]
    drawn = [
        interaction(
            play(game, coalitions(contexts_outside(draw(16, PLAYERS, rng), INSIDE), INSIDE)), INSIDE
        )
        for rng in map(np.random.default_rng, range(300))
    ]
    values = np.array([d.value for d in drawn])
    assert values.mean() == pytest.approx(expected, abs=4 * values.std() / np.sqrt(len(values)))
    claimed = np.sqrt(np.mean([d.error**2 for d in drawn]))
    assert claimed == pytest.approx(values.std(), rel=0.15)


def test_contexts_are_pairs_of_a_set_and_the_rest_of_the_outside():
    contexts = contexts_outside(draw(40, PLAYERS, np.random.default_rng(0)), INSIDE)
    assert not contexts[:, INSIDE].any()
    np.testing.assert_array_equal(contexts[0::2] ^ contexts[1::2], np.tile(~INSIDE, (20, 1)))


def test_sizes_and_then_subsets_are_uniform():
    contexts = contexts_outside(draw(12_000, PLAYERS, np.random.default_rng(0)), INSIDE)
    sizes = np.bincount(contexts.sum(1), minlength=6) / len(contexts)
    np.testing.assert_allclose(sizes, 1 / 6, atol=0.015)
    pairs = contexts[contexts.sum(1) == 2]
    _, counts = np.unique(pairs, axis=0, return_counts=True)
    np.testing.assert_allclose(counts / len(pairs), 1 / 10, atol=0.025)


def estimate(game, seed=0):
    contexts = contexts_outside(draw(8, PLAYERS, np.random.default_rng(seed)), INSIDE)
    return interaction(play(game, coalitions(contexts, INSIDE)), INSIDE)


def test_a_game_of_parts_that_add_up_has_no_interaction():
    weights = np.random.default_rng(0).normal(size=PLAYERS)
    found = estimate(lambda cells: sum(weights[c] for c in cells))
    assert found.value == pytest.approx(0.0, abs=1e-12) and found.error < 1e-12
    assert found.players[INSIDE] == pytest.approx(weights[INSIDE])  # linear: each its weight


def test_a_cell_that_changes_nothing_has_the_value_0():
    found = estimate(lambda cells: random_game(1)(cells - {2}))
    assert found.players[2] == pytest.approx(0.0, abs=1e-12)


def test_cells_that_do_the_same_have_the_same_value():
    found = estimate(lambda cells: float(len(cells & {1, 5}) ** 2 * (2.0 + (0 in cells))))
    assert found.players[1] == pytest.approx(found.players[5]) and found.players[1] > 2


def test_a_verdict_that_needs_the_whole_face_is_all_interaction():
    members = set(np.flatnonzero(INSIDE).tolist())
    found = estimate(lambda cells: float(members <= cells))
    assert found.value == pytest.approx(1.0) and (found.players[INSIDE] == 0).all()


def test_values_add_up_over_games():
    one, other = random_game(2), random_game(3)
    both = estimate(lambda cells: one(cells) + other(cells))
    assert both.value == pytest.approx(estimate(one).value + estimate(other).value)


@pytest.mark.parametrize("count", [0, 2, 7])
def test_another_number_of_contexts_is_refused(count):
    with pytest.raises(ValueError, match="at least 4"):
        draw(count, PLAYERS, np.random.default_rng(0))


def test_the_halves_of_the_contexts_correlate_as_they_agree():
    base = np.arange(10.0)
    assert split_half(np.stack([base, 2 * base + 1], 1)) == pytest.approx(1.0)
    assert split_half(np.stack([base, -base], 1)) == pytest.approx(-1.0)
    assert np.isnan(split_half(np.stack([base, np.ones(10)], 1)))
