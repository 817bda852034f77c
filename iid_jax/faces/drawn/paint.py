"""Painting a face: shaded, textured polygons at twice the final size."""

import dataclasses

import cv2
import numpy as np

from iid_jax.faces.drawn.person import TEXTURE, Person
from iid_jax.faces.drawn.shape import Points, Pose

FINE = 4  # binary digits of a pixel kept for polygon corners


@dataclasses.dataclass(frozen=True, eq=False)
class Light:
    """Where the light comes from (unit vector towards it), how strong, and the shadows' level."""

    direction: np.ndarray
    strength: float
    ambient: float


def face(picture: np.ndarray, person: Person, points: Points, pose: Pose, light: Light) -> None:
    """Paints head, hair and features into the picture, uint8 (H, W, 3), in place."""
    _hair_behind(picture, person, points, pose)
    _ears(picture, person, points.landmarks, pose, light)
    _head(picture, person, points, pose, light)
    _hair_front(picture, person, points, pose)
    if person.glasses:
        _glasses(picture, person, points.landmarks, pose)


def _head(picture, person: Person, points: Points, pose: Pose, light: Light) -> None:
    """Skin, light and features, painted on the head's own part of the picture only."""
    outline = np.concatenate([points.landmarks[:17], points.skull[::-1]])
    low = np.maximum(np.floor(outline.min(0)) - 8, 0).astype(int)
    part = picture[low[1] : int(outline[:, 1].max()) + 9, low[0] : int(outline[:, 0].max()) + 9]
    outline, near = outline - low, points.shifted(-low)
    size = part.shape[1::-1]
    shade = _shading(size, near.landmarks, outline, pose, light)
    layer = _uint8(_skin(person, near, size) * shade[..., None])
    _features(layer, person, near, pose, light)
    mask = np.zeros(part.shape[:2], np.uint8)
    polygon(mask, outline, 255)
    _paste(part, layer, cv2.GaussianBlur(mask, (5, 5), 1.0))


def polygon(picture: np.ndarray, points: np.ndarray, colour) -> None:
    """Fills the polygon with corners (K, 2), in fractions of a pixel, with smooth edges."""
    corners = np.rint(points * 2**FINE).astype(np.int32)
    cv2.fillPoly(picture, [corners], _plain(colour), cv2.LINE_AA, FINE)


def line(picture: np.ndarray, points: np.ndarray, colour, width: float, closed=False) -> None:
    """Draws a line through points (K, 2)."""
    corners = np.rint(points * 2**FINE).astype(np.int32)
    thick = max(int(round(width)), 1)
    cv2.polylines(picture, [corners], closed, _plain(colour), thick, cv2.LINE_AA, FINE)


def _plain(colour):
    values = (colour,) * 3 if isinstance(colour, int) else colour
    return tuple(min(max(float(v), 0.0), 255.0) for v in values)


def _uint8(values: np.ndarray) -> np.ndarray:
    return np.clip(values, 0, 255).astype(np.uint8)


def _paste(picture: np.ndarray, layer: np.ndarray, mask: np.ndarray) -> None:
    x, y, w, h = cv2.boundingRect(mask)
    part, over = picture[y : y + h, x : x + w], layer[y : y + h, x : x + w]
    share = mask[y : y + h, x : x + w, None].astype(np.float32) / 255.0
    part[:] = (part + share * (over.astype(np.float32) - part)).astype(np.uint8)


def _shading(size, marks, outline, pose: Pose, light: Light) -> np.ndarray:
    """Lambert's law on an ellipsoid around the head and a ridge along the nose, (H, W)."""
    columns, rows = (np.arange(-(-side // 4)) * side / -(-side // 4) for side in size)
    x, y = np.meshgrid(columns + 1.5, rows + 1.5)
    centre = (outline.min(0) + outline.max(0)) / 2
    half = (outline.max(0) - outline.min(0)) / 2 * 1.12
    u, v = (x - centre[0]) / half[0], (y - centre[1]) / half[1]
    z = np.sqrt(np.clip(1.0 - u**2 - v**2, 0.04, 1.0))
    tip, top = marks[30], marks[27]
    along = np.clip(((y - top[1]) / max(tip[1] - top[1], 1.0)), 0.0, 1.15)
    ridge = top[0] + (tip[0] - top[0]) * along
    away = (x - ridge) / (0.16 * pose.size)
    fade = np.where((y > top[1]) & (y < tip[1] + 0.1 * pose.size), along, 0.0)
    u = u + 0.9 * fade * away * np.exp(-(away**2))
    lit = light.direction[0] * u + light.direction[1] * v + light.direction[2] * z
    shade = light.ambient + light.strength * np.clip(lit, 0.0, None)
    return cv2.resize(shade.astype(np.float32), size, interpolation=cv2.INTER_CUBIC)


def _skin(person: Person, points: Points, size) -> np.ndarray:
    """The skin's colour with its texture fixed to the face, float32 (H, W, 3)."""
    marks = points.landmarks
    source = np.float32([[0.28, 0.42], [0.72, 0.42], [0.5, 0.92]]) * TEXTURE
    target = np.float32([marks[36:42].mean(0), marks[42:48].mean(0), marks[8]])
    matrix = cv2.getAffineTransform(source, target)
    border = cv2.BORDER_REFLECT_101
    texture = cv2.warpAffine(person.texture, matrix, size, borderMode=border)
    return texture * person.skin.astype(np.float32)


def _features(layer, person: Person, points: Points, pose: Pose, light: Light) -> None:
    marks, unit = points.landmarks, pose.size
    dark = person.skin * 0.62 * (light.ambient + 0.6 * light.strength)
    _soft(layer, marks[36:42], dark, 0.10 * unit, 0.35)
    _soft(layer, marks[42:48], dark, 0.10 * unit, 0.35)
    _soft(layer, marks[[31, 33, 35]] + (0.0, 0.05 * unit), dark, 0.06 * unit, 0.5)
    _soft(layer, marks[[57, 58, 56]] + (0.0, 0.10 * unit), dark, 0.06 * unit, 0.3)
    if person.wrinkles:
        for a, b in ((31, 48), (35, 54)):
            path = np.stack([marks[a], (marks[a] + marks[b]) / 2, marks[b]])
            side = np.sign(marks[b][0] - marks[33][0]) * 0.1 * unit
            path = path + np.array([[side, 0.0], [1.2 * side, 0.0], [0.8 * side, 0.0]])
            colour = person.skin * (0.85 - 0.25 * person.wrinkles)
            line(layer, path, colour, 0.03 * unit)
    if person.beard:
        _beard(layer, person, marks, unit)
    _nose(layer, marks, dark, unit)
    for eye, iris in zip((slice(36, 42), slice(42, 48)), points.irises, strict=True):
        _eye(layer, person, marks[eye], iris, unit, dark)
    for brow in (slice(17, 22), slice(22, 27)):
        width = person.brow_width * unit
        line(layer, marks[brow], 0.8 * person.hair + 0.1 * person.skin, width)
        line(layer, marks[brow] - (0.0, 0.35 * width), 0.9 * person.hair, 0.4 * width)
    _mouth(layer, person, marks, unit, light)


def _soft(layer, points, colour, spread, strength) -> None:
    """A blurred dark patch over the points."""
    low = np.maximum(np.floor(points.min(0) - 3 * spread), 0).astype(int)
    high = np.ceil(points.max(0) + 3 * spread).astype(int)
    part = layer[low[1] : high[1], low[0] : high[0]]
    if not part.size:
        return
    mask = np.zeros(part.shape[:2], np.uint8)
    polygon(mask, points - low, 255)
    line(mask, points - low, 255, spread)
    mask = cv2.GaussianBlur(mask, (0, 0), max(spread, 0.8))
    _paste(part, np.broadcast_to(_uint8(colour), part.shape), (mask * strength).astype(np.uint8))


def _nose(layer, marks, dark, unit) -> None:
    line(layer, marks[31:36], dark * 0.95, 0.04 * unit)
    for index in (32, 34):
        centre = np.rint(marks[index] * 2**FINE).astype(int)
        axes = (int(0.065 * unit * 2**FINE), int(0.035 * unit * 2**FINE))
        place = tuple(int(v) for v in centre)
        cv2.ellipse(layer, place, axes, 0, 0, 360, _plain(dark * 0.5), -1, cv2.LINE_AA, FINE)
    wing = np.stack([marks[31] + (-0.03 * unit, -0.1 * unit), marks[31], marks[32]])
    line(layer, wing, dark, 0.03 * unit)
    wing = np.stack([marks[35] + (0.03 * unit, -0.1 * unit), marks[35], marks[34]])
    line(layer, wing, dark, 0.03 * unit)


def _eye(layer, person: Person, lids, iris, unit, dark) -> None:
    x0, y0 = np.floor(lids.min(0) - 4).astype(int)
    x1, y1 = np.ceil(lids.max(0) + 5).astype(int)
    if x0 < 0 or y0 < 0 or x1 > layer.shape[1] or y1 > layer.shape[0]:
        return
    part = layer[y0:y1, x0:x1]
    ball = np.empty_like(part)
    ball[:] = (228, 224, 220)
    place = tuple(int(v) for v in np.rint((iris - (x0, y0)) * 2**FINE))
    radius = 0.105 * unit
    for share, colour in ((1.0, person.iris * 0.6), (0.85, person.iris), (0.42, (12, 10, 10))):
        cv2.circle(
            ball, place, int(share * radius * 2**FINE), _plain(colour), -1, cv2.LINE_AA, FINE
        )
    shine = (place[0] - int(0.3 * radius * 2**FINE), place[1] - int(0.35 * radius * 2**FINE))
    white = (250, 250, 250)
    cv2.circle(ball, shine, int(0.22 * radius * 2**FINE), white, -1, cv2.LINE_AA, FINE)
    mask = np.zeros(part.shape[:2], np.uint8)
    polygon(mask, lids - (x0, y0), 255)
    _paste(part, ball, mask)
    line(layer, lids[:4], dark * 0.35, 0.035 * unit)
    line(layer, lids[[0, 5, 4, 3]], dark * 0.9, 0.02 * unit)
    line(layer, lids[:4] - (0.0, 0.06 * unit), dark * 0.85, 0.02 * unit)


def _mouth(layer, person: Person, marks, unit, light: Light) -> None:
    level = light.ambient + 0.75 * light.strength
    outer, inner = marks[48:60], marks[60:68]
    polygon(layer, outer, person.lips * level)
    upper = np.concatenate([marks[48:55], marks[[64, 63, 62, 61, 60]]])
    polygon(layer, upper, person.lips * level * 0.86)
    polygon(layer, inner, (50, 18, 20))
    height = inner[[5, 6, 7], 1].mean() - inner[[1, 2, 3], 1].mean()
    if height > 0.05 * unit:
        teeth = np.concatenate([inner[0:5], (inner[[5, 6, 7]] + 2 * inner[[3, 2, 1]]) / 3])
        polygon(layer, teeth, np.array([224, 218, 206]) * level)
    line(layer, marks[[60, 61, 62, 63, 64]], person.lips * level * 0.5, 0.02 * unit)
    gleam = marks[[58, 57, 56]] - (0.0, 0.05 * unit)
    line(layer, gleam, np.minimum(person.lips * level * 1.2, 255), 0.02 * unit)


def _beard(layer, person: Person, marks, unit) -> None:
    mask = np.zeros(layer.shape[:2], np.uint8)
    polygon(mask, np.concatenate([marks[2:15], marks[[54, 35, 33, 31, 48]]]), 255)
    mask = cv2.GaussianBlur(mask, (0, 0), 0.12 * unit)
    grain = np.resize(person.texture[..., 0], mask.shape)
    cover = mask * np.clip(person.beard * (0.6 + 4.0 * (grain - 1.0)), 0.0, 0.9)
    _paste(layer, np.broadcast_to(_uint8(person.hair * 0.9), layer.shape), cover.astype(np.uint8))


def _ears(picture, person: Person, marks, pose: Pose, light: Light) -> None:
    level = light.ambient + 0.5 * light.strength
    for index, side in ((1, -1), (15, 1)):
        visible = 1.0 - side * np.sin(pose.yaw)
        axes = (int(0.11 * pose.size * visible * 16), int(0.24 * pose.size * 16))
        centre = tuple(int(v * 16) for v in marks[index] + (side * 0.03 * pose.size, 0.0))
        colour = _plain(person.skin * level * 0.9)
        cv2.ellipse(picture, centre, axes, 0, 0, 360, colour, -1, cv2.LINE_AA, 4)


def _hair_behind(picture, person: Person, points: Points, pose: Pose) -> None:
    middle = (points.landmarks[0] + points.landmarks[16]) / 2
    grown = middle + (points.skull - middle) * (1.0 + person.hair_volume)
    length = 0.3 + 3.0 * person.hair_volume
    down = np.array([[0.0, length * pose.size]])
    polygon(picture, np.concatenate([grown, grown[-1:] + down, grown[:1] + down]), person.hair * 0.7)


def _hair_front(picture, person: Person, points: Points, pose: Pose) -> None:
    middle = (points.landmarks[0] + points.landmarks[16]) / 2
    outer = middle + (points.skull - middle) * (1.0 + person.hair_volume)
    height = np.sin(np.linspace(0, np.pi, len(points.skull)))[:, None]
    line_in = points.skull + (middle - points.skull) * (person.fringe * (0.25 + 0.75 * height))
    polygon(picture, np.concatenate([outer, line_in[::-1]]), person.hair)
    for number in range(0, 28):
        share = number / 27.0 * (len(outer) - 1)
        low, rest = int(share), share % 1.0
        high = min(low + 1, len(outer) - 1)
        a = outer[low] * (1 - rest) + outer[high] * rest
        b = line_in[low] * (1 - rest) + line_in[high] * rest
        tone = 0.75 + 0.6 * ((number * 7919) % 13) / 13.0
        line(picture, np.stack([a, b]), person.hair * tone, 0.02 * pose.size)


def _glasses(picture, person: Person, marks, pose: Pose) -> None:
    colour = np.array([30, 28, 30]) + 60 * (1.0 - person.glasses)
    width = 0.035 * pose.size
    for eye in (marks[36:42], marks[42:48]):
        centre = eye.mean(0)
        angle = np.linspace(0, 2 * np.pi, 24, endpoint=False)
        ring = centre + np.stack([0.30 * np.cos(angle), 0.24 * np.sin(angle)], 1) * pose.size
        line(picture, ring, colour, width, closed=True)
    gap = np.stack([marks[39] + (0.1 * pose.size, 0), marks[42] - (0.1 * pose.size, 0)])
    line(picture, gap, colour, width)
