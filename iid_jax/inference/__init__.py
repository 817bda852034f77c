"""From a picture or a video to what a detector says of the faces in it."""

from iid_jax.inference.detector import Detector
from iid_jax.inference.prediction import OK, Artifact, Face, Frame, Prediction

__all__ = ["OK", "Artifact", "Detector", "Face", "Frame", "Prediction"]
