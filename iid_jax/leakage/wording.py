"""What the measurements are called, what they mean, and what they found, in words."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from iid_jax.leakage.section import ALL


class Measurement(NamedTuple):
    """The title of a measurement and how to read it."""

    title: str
    meaning: str


MEASUREMENTS = {
    "leak": Measurement(
        "Does the score know who was in the training?",
        "Genuine pictures only, none of them seen in training. Leak AUC: how well the score tells "
        "people who were donors of training fakes from new people; familiarity AUC: new people "
        "from those who were genuine in training. 0.5 is no leak. Intervals are over people.",
    ),
    "probe": Measurement(
        "Do the features hold identities?",
        "A linear classifier of identity is fitted to frozen features of genuine pictures and "
        "tested on pictures of other clips (where there are none, of another part of the same). "
        "Raw pixels and a network of random weights stand beside: coarse appearance alone "
        "identifies people, and only what lies above these two was learnt. By manipulation: whom "
        "the same probe takes fakes for.",
    ),
    "influence": Measurement(
        "Does identity influence the verdict?",
        "The interaction I([S]) of the cells of the face: what they contribute to the log-odds of "
        "fake as one, less what each contributes alone, in the same contexts. The AUC is of I as "
        "a score of fake; it is kept back where two halves of the contexts disagree.",
    ),
    "embedding": Measurement(
        "What do the features keep together?",
        "t-SNE of the last features. The silhouettes are of the features themselves, not of the "
        "picture: 1 where the groups lie apart, 0 where they lie in each other.",
    ),
    "subsets": Measurement(
        "Do more kinds of artifacts help?",
        "The training fakes are divided, by k-means on a detector's features or by manipulation, "
        "and detectors are trained alike on one subset, on two, and so on, the largest first. The "
        "number of steps stays the same, so only the variety grows.",
    ),
    "cam": Measurement(
        "Where does the detector look?",
        "Grad-CAM of a feature map and the ADM's local anchors, against the true masks of the data "
        "set's own manipulations, which the training swap did not make. A uniform map and a map of "
        "the whole face stand beside.",
    ),
}
METRICS = {
    "leak_auc": "leak AUC",
    "familiarity_auc": "familiarity AUC",
    "donors_above_90": "donors above 90 % of new people",
    "video_auc": "video AUC",
    "train_donors": "donors in training",
    "top1": "top-1",
    "top5": "top-5",
    "cross_entropy": "cross entropy, nats",
    "l2": "penalty",
    "top1_target": "taken for the target",
    "top1_donor": "taken for the donor",
    "entropy": "entropy, nats",
    "distance_target": "distance to the target",
    "distance_donor": "to the donor",
    "distance_others": "to others",
    "influence_auc": "AUC of I",
    "split_half": "split-half correlation",
    "interaction_genuine": "I, genuine",
    "interaction_fake": "I, fake",
    "standard_error": "standard error of one I",
    "silhouette_identity": "silhouette by identity",
    "silhouette_label": "by label",
    "pointing": "peak inside the mask",
    "energy_inside": "share inside the mask",
    "fakes": "fakes",
    "box_ap_0.3": "box AP at IoU 0.3",
    "box_ap_0.5": "at 0.5",
}
# Of metrics that are not told to three places.
FORMATS = {"train_donors": ".0f", "fakes": ".0f", "l2": ".0e"}
# Of every measurement, the number that is told first.
_TOLD = {
    "leak": "leak_auc",
    "probe": "top1",
    "influence": "influence_auc",
    "embedding": "silhouette_identity",
    "subsets": "video_auc",
    "cam": "energy_inside",
}


def verdict(name: str, measured: Mapping[str, Any]) -> list[str]:
    """Returns one sentence for every data set of a measurement: its first number by detector."""
    metric = _TOLD[name]
    rows = [r for r in measured["results"] if (r["metric"], r["method"]) == (metric, ALL)]
    lines = []
    for data in dict.fromkeys(row["data"] for row in rows):
        told = [f"{r['detector']} {_number(r)}" for r in rows if r["data"] == data]
        lines.append(f"{METRICS[metric]}, {data}: {'; '.join(told)}.")
    return lines


def _number(row: Mapping[str, Any]) -> str:
    if row["value"] is None:
        return f"not measured ({row['reason']})"
    if row["lo"] is None:
        return f"{row['value']:.3f}"
    return f"{row['value']:.3f} ({row['lo']:.3f} to {row['hi']:.3f})"
