"""Every figure of the package; each function returns a matplotlib Figure, made without a display.

matplotlib is imported when the first figure is drawn. Figures are on white, with the colours of
Okabe and Ito, which remain apart for colour-blind readers.
"""

from iid_jax.plots.curves import COLOURS, roc, score_histogram, training_curves
from iid_jax.plots.footage import footage
from iid_jax.plots.pairs import Pair, pair_sheet
from iid_jax.plots.pictures import FACE, PREDICTED, TRUE, Found, Picture, detection, examples, png
from iid_jax.plots.quality import precision_recall, reliability, robustness
from iid_jax.plots.samples import montage

__all__ = [
    "COLOURS",
    "FACE",
    "PREDICTED",
    "TRUE",
    "Found",
    "Pair",
    "Picture",
    "detection",
    "examples",
    "footage",
    "montage",
    "pair_sheet",
    "png",
    "precision_recall",
    "reliability",
    "robustness",
    "roc",
    "score_histogram",
    "training_curves",
]
