"""What a table says of its runs: differences from the baseline, verdicts, steps."""

import json

from iid_jax.evaluation import analyses, chain, outcome
from iid_jax.evaluation.table import COLUMNS

HOME = "practice_faces/default"


def scores(folder, fakes):
    """Writes test scores of 40 videos, half of them fakes of `hard` whose scores are `fakes`."""
    lines = [",".join(COLUMNS)]
    for number in range(20):
        level = 0.02 * number
        for method, label, score in (("original", 0, 0.3 + level), ("hard", 1, fakes + level)):
            video = f"{method}/v{number}"
            start = f"{HOME}:{video}#0#0,{HOME},test,{video},0,0,{method},p{number},,{label}"
            lines.append(f"{start},{score},0,ok")
    folder.mkdir(parents=True)
    text = "\n".join(lines) + "\n"
    (folder / "practice_faces.default.test.csv").write_text(text, encoding="utf-8")


def test_arms_are_set_beside_their_baseline_of_the_same_seed(write_summary, small, tmp_path):
    for row in small.rows:
        folder = chain.run_folder(tmp_path, row.training)
        config = analyses.config_of(row.training, tmp_path)
        write_summary(folder, [("hard", "video_auc", 0.5, HOME, "test")], config=config)
        scores(folder / "scores", 0.35 if row.label == "binary" else 0.60)
    told = "\n".join(outcome.markdown(small, tmp_path))
    # Of 400 pairs 247 are in order for the one, 385 and five ties for the other.
    assert "iid against binary, hard: +0.351" in told
    assert "over 2 seeds: inconclusive" in told
    for row in small.rows[:2]:
        (chain.run_folder(tmp_path, row.training) / "summary.json").unlink()
    assert "against" not in "\n".join(outcome.markdown(small, tmp_path))


def test_half_width_is_that_of_the_records_and_students_of_the_seeds():
    judged = outcome._judged
    assert judged([(0.1, 0.01), (0.1, 0.01)]) == "+0.100 ± 0.010 over 2 seeds: an effect"
    # With a standard deviation of 0.01 over seeds: 4.303 * 0.01 / sqrt(3), and 0.01 beside it.
    assert judged([(d, 0.01) for d in (0.1, 0.11, 0.12)]) == (
        "+0.110 ± 0.027 over 3 seeds: an effect"
    )
    assert "no effect seen" in judged([(d, 0.01) for d in (0.01, 0.02, 0.03)])
    assert "no effect seen" in judged([(0.0, 0.0)] * 3)
    # 1.96 in place of 12.7 would make an effect of these two, ± 0.022.
    assert judged([(0.1, 0.01), (0.12, 0.01)]) == "+0.110 ± 0.127 over 2 seeds: inconclusive"


def test_verdict_of_one_seed_says_that_it_is_of_that_seed_alone():
    assert outcome._judged([(0.1, 0.01)]) == (
        "+0.100 ± 0.010 in one seed: an effect in it; others were not tried"
    )
    assert "no effect seen in it" in outcome._judged([(0.005, 0.01)])
    assert "inconclusive in it" in outcome._judged([(0.1, 0.04)])


def test_steps_are_told_with_the_best_look_and_whether_it_still_rose(
    write_summary, small, tmp_path
):
    folder = chain.run_folder(tmp_path, small.rows[0].training)
    write_summary(folder, [], steps=30)
    looks = [(10, 0.7), (20, 0.8), (30, 0.82)]
    lines = [json.dumps({"step": s, "val_video_auc": v}) for s, v in looks]
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert outcome._plateau(small.rows[0], tmp_path) == "30 (30, still rising)"
    lines[2] = json.dumps({"step": 30, "val_video_auc": 0.79})
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert outcome._plateau(small.rows[0], tmp_path) == "30 (20)"
    lines[2] = json.dumps({"step": 30, "val_video_auc": 0.8})
    (folder / "metrics.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    assert outcome._plateau(small.rows[0], tmp_path) == "30 (30)"
