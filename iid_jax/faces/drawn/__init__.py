"""Drawn people: parametric faces with identity, pose, expression, light and exact landmarks."""

from iid_jax.faces.drawn.person import Person, draw_person
from iid_jax.faces.drawn.scene import Shot, draw_video

__all__ = ["Person", "Shot", "draw_person", "draw_video"]
