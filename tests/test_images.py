"""Every kind of bad or odd picture: decoded right, or refused with one sentence; never a crash, never slow."""

import io
import json
import struct
import subprocess
import sys
import warnings
import zlib
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
from PIL import Image, ImageCms, ImageFilter
from PIL.PngImagePlugin import PngInfo

from derm import images
from derm.errors import ImageError


def scene(width: int = 160, height: int = 120) -> Image.Image:
    """Smooth, asymmetric, with a red, a green and a blue corner: orientation and colour can be told."""
    y, x = np.mgrid[0:1:height * 1j, 0:1:width * 1j]
    return Image.fromarray((np.stack([(1 - x) * (1 - y), x * (1 - y), (1 - x) * y], -1) * 255).astype(np.uint8))


def encoded(image: Image.Image, file_format: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, file_format, **options)
    return buffer.getvalue()


def heic(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    pillow_heif.from_pillow(image).save(buffer, quality=90)
    return buffer.getvalue()


def empty_png(width: int, height: int) -> bytes:
    """69 bytes that claim any size: a header, twelve bytes of nothing, an end."""
    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return (b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0\0\0\0"))
            + chunk(b"IEND", b""))


def many_scans(copies: int) -> bytes:
    data = encoded(scene(), "JPEG", progressive=True)
    last = data.rindex(b"\xff\xda")
    return data[:-2] + data[last:-2] * copies + data[-2:]


def close(left: np.ndarray, right: np.ndarray) -> float:
    return float(np.abs(left.astype(int) - right.astype(int)).mean())


JPEG = encoded(scene(), "JPEG", quality=95)
SVG = b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg" width="9" height="9"></svg>'
REFUSED = {
    "empty": (b"", "empty (0 bytes)"),
    "text": ("A plain text, übel benannt.\n".encode(), "is a text"),
    "half a JPEG": (JPEG[:len(JPEG) // 2], "a JPEG that is damaged or incomplete"),
    "half a progressive JPEG": (encoded(scene(), "JPEG", progressive=True)[:900], "damaged or incomplete"),
    "69-byte PNG": (empty_png(20_000, 20_000), "20,000 x 20,000 pixels; at most 50 million"),
    "10,000 x 10,000 PNG": (encoded(Image.new("1", (10_000, 10_000)), "PNG"), "10,000 x 10,000 pixels"),
    "PNG without pixels": (empty_png(100, 100), "a PNG that is damaged"),
    "too many bytes": (JPEG + bytes(images.MAX_BYTES), "20.0 MB; at most 20 MB"),
    "GIF": (encoded(scene().quantize(16), "GIF"), "is a GIF"),
    "PDF": (encoded(scene(), "PDF"), "is a PDF"),
    "PSD": (b"8BPS\0\1" + bytes(200), "is a Photoshop document"),
    "SVG": (SVG, "is an SVG drawing"),
    "HTML": (b"<!DOCTYPE html><html></html>", "is a web page"),
    "DICOM": (bytes(128) + b"DICM" + bytes(64), "is a DICOM file"),
    "film": (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom" + bytes(64), "is a film"),
    "ZIP": (b"PK\x03\x04" + bytes(64), "a ZIP archive or an office document"),
    "noise": (bytes(range(7, 256)) * 4, "of an unknown format"),
    "truncated HEIC": (heic(scene())[:-400], "a HEIC that is damaged or incomplete"),
    "HEIC header": (heic(scene())[:40], "a HEIC that is damaged or incomplete"),
    "truncated AVIF": (encoded(scene(), "AVIF")[:-300], "an AVIF that is damaged or incomplete"),
    "truncated TIFF": (encoded(scene(), "TIFF")[:300], "a TIFF that is damaged or incomplete"),
    "JPEG of 50 scans": (many_scans(50), "more than 40 scans"),
}


@pytest.mark.parametrize(("data", "says"), REFUSED.values(), ids=REFUSED.keys())
@pytest.mark.filterwarnings("ignore:Truncated File Read")
def test_refuses_in_one_sentence_that_says_why(data: bytes, says: str) -> None:
    with pytest.raises(ImageError) as caught:
        images.decode(data, name="../lesion.jpg")
    message = str(caught.value)
    assert message.startswith("lesion.jpg ")
    assert says in message
    assert "\n" not in message
    assert len(message) < 220


PLAIN = {
    "JPEG": JPEG, "PNG": encoded(scene(), "PNG"), "WebP": encoded(scene(), "WEBP", lossless=True),
    "HEIC": heic(scene()), "AVIF": encoded(scene(), "AVIF", quality=90), "TIFF": encoded(scene(), "TIFF"),
    "LZW TIFF": encoded(scene(), "TIFF", compression="tiff_lzw"), "BMP": encoded(scene(), "BMP"),
    "CMYK": encoded(scene().convert("CMYK"), "JPEG", quality=95),
    "palette": encoded(scene().quantize(256), "PNG"), "opaque RGBA": encoded(scene().convert("RGBA"), "PNG"),
}


@pytest.mark.parametrize("data", PLAIN.values(), ids=PLAIN.keys())
def test_decodes_every_format_to_the_same_picture(data: bytes) -> None:
    photo = images.decode(data)
    assert photo.pixels.dtype == np.uint8
    assert photo.pixels.shape == (120, 160, 3)
    assert photo.pixels.flags.c_contiguous
    assert photo.notices == ()
    assert close(photo.pixels, np.asarray(scene())) < 6


@pytest.mark.parametrize("file_format", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_rescaled_not_white(file_format: str) -> None:
    ramp = np.tile(np.linspace(0, 65535, 256).astype(np.uint16), (64, 1))
    pixels = images.decode(encoded(Image.fromarray(ramp), file_format)).pixels
    assert np.abs(pixels[0, :, 0].astype(int) - np.arange(256)).max() <= 1
    large = np.repeat(np.array([0, 65535], np.uint16), 2000)[None].repeat(64, 0)  # is shrunk: no overshoot
    assert images.decode(encoded(Image.fromarray(large), file_format)).pixels.mean() == pytest.approx(127.5, abs=1)


@pytest.mark.parametrize(("top", "expected"), [(4095.0, 255), (1.0, 255), (2047.0, 127), (0.0, 0)])
def test_deep_grey_goes_by_the_depth_that_holds_it(top: float, expected: int) -> None:
    grey = Image.fromarray(np.linspace([0.0] * 9, [top] * 9, 9, dtype=np.float32))
    assert images.decode(encoded(grey, "TIFF")).pixels.max() == pytest.approx(expected, abs=1)


def test_transparent_parts_are_white() -> None:
    rgba = scene().convert("RGBA")
    rgba.putalpha(Image.fromarray(np.repeat(np.array([[0, 128, 255, 255]], np.uint8), 120, 0).repeat(40, 1)))
    for data in (encoded(rgba, "PNG"), encoded(rgba, "WEBP", lossless=True), encoded(rgba, "TIFF")):
        pixels = images.decode(data).pixels
        assert (pixels[:, :40] == 255).all()
        assert close(pixels[:, 80:], np.asarray(scene())[:, 80:]) < 1
        assert close(pixels[:, 40:80], (np.asarray(scene())[:, 40:80] + 255.0) / 2) < 2
    palette = Image.new("P", (8, 8), 1)
    palette.putpalette([255, 0, 0, 0, 0, 200])
    palette.putpixel((0, 0), 0)
    pixels = images.decode(encoded(palette, "PNG", transparency=0)).pixels
    assert pixels[0, 0].tolist() == [255, 255, 255]
    assert pixels[1, 1].tolist() == [0, 0, 200]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("file_format", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
def test_is_turned_upright(orientation: int, file_format: str) -> None:
    undo = {2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # Pillow's transposition that a camera would have stored
    exif = Image.Exif()
    exif[0x0112] = orientation
    stored = scene().transpose(Image.Transpose(undo[orientation])) if orientation > 1 else scene()
    options = {} if file_format == "TIFF" else {"quality": 95}
    pixels = images.decode(encoded(stored, file_format, exif=exif.tobytes(), **options)).pixels
    assert pixels.shape == (120, 160, 3)
    assert close(pixels, np.asarray(scene())) < 6


def test_a_large_jpeg_is_turned_and_shrunk() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = scene().resize((4000, 3000)).transpose(Image.Transpose.ROTATE_90)
    pixels = images.decode(encoded(stored, "JPEG", exif=exif.tobytes())).pixels
    assert pixels.shape == (1500, 2000, 3)
    assert close(images.fit(pixels, 64), images.fit(np.asarray(scene()), 64)) < 3


@pytest.mark.parametrize(("size", "expected"), [((5000, 50), (20, 2048)), ((2048, 9), (9, 2048)),
                                                ((9, 6000), (2048, 3)), ((2100, 2100), (2048, 2048))])
def test_the_longer_side_is_capped(size: tuple[int, int], expected: tuple[int, int]) -> None:
    for mode in ("RGB", "RGBA"):
        data = encoded(scene().resize(size).convert(mode), "PNG", compress_level=1)
        assert images.decode(data).pixels.shape[:2] == expected


def test_metadata_ends_here() -> None:
    exif = Image.Exif()
    exif[0x010E] = "SECRET-DESCRIPTION"
    exif.get_ifd(0x8825)[1] = "N"
    exif.get_ifd(0x8825)[2] = (51.0, 30.0, 12.0)
    note = PngInfo()
    note.add_text("Comment", "SECRET-COMMENT")
    for data in (encoded(scene(), "JPEG", exif=exif.tobytes(), comment=b"SECRET-COMMENT"),
                 encoded(scene(), "PNG", exif=exif.tobytes(), pnginfo=note)):
        assert b"SECRET" in data
        photo = images.decode(data)
        assert type(photo.pixels) is np.ndarray
        again = encoded(Image.fromarray(photo.pixels), "PNG")
        assert b"SECRET" not in again
        assert b"eXIf" not in again
        assert Image.fromarray(photo.pixels).info == {}


def test_damaged_metadata_does_not_cost_the_photograph() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        photo = images.decode(encoded(scene(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\x7f", icc_profile=b"junk"))
    assert photo.pixels.shape == (120, 160, 3)


def test_colours_follow_the_embedded_profile() -> None:
    lab = ImageCms.createProfile("LAB")
    srgb = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()
    swapped = srgb.replace(b"rXYZ", b"tXYZ").replace(b"bXYZ", b"rXYZ").replace(b"tXYZ", b"bXYZ")
    swapped = swapped.replace("sRGB".encode("utf-16-be"), "test".encode("utf-16-be"))
    red = Image.new("RGB", (40, 40), (200, 30, 30))
    assert images.decode(encoded(red, "PNG", icc_profile=srgb)).pixels[9, 9].tolist() == [200, 30, 30]
    assert images.decode(encoded(red, "PNG", icc_profile=swapped)).pixels[9, 9].argmax() == 2
    unusable = ImageCms.ImageCmsProfile(lab).tobytes()
    assert images.decode(encoded(red, "PNG", icc_profile=unusable)).pixels[9, 9].tolist() == [200, 30, 30]


def test_several_frames_give_the_first_and_a_notice() -> None:
    frames = {"save_all": True, "append_images": [Image.new("RGB", (160, 120), "navy")]}
    for file_format, word in (("PNG", "frames"), ("WEBP", "frames"), ("TIFF", "pages"), ("AVIF", "frames")):
        photo = images.decode(encoded(scene(), file_format, **frames))
        assert photo.notices == (f"The file holds several {word}; only the first was read.",), file_format
        assert close(photo.pixels, np.asarray(scene())) < 12, file_format
    assert images.decode(encoded(scene(), "MPO", **frames)).notices == ()


def test_one_pixel_decodes_and_is_hopeless() -> None:
    photo = images.decode(encoded(Image.new("RGB", (1, 1), (180, 120, 90)), "PNG"))
    assert photo.pixels.tolist() == [[[180, 120, 90]]]
    assert images.quality(photo.pixels).hopeless
    assert "too small (1 x 1 pixels)" in images.quality(photo.pixels).problems[0]
    assert images.fit(photo.pixels, 8).shape == (8, 8, 3)


@pytest.mark.parametrize(("name", "expected"), [
    ("lesion.jpg", "lesion.jpg"), ("../../etc/passwd", "passwd"), (r"C:\photos\arm.png", "arm.png"),
    ("a\0b\x1b[2J.jpg", "ab[2J.jpg"), ("<script>alert('x')</script>.png", "script_.png"),
    ("<img src=x onerror=f()>.png", "_img src=x onerror=f()_.png"), ("Läsion Übersicht.heic",) * 2,
    ("gpj\u202e.exe", "gpj.exe"), ("..", "photo"), ("", "photo"), (" .hidden ", "hidden"),
    ("x" * 300 + ".jpeg", "x" * 75 + ".jpeg"), ("y" * 300, "y" * 80), ("." + "z" * 300, "z" * 80),
])
def test_safe_name(name: str, expected: str) -> None:
    assert images.safe_name(name) == expected
    assert images.decode(JPEG, name=name).name == expected


def test_read_takes_files_only(tmp_path: Path) -> None:
    (tmp_path / "good.jpg").write_bytes(JPEG)
    assert images.read(tmp_path / "good.jpg").name == "good.jpg"
    with pytest.raises(ImageError, match=r"gone\.jpg: no such file"):
        images.read(tmp_path / "gone.jpg")
    with pytest.raises(ImageError, match="no such file"):
        images.read(tmp_path)
    with (tmp_path / "huge.jpg").open("wb") as file:
        file.truncate(images.MAX_BYTES + 1)
    with pytest.raises(ImageError, match=r"huge\.jpg has 20\.0 MB"):
        images.read(tmp_path / "huge.jpg")


def test_fit_keeps_the_whole_picture_in_place() -> None:
    square = images.fit(np.asarray(scene(900, 300)), 60)
    assert square.dtype == np.uint8
    assert close(square, np.asarray(scene(60, 60))) < 2
    stripes = np.zeros((512, 512, 3), np.uint8)
    stripes[:, ::2] = 255
    assert images.fit(stripes, 64).std() < 3  # antialiased: not the stripes that happen to be hit


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WebP", "TIFF", "LZW TIFF", "BMP", "HEIC", "AVIF"])
def test_damaged_bytes_never_raise_anything_else(kind: str) -> None:
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(60):
        data = np.frombuffer(PLAIN[kind], np.uint8).copy()
        spots = rng.integers(8, min(len(data), 3000), 6)
        data[spots] = rng.integers(0, 256, 6)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                outcomes.add(images.decode(data.tobytes()).pixels.dtype.name)
            except ImageError:
                outcomes.add("refused")
    assert outcomes <= {"uint8", "refused"}


def test_quality_names_each_problem_with_advice() -> None:
    rng = np.random.default_rng(0)
    coarse = Image.fromarray(rng.integers(60, 220, (60, 80, 3), dtype=np.uint8)).resize((640, 480))
    good = np.asarray(coarse)
    blurred = np.asarray(coarse.filter(ImageFilter.GaussianBlur(6)))
    even = np.clip(140 + 3 * (good.astype(float) - 140) / 80, 0, 255).astype(np.uint8)
    cases = [
        (good, None, False), (good // 3, "too dark: turn on", False),
        (255 - (255 - good) // 5, "too bright", False),
        (good[:90], "too small (640 x 90 pixels): use the original", False), (blurred, "blurred: hold", False),
        (even, "nearly one even colour", True), (np.zeros((300, 300, 3), np.uint8), "too dark", True),
        (np.full((300, 300, 3), 255, np.uint8), "too bright", True), (good[:20], "too small", True),
    ]
    for pixels, says, hopeless in cases:
        found = images.quality(pixels)
        assert len(found.problems) == (says is not None), (says, found)
        assert says is None or says in found.problems[0]
        assert found.hopeless is hopeless, (says, found)


def test_quality_does_not_silence_dark_skin(ajl_root: Path) -> None:
    import pandas as pd
    table = pd.read_csv(ajl_root / "train.csv")
    dark, light = table[table.fitzpatrick_scale == 6], table[table.fitzpatrick_scale == 2].head(89)
    for rows in (dark, light):
        paths = [ajl_root / "train" / "train" / row.label / f"{row.md5hash}.jpg" for row in rows.itertuples()]
        found = [images.quality(images.read(path).pixels) for path in paths]
        assert sum(any("too dark" in p for p in q.problems) for q in found) <= 2
        assert sum(bool(q.problems) for q in found) <= 5
        assert not any(q.hopeless for q in found)


ONE = """
import json, re, sys, time
from derm import images
data = sys.stdin.buffer.read()
start = time.process_time()  # of the processor, so that a busy machine does not fail the test
try:
    outcome = len(images.decode(data).pixels)
except images.ImageError as error:
    outcome = str(error)
seconds = time.process_time() - start
peak = re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())  # getrusage would count the parent's
print(json.dumps([outcome, seconds, int(peak[1]) / 1024]))
"""


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from Linux's /proc")
@pytest.mark.parametrize(("file_format", "mode", "options", "outcome"), [
    ("JPEG", "RGB", {"progressive": True}, 1512),
    *(pytest.param(*each, marks=pytest.mark.slow) for each in (
        ("PNG", "RGBA", {"compress_level": 1}, 1536), ("PNG", "I;16", {"compress_level": 1}, 1536),
        ("WEBP", "RGB", {"method": 0}, None))),
])
def test_48_megapixels_stay_under_2_seconds_and_500_megabytes(
        file_format: str, mode: str, options: dict[str, object], outcome: int | None) -> None:
    data = encoded(Image.new(mode, (8064, 6048), 30_000 if mode == "I;16" else "sienna"), file_format, **options)
    run = subprocess.run([sys.executable, "-c", ONE], input=data, capture_output=True, check=True)
    decoded, seconds, megabytes = json.loads(run.stdout)
    assert decoded == outcome if outcome else "8,064 x 6,048 pixels; at most 24 million" in decoded
    assert seconds < 2
    assert megabytes < 500
