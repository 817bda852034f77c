"""Pictures: read upright as RGB, or refused with a reason before any harm is done."""

import io
import resource
import struct
import zlib

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from iid_jax.errors import DataError
from iid_jax.faces import media

HEIGHT, WIDTH = 24, 40


def picture(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)


def encoded(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def reason_of(data: bytes, **options) -> str:
    with pytest.raises(media.MediaError) as caught:
        media.decode_image(data, "x.png", **options)
    assert "x.png" in str(caught.value)
    assert "\n" not in str(caught.value)
    return caught.value.reason


@pytest.mark.parametrize("kind", ["PNG", "BMP", "TIFF", "PPM"])
def test_lossless_formats_come_back_bit_for_bit(kind):
    data = encoded(Image.fromarray(picture()), kind)
    np.testing.assert_array_equal(media.decode_image(data), picture())


def test_file_is_read(tmp_path):
    path = tmp_path / "a picture.png"
    path.write_bytes(encoded(Image.fromarray(picture())))
    np.testing.assert_array_equal(media.read_image(path), picture())


# What a camera stores for each of the eight EXIF orientations of the same upright picture.
STORED = {
    1: lambda a: a,
    2: lambda a: a[:, ::-1],
    3: lambda a: a[::-1, ::-1],
    4: lambda a: a[::-1],
    5: lambda a: a.transpose(1, 0, 2),
    6: lambda a: np.rot90(a),
    7: lambda a: a[::-1, ::-1].transpose(1, 0, 2),
    8: lambda a: np.rot90(a, -1),
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(orientation):
    stored = Image.fromarray(np.ascontiguousarray(STORED[orientation](picture())))
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encoded(stored, "PNG", exif=exif)
    np.testing.assert_array_equal(media.decode_image(data), picture())


def test_broken_exif_is_ignored():
    data = encoded(Image.fromarray(picture()), "JPEG", exif=b"Exif\x00\x00MM\x00*\xff\xff\xff\xff")
    assert media.decode_image(data).shape == (HEIGHT, WIDTH, 3)


def test_grey_is_repeated():
    grey = picture()[..., 0]
    expected = np.repeat(grey[..., None], 3, 2)
    np.testing.assert_array_equal(media.decode_image(encoded(Image.fromarray(grey))), expected)


def test_sixteen_bit_grey_keeps_its_whole_range():
    grey = np.linspace(0, 65535, HEIGHT * WIDTH).reshape(HEIGHT, WIDTH).astype(np.uint16)
    decoded = media.decode_image(encoded(Image.fromarray(grey)))
    np.testing.assert_array_equal(decoded[..., 1], np.rint(grey / 257.0))
    assert (decoded.min(), decoded.max()) == (0, 255)


def test_transparent_pixels_are_black_and_opaque_ones_unchanged():
    alpha = np.where(np.arange(WIDTH) < WIDTH // 2, 0, 255).astype(np.uint8)
    layers = np.dstack([picture(), np.broadcast_to(alpha, (HEIGHT, WIDTH))])
    decoded = media.decode_image(encoded(Image.fromarray(layers)))
    assert (decoded[:, : WIDTH // 2] == 0).all()
    np.testing.assert_array_equal(decoded[:, WIDTH // 2 :], picture()[:, WIDTH // 2 :])


def test_palette_picture_has_its_colours():
    flat = np.zeros((HEIGHT, WIDTH, 3), np.uint8)
    flat[:, : WIDTH // 2] = (200, 30, 60)
    data = encoded(Image.fromarray(flat).convert("P", palette=Image.Palette.ADAPTIVE))
    np.testing.assert_array_equal(media.decode_image(data), flat)


def test_cmyk_jpeg_comes_as_rgb():
    flat = Image.new("RGB", (WIDTH, HEIGHT), (200, 30, 60)).convert("CMYK")
    decoded = media.decode_image(encoded(flat, "JPEG", quality=95))
    assert np.abs(decoded.astype(int) - (200, 30, 60)).max() <= 6


def test_first_frame_of_an_animation():
    frames = [Image.new("RGB", (WIDTH, HEIGHT), c) for c in ("red", "blue")]
    data = encoded(frames[0], "GIF", save_all=True, append_images=frames[1:])
    assert (media.decode_image(data) == (255, 0, 0)).all()


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "BMP", "GIF", "WEBP", "TIFF"])
@pytest.mark.parametrize("share", [0.5, 0.9])
def test_truncated_file_is_refused(kind, share):
    data = encoded(Image.fromarray(picture()), kind)
    assert reason_of(data[: int(share * len(data))]) in ("truncated", "unknown_format")


def header_of_png(width: int, height: int) -> bytes:
    chunk = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    body = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    return b"\x89PNG\r\n\x1a\n" + body + b"\x00\x00\x00\x00IDAT"


@pytest.mark.parametrize("size", [(30_000, 30_000), (9_000, 8_000), (2_000_000, 33)])
def test_huge_picture_is_refused_from_its_header(size):
    assert reason_of(header_of_png(*size)) == "too_large"


def test_pixel_limit_is_inclusive():
    data = encoded(Image.fromarray(picture()))
    assert media.decode_image(data, max_pixels=HEIGHT * WIDTH).shape == (HEIGHT, WIDTH, 3)
    assert reason_of(data, max_pixels=HEIGHT * WIDTH - 1) == "too_large"


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"not a picture at all", "unknown_format"),
        (encoded(Image.new("RGB", (WIDTH, 4))), "too_small"),
        (encoded(Image.new("F", (WIDTH, HEIGHT)), "TIFF"), "unsupported"),
        (encoded(Image.new("I", (WIDTH, HEIGHT), 70_000), "TIFF"), "unsupported"),
    ],
)
def test_refusal_names_its_reason(data, reason):
    assert reason_of(data) == reason


@pytest.mark.parametrize(
    ("name", "reason"), [("gone.jpg", "not_found"), (".", "unreadable"), ("a\0b", "unreadable")]
)
def test_unreadable_path_is_refused(tmp_path, name, reason):
    with pytest.raises(DataError) as caught:
        media.read_image(tmp_path / name)
    assert caught.value.reason == reason


def smooth() -> Image.Image:
    """A picture that every format stores in some hundred bytes."""
    x, y = np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT))
    return Image.fromarray(np.stack([x * 6, y * 10, (x * y) % 256], -1).astype(np.uint8))


def upside_down() -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = 3
    return exif


# One file of every kind that is read: format and layout of its pixels.
FILES = {
    "jpeg": encoded(smooth(), "JPEG"),
    "jpeg_progressive": encoded(smooth(), "JPEG", progressive=True),
    "jpeg_grey": encoded(smooth().convert("L"), "JPEG"),
    "jpeg_cmyk": encoded(smooth().convert("CMYK"), "JPEG"),
    "jpeg_exif": encoded(smooth(), "JPEG", exif=upside_down()),
    "jpeg_two_pictures": encoded(smooth(), "MPO", save_all=True, append_images=[smooth()]),
    "png": encoded(smooth()),
    "png_one_bit": encoded(smooth().convert("1")),
    "png_grey_alpha": encoded(smooth().convert("LA")),
    "png_alpha": encoded(smooth().convert("RGBA")),
    "png_palette": encoded(smooth().quantize(64), transparency=3),
    "png_sixteen": encoded(Image.fromarray(np.asarray(smooth())[..., 0].astype(np.uint16) * 257)),
    "webp": encoded(smooth(), "WEBP"),
    "webp_lossless": encoded(smooth(), "WEBP", lossless=True),
    "webp_animation": encoded(smooth(), "WEBP", save_all=True, append_images=[smooth()]),
    "bmp": encoded(smooth(), "BMP"),
    "tiff": encoded(smooth(), "TIFF"),
    "tiff_deflate": encoded(smooth(), "TIFF", compression="tiff_adobe_deflate"),
    "tiff_cmyk": encoded(smooth().convert("CMYK"), "TIFF"),
    "gif": encoded(smooth().quantize(64), "GIF"),
    "ppm": encoded(smooth(), "PPM"),
}
EXACT = {"png", "png_alpha", "webp_lossless", "bmp", "tiff", "tiff_deflate", "tiff_cmyk", "ppm"}


@pytest.mark.parametrize("kind", FILES)
def test_every_kind_comes_as_upright_rgb(kind):
    decoded = media.decode_image(FILES[kind])
    expected = np.asarray(smooth())
    if kind == "jpeg_exif":
        expected = expected[::-1, ::-1]
    if kind in EXACT:
        np.testing.assert_array_equal(decoded, expected)
    assert decoded.shape == (HEIGHT, WIDTH, 3) and decoded.dtype == np.uint8
    if "grey" in kind or "sixteen" in kind or "one_bit" in kind:
        assert (decoded == decoded[..., :1]).all()
    elif kind != "png_palette":  # one of its colours is transparent
        assert np.abs(decoded.astype(int) - expected).mean() < 12


@given(st.sampled_from(sorted(FILES)), st.floats(0, 1, exclude_max=True))
@settings(max_examples=150, deadline=None)
def test_cut_file_is_refused_or_lacks_nothing(kind, share):
    whole = FILES[kind]
    try:
        decoded = media.decode_image(whole[: int(share * len(whole))])
    except media.MediaError:
        return
    # Only an end marker, a thumbnail or a second picture was cut off.
    np.testing.assert_array_equal(decoded, media.decode_image(whole))


def forged(kind: str, width: int, height: int) -> bytes:
    """A small file of this format whose header tells another size."""
    small, size = encoded(Image.new("RGB", (WIDTH, HEIGHT))), (width, height)
    if kind == "PNG":
        return header_of_png(*size) + small[41:]
    if kind == "PPM":
        return b"P6 %d %d 255\n" % size
    if kind == "WEBP":
        # The canvas of an animation, whose first frame is a small picture.
        frame = encoded(Image.new("RGB", (WIDTH, HEIGHT)), "WEBP")[12:]
        sides = b"".join((side - 1).to_bytes(3, "little") for side in size)
        small_sides = b"".join((side - 1).to_bytes(3, "little") for side in (WIDTH, HEIGHT))
        body = b"WEBPVP8X" + struct.pack("<I", 10) + b"\x02\0\0\0" + sides
        body += b"ANIM" + struct.pack("<I", 6) + bytes(6)
        body += b"ANMF" + struct.pack("<I", 16 + len(frame)) + bytes(6) + small_sides
        body += bytes(4) + frame
        return b"RIFF" + struct.pack("<I", len(body)) + body
    image = Image.new("RGB", (WIDTH, HEIGHT))
    data = bytearray(encoded(image.quantize(4) if kind == "GIF" else image, kind))
    if kind == "JPEG":
        return data.replace(struct.pack(">HH", HEIGHT, WIDTH), struct.pack(">HH", height, width))
    if kind == "TIFF":
        for tag, old, new in ((256, WIDTH, width), (257, HEIGHT, height)):
            data = data.replace(*(struct.pack("<HHII", tag, 4, 1, side) for side in (old, new)))
        return data
    place, layout = {"BMP": (18, "<II"), "GIF": (6, "<HH")}[kind]
    struct.pack_into(layout, data, place, *size)
    return bytes(data)


@pytest.mark.parametrize("kind", media.FORMATS)
@given(st.integers(7_000, 16_000), st.integers(1, 6_000))
@settings(max_examples=10, deadline=None)
def test_more_than_64_megapixels_are_refused_before_they_are_decoded(kind, width, more):
    height = min(media.MAX_PIXELS // width + more, 16_000)
    data = forged(kind, width, height)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if width * height > media.MAX_PIXELS:
        assert reason_of(data) == "too_large"
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 32_000  # KiB


@pytest.mark.parametrize("form", ["lossy", "lossless", "animated"])
def test_the_size_of_a_webp_is_read_from_its_header(form):
    """Also where the canvas has a header of its own; before Pillow allocates any."""
    image, other = (Image.new("RGB", (301, 203), colour) for colour in ("black", "red"))
    options = {"animated": {"save_all": True, "append_images": [other]}}.get(form, {})
    data = encoded(image, "WEBP", lossless=form == "lossless", **options)
    assert media._webp_size(data) == (301, 203)
    with pytest.raises(media.MediaError, match="301x203") as refused:
        media.decode_image(data, max_pixels=61_102)
    assert refused.value.reason == "too_large"
    assert media.decode_image(data, max_pixels=61_103).shape == (203, 301, 3)


@given(
    st.sampled_from(sorted(FILES)),
    st.lists(st.tuples(st.integers(0, 700), st.binary(min_size=1, max_size=8)), max_size=4),
    st.integers(0, 8),
)
@settings(max_examples=300, deadline=None)
def test_damaged_bytes_give_a_picture_or_a_refusal(kind, damages, dropped):
    data = bytearray(FILES[kind])
    for position, garbage in damages:
        data[position : position + len(garbage)] = garbage
        del data[position : position + dropped]
    try:
        decoded = media.decode_image(bytes(data))
    except media.MediaError:
        return
    assert decoded.dtype == np.uint8
    assert decoded.ndim == 3 and decoded.shape[2] == 3


@pytest.mark.parametrize("kind", ["ICO", "AVIF", "TGA", "JPEG2000"])
def test_format_that_is_not_read_is_refused_by_name(kind):
    Image.init()
    if kind not in Image.SAVE:
        pytest.skip(f"this Pillow cannot write {kind}")
    data = encoded(Image.new("RGB", (64, 64)), kind)
    assert reason_of(data) == "unknown_format"
