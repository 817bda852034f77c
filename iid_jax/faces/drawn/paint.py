"""Painting a head: shaded skin, features, hair, glasses, at twice the final size."""

import cv2
import numpy as np

from iid_jax.faces.drawn import brush, relief
from iid_jax.faces.drawn.brush import disc, line, lines, polygon, soft
from iid_jax.faces.drawn.person import TEXTURE, Person
from iid_jax.faces.drawn.relief import Light
from iid_jax.faces.drawn.shape import Points, Pose

MARGIN = 8  # px around the head that its layer holds


def face(picture: np.ndarray, person: Person, points: Points, pose: Pose, light: Light) -> None:
    """Paints head, hair and features into the picture, uint8 (H, W, 3), in place."""
    _ears(picture, person, points, pose, light)
    _head(picture, person, points, pose, light)
    _hair_front(picture, person, points, pose, light)
    if person.glasses:
        _glasses(picture, person, points.landmarks, pose)


def hair_behind(picture, person: Person, points: Points, pose: Pose, light: Light) -> None:
    """Paints the hair that hangs behind neck and shoulders."""
    hair = person.hair
    if not hair.volume:
        return
    outer = _grown(points, hair.volume)
    down = np.array([[0.0, max(hair.length, 0.15) * pose.size]])
    mass = np.concatenate([outer, outer[-1:] + down, outer[:1] + down])
    polygon(picture, mass, hair.colour * 0.55 * light.level)
    if not hair.length:
        return
    tone, jitter, reach = hair.strands.T[..., None]
    share = np.linspace(0.0, 1.0, len(hair.strands))[:, None]
    top = outer[0] + share * (outer[-1] - outer[0]) - 0.2 * down
    end = top + 1.2 * down * reach + jitter * (pose.size, 0.0)
    colours = 0.6 * light.level * tone * hair.colour
    lines(picture, np.stack([top, end], 1), colours, 0.03 * pose.size)


def _head(picture, person: Person, points: Points, pose: Pose, light: Light) -> None:
    """Skin, light and features, painted on the head's own part of the picture only."""
    low = np.maximum(np.floor(points.head.min(0)) - MARGIN, 0).astype(int)
    high = np.ceil(points.head.max(0)).astype(int) + MARGIN
    part = picture[low[1] : high[1], low[0] : high[0]]
    near, size = points.shifted(-low), part.shape[1::-1]
    diffuse, gloss = relief.shade(size, person, near, pose, light)
    texture = _texture(person, near, size)
    layer = brush.uint8(texture * (diffuse * person.skin.astype(np.float32)) + gloss)
    _features(layer, person, near, pose, light, texture)
    mask = np.zeros(part.shape[:2], np.uint8)
    polygon(mask, near.head, 255)
    brush.paste(part, layer, brush.blurred(mask, 1.2))


def _texture(person: Person, points: Points, size) -> np.ndarray:
    """The skin's texture, fixed to the face by eyes and chin, float32 (H, W, 3)."""
    marks = points.landmarks
    source = np.float32([[0.32, 0.42], [0.68, 0.42], [0.5, 0.9]]) * TEXTURE
    target = np.float32([marks[36:42].mean(0), marks[42:48].mean(0), marks[8]])
    matrix = cv2.getAffineTransform(source, target)
    return cv2.warpAffine(person.texture, matrix, size, borderMode=cv2.BORDER_REFLECT_101)


def _features(layer, person: Person, points: Points, pose: Pose, light: Light, texture) -> None:
    marks, unit = points.landmarks, pose.size
    dark = person.skin * 0.62 * light.level
    soft(layer, marks[36:42], dark, 0.09 * unit, 0.25)
    soft(layer, marks[42:48], dark, 0.09 * unit, 0.25)
    soft(layer, marks[[31, 33, 35]] + (0.0, 0.05 * unit), dark, 0.05 * unit, 0.35)
    soft(layer, marks[[57, 58, 56]] + (0.0, 0.08 * unit), dark, 0.05 * unit, 0.2)
    if person.beard:
        _beard(layer, person, marks, unit, light, texture)
    _nose(layer, marks, dark, unit)
    for eye, iris in zip((slice(36, 42), slice(42, 48)), points.irises, strict=True):
        _eye(layer, person, marks[eye], iris, unit, light)
    for brow in (slice(17, 22), slice(22, 27)):
        _brow(layer, person, marks[brow], unit, light)
    _mouth(layer, person, marks, unit, light)


def _brow(layer, person: Person, marks, unit, light: Light) -> None:
    half = 0.5 * person.brow_width * unit * np.array([0.55, 1.0, 1.1, 1.0, 0.55])[:, None]
    up = np.array([[0.0, 1.0]])
    edge = np.concatenate([marks - half * up, (marks + half * up)[::-1]])
    colour = person.brow * light.level
    soft(layer, edge, colour, 0.03 * unit, 0.8)
    root, rise = _at(marks, np.linspace(0.0, 4.0, 14)), half[2] * up
    paths = np.stack([root + rise, root - rise], 1)
    lines(layer, paths, np.broadcast_to(colour * 0.75, (14, 3)), 1)


def _nose(layer, marks, dark, unit) -> None:
    for index in (32, 34):
        place = marks[index] - (0.0, 0.015 * unit)
        soft(layer, place + np.zeros((3, 1)), dark * 0.35, 0.045 * unit, 0.95)
    for wing, hole, out in ((31, 32, -1.0), (35, 34, 1.0)):
        top = marks[wing] + (out * 0.02 * unit, -0.10 * unit)
        soft(layer, np.stack([top, marks[wing], marks[hole]]), dark, 0.025 * unit, 0.5)


def _eye(layer, person: Person, lids, iris, unit, light: Light) -> None:
    x0, y0 = np.maximum(np.floor(lids.min(0) - 4), 0).astype(int)
    x1, y1 = np.ceil(lids.max(0) + 5).astype(int)
    part = layer[y0:y1, x0:x1]
    level, dark = light.level, person.skin * 0.62 * light.level
    ball = np.empty_like(part)
    ball[:] = brush.uint8(np.array([226, 220, 216]) * level)
    place, radius = iris - (x0, y0), 0.092 * unit
    for share, colour in ((1.0, person.iris * 0.55), (0.86, person.iris)):
        disc(ball, place, (share * radius, share * radius), colour * level)
    disc(ball, place, (0.42 * radius, 0.42 * radius), (12, 10, 10))
    # The upper lid's shadow lies on the eyeball.
    line(ball, lids[:4] - (x0, y0 - 0.02 * unit), np.array([120, 105, 100]) * level, 0.03 * unit)
    shine = place + np.sign(light.direction[:2]) * (0.35, 0.3) * radius
    disc(ball, shine, (0.2 * radius, 0.2 * radius), (250, 250, 250))
    mask = np.zeros(part.shape[:2], np.uint8)
    polygon(mask, lids - (x0, y0), 255)
    brush.paste(part, ball, brush.blurred(mask, 0.7))
    line(layer, lids[:4], dark * 0.35, 0.035 * unit)
    line(layer, lids[[0, 5, 4, 3]], dark * 0.9, 0.02 * unit)
    soft(layer, lids[:4] - (0.0, 0.07 * unit), dark * 0.9, 0.02 * unit, 0.45)


def _mouth(layer, person: Person, marks, unit, light: Light) -> None:
    colour = person.lips * (light.ambient + 0.68 * light.strength)
    outer, inner = marks[48:60], marks[60:68]
    soft(layer, outer, colour, 0.015 * unit, 0.85)
    upper = np.concatenate([marks[48:55], marks[[64, 63, 62, 61, 60]]])
    soft(layer, upper, colour * 0.78, 0.015 * unit, 0.8)
    polygon(layer, inner, (50, 20, 20))
    height = inner[[5, 6, 7], 1].mean() - inner[[1, 2, 3], 1].mean()
    if height > 0.05 * unit:
        teeth = np.concatenate([inner[0:5], (inner[[5, 6, 7]] + 2 * inner[[3, 2, 1]]) / 3])
        polygon(layer, teeth, np.array([216, 208, 196]) * light.level)
    line(layer, marks[[48, 60, 61, 62, 63, 64, 54]], colour * 0.5, 0.02 * unit)
    gleam = marks[[58, 57, 56]] - (0.0, 0.06 * unit)
    soft(layer, gleam, np.minimum(colour * 1.3, 255), 0.02 * unit, 0.3 + person.gloss)


def _beard(layer, person: Person, marks, unit, light: Light, texture) -> None:
    out = np.array([0.16 * unit, 0.0])
    upper = np.stack([marks[54] + out, marks[35], marks[33], marks[31], marks[48] - out])
    mask = np.zeros(layer.shape[:2], np.uint8)
    polygon(mask, np.concatenate([marks[2:15], upper]), 255)
    mask = brush.blurred(mask, 0.08 * unit)
    # Hairs stand where the skin's own grain is dark.
    grain = np.clip(0.55 - 6.0 * (texture[..., 1] - 1.0), 0.15, 1.0)
    cover = (mask * (person.beard * grain)).astype(np.uint8)
    colour = brush.uint8(person.brow * 0.8 * light.level)
    brush.paste(layer, np.broadcast_to(colour, layer.shape), cover)


def _ears(picture, person: Person, points: Points, pose: Pose, light: Light) -> None:
    colour = person.skin * light.level
    for place, side in zip(points.ears, (-1, 1), strict=True):
        seen = float(np.clip(1.0 - 1.6 * side * np.sin(pose.yaw), 0.0, 1.5))
        axes = np.array([0.12 * seen + 0.01, 0.25]) * pose.size
        disc(picture, place, tuple(axes), colour * 0.85)
        inner = place + (0.02 * side * pose.size, 0.0)
        disc(picture, inner, tuple(axes * (0.5, 0.6)), colour * 0.66)


def _grown(points: Points, volume: float) -> np.ndarray:
    middle = (points.landmarks[0] + points.landmarks[16]) / 2
    return middle + (points.skull - middle) * (1.0 + volume)


def _hair_front(picture, person: Person, points: Points, pose: Pose, light: Light) -> None:
    hair = person.hair
    if not hair.volume:
        return
    middle = (points.landmarks[0] + points.landmarks[16]) / 2
    outer = _grown(points, hair.volume)
    height = np.sin(np.linspace(0, np.pi, len(points.skull)))[:, None]
    share = hair.fringe * (0.3 + 0.7 * height)
    hairline = points.skull + (middle - points.skull) * share
    polygon(picture, np.concatenate([outer, hairline[::-1]]), hair.colour * 0.62 * light.level)
    tone, jitter, reach = hair.strands.T[..., None]
    place = np.linspace(0.0, len(outer) - 1.0, len(hair.strands))
    root, tip = _at(outer, place), _at(hairline, place)
    out = (root - middle) / np.linalg.norm(root - middle, axis=1, keepdims=True)
    facing = out @ light.direction[:2, None] + 0.5 * light.direction[2]
    colours = hair.colour * tone * (light.ambient + light.strength * np.maximum(facing, 0.0))
    aside = jitter * (pose.size, 0.0)
    end = root + (tip - root) * reach + 2 * aside
    paths = np.stack([root, (root + tip) / 2 + aside, end], 1)
    lines(picture, paths, colours, 0.035 * pose.size)


def _at(points: np.ndarray, place: np.ndarray) -> np.ndarray:
    index = np.arange(len(points))
    return np.stack([np.interp(place, index, points[:, axis]) for axis in (0, 1)], 1)


def _glasses(picture, person: Person, marks, pose: Pose) -> None:
    colour = np.array([30, 28, 30]) + 90 * (1.0 - person.glasses)
    width = 0.03 * pose.size
    angle = np.linspace(0, 2 * np.pi, 28, endpoint=False)
    turn = np.stack([np.cos(angle), np.sin(angle)], 1)
    rim = np.sign(turn) * np.abs(turn) ** (2.0 / person.rims) * (0.30, 0.24) * pose.size
    rim = rim * (np.cos(pose.yaw), 1.0)
    for eye in (marks[36:42], marks[42:48]):
        line(picture, eye.mean(0) + (0.0, 0.03 * pose.size) + rim, colour, width, closed=True)
    gap = np.stack([marks[39] + (0.1 * pose.size, 0), marks[42] - (0.1 * pose.size, 0)])
    line(picture, gap, colour, width)
    for corner, ear in ((36, 0), (45, 16)):
        arm = np.stack(
            [
                marks[corner] + np.sign(marks[ear] - marks[corner]) * (0.12, 0) * pose.size,
                marks[ear] - (0.0, 0.12 * pose.size),
            ]
        )
        line(picture, arm, colour, width)
