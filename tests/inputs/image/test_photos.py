"""Photos that the graph has no decoder for: HEIC, AVIF, TIFF, JPEG 2000, uncommon BMP and JPEG, pixel by pixel."""

import gc
import io
import shutil
import struct
import sys
from pathlib import Path

import numpy as np
import pillow_heif
import pytest
import tensorflow as tf
from PIL import Image, ImageOps

from tfl.data import load_source, make_dataset, make_prediction_dataset, reading_explained
from tfl.errors import InputError
from tfl.inputs import converted, get_input
from tfl.inputs.image.decode import decode_image, resize
from tfl.inputs.image.formats import sniff
from tfl.inputs.image.photos import decode_photo, graph_bytes, needs_pillow
from tfl.inputs.image.scan import BadImageError, ScannedImage, scan_image
from tfl.inputs.scan import scan_files

IMAGE = get_input("image")

pillow_heif.register_heif_opener()  # so that Pillow is the oracle of HEIC too
RNG = np.random.default_rng(0)
COARSE = Image.fromarray(RNG.integers(0, 256, (6, 8, 4), np.uint8))
RGBA = COARSE.resize((48, 36), Image.Resampling.BICUBIC)
RGB = RGBA.convert("RGB")
KINDS = {"HEIC": "HEIF", "AVIF": "AVIF", "TIFF": "TIFF", "JPEG 2000": "JPEG2000"}


@pytest.fixture(autouse=True)
def cache(tmp_path_factory, monkeypatch) -> Path:
    """A cache of its own."""
    folder = tmp_path_factory.mktemp("cache")
    monkeypatch.setenv("TFL_CACHE", str(folder))
    return folder


def encode(image: Image.Image, kind: str, **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def pillow(encoded: bytes) -> np.ndarray:
    """Upright, and over white by the rule of the decoder."""
    image = ImageOps.exif_transpose(Image.open(io.BytesIO(encoded)))
    rgba = np.asarray(image.convert("RGBA")).astype(np.float64)
    whitened = rgba[..., :3] * rgba[..., 3:] + 255 * (255 - rgba[..., 3:])
    return np.floor(whitened / 255 + 0.5).astype(np.uint8)


def scan(encoded: bytes) -> tuple[ScannedImage, np.ndarray]:
    """Scan a file, and decode in the graph what the scan says is to be read."""
    scanned = scan_image(encoded, is_file=True)
    assert scanned.replacement
    return scanned, decode_image(tf.constant(Path(scanned.replacement).read_bytes()), [scanned.format]).numpy()


def check(encoded: bytes, kind: str, expected: np.ndarray | None = None) -> None:
    expected = pillow(encoded) if expected is None else expected
    assert sniff(encoded) == sniff(encoded[:12].ljust(12)) == kind and needs_pillow(encoded, kind)
    scanned, pixels = scan(encoded)
    np.testing.assert_array_equal(pixels, expected)
    assert (scanned.height, scanned.width) == expected.shape[:2]
    np.testing.assert_array_equal(decode_image(tf.constant(graph_bytes(encoded))).numpy(), expected)


def exif(orientation: int) -> Image.Exif:
    tags = Image.Exif()
    tags[0x0112] = orientation
    return tags


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "L"])
def test_pixels_are_those_of_pillow(kind, mode):
    check(encode(RGBA.convert(mode), KINDS[kind]), kind)


@pytest.mark.parametrize("orientation", [1, 3, 6, 7])
@pytest.mark.parametrize("kind", ["HEIC", "AVIF", "TIFF"])
def test_photos_stand_upright(kind, orientation):
    if kind == "TIFF":
        encoded = encode(RGB, "TIFF", tiffinfo={274: orientation})
    else:
        encoded = encode(RGB, KINDS[kind], exif=exif(orientation).tobytes(), quality=95)
    check(encoded, kind)
    upright = ImageOps.exif_transpose(_tagged(RGB, orientation))
    difference = np.abs(decode_photo(encoded, kind).astype(int) - np.asarray(upright)).mean()
    assert difference < 10  # lossy, but not turned: that differs by 40 and more


def _tagged(image: Image.Image, orientation: int) -> Image.Image:
    return Image.open(io.BytesIO(encode(image, "PNG", exif=exif(orientation))))


@pytest.mark.parametrize("mode", ["1", "P", "CMYK", "LA", "YCbCr"])
def test_modes_of_tiff(mode):
    image = (RGBA if mode == "LA" else RGB).convert(mode)
    encoded = encode(image, "TIFF")
    check(encoded, "TIFF")


@pytest.mark.parametrize("compression", ["tiff_lzw", "tiff_deflate", "packbits", "jpeg"])
def test_compressions_of_tiff(compression):
    check(encode(RGB, "TIFF", compression=compression), "TIFF")


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000"])
def test_16_bits_are_scaled_as_those_of_png(kind):
    deep = RNG.integers(0, 65536, (9, 13), dtype=np.uint16)
    png = decode_image(tf.constant(encode(Image.fromarray(deep), "PNG"))).numpy()
    check(encode(Image.fromarray(deep), kind), "TIFF" if kind == "TIFF" else "JPEG 2000", png)


def test_the_first_page_and_the_first_frame():
    later = [Image.fromarray(255 - np.asarray(RGB))]
    check(encode(RGB, "TIFF", save_all=True, append_images=later), "TIFF", np.asarray(RGB))
    film = encode(RGB, "AVIF", save_all=True, append_images=later, quality=100)
    assert Image.open(io.BytesIO(film)).n_frames == 2
    check(film, "AVIF")


def test_bare_codestream_and_big_tiff():
    check(encode(RGB, "JPEG2000", no_jp2=True), "JPEG 2000", np.asarray(RGB))
    check(encode(RGB, "TIFF", big_tiff=True), "TIFF", np.asarray(RGB))


@pytest.mark.parametrize(
    ("masks", "bits"),
    [
        ((0xFF0000, 0xFF00, 0xFF, 0), 32),
        ((0xFF000000, 0xFF0000, 0xFF00, 0), 32),
        ((0xFF, 0xFF00, 0xFF0000, 0xFF000000), 32),
        ((0xFF0000, 0xFF00, 0xFF, 0xFF000000), 32),
        ((0xF800, 0x7E0, 0x1F, 0), 16),
        ((0x7C00, 0x3E0, 0x1F, 0), 16),
    ],
)
def test_bmp_with_channel_masks(masks, bits):
    pixels = RNG.integers(0, 256, (9, 12, bits // 8), dtype=np.uint8).tobytes()
    header = struct.pack("<IiiHHIIiiII", 108, 12, 9, 1, bits, 3, len(pixels), 0, 0, 0, 0)
    header += struct.pack("<IIII", *masks) + bytes(52)
    encoded = b"BM" + struct.pack("<IHHI", 122 + len(pixels), 0, 0, 122) + header + pixels
    check(encoded, "BMP")
    with pytest.raises(tf.errors.InvalidArgumentError, match="channel masks"):
        decode_image(tf.constant(encoded))


def test_bmp_of_one_bit_with_runs_and_with_the_header_of_os2():
    check(encode(RGB.convert("1"), "BMP"), "BMP")
    pixels = bytes([3, 7, 0, 0, 1, 1, 2, 9, 0, 1])  # 7 7 7 | 1 9 9, by runs
    palette = RNG.integers(0, 256, 1024, dtype=np.uint8).tobytes()
    header = struct.pack("<IiiHHIIiiII", 40, 3, 2, 1, 8, 1, len(pixels), 0, 0, 256, 0)
    start = 54 + len(palette)
    check(b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + header + palette + pixels, "BMP")
    pixels = RNG.integers(0, 256, (4, 12), dtype=np.uint8).tobytes()  # 4 x 4, 24 bits
    encoded = b"BM" + struct.pack("<IHHIIHHHH", 26 + 48, 0, 0, 26, 12, 4, 4, 1, 24) + pixels
    check(encoded, "BMP")


def test_an_orientation_that_only_pillow_reads():
    xmp = b'http://ns.adobe.com/xap/1.0/\0<x:xmpmeta><a tiff:Orientation="6"/></x:xmpmeta>'
    plain = encode(RGB, "JPEG", quality=95)
    encoded = plain[:2] + b"\xff\xe1" + struct.pack(">H", len(xmp) + 2) + xmp + plain[2:]
    assert Image.open(io.BytesIO(encoded)).size != ImageOps.exif_transpose(Image.open(io.BytesIO(encoded))).size
    check(encoded, "JPEG")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("part", [0.1, 0.5, 0.95])
def test_a_photo_that_is_cut_off_is_left_out(kind, part):
    encoded = encode(RGB, KINDS[kind], **({"compression": "tiff_lzw"} if kind == "TIFF" else {}))
    with pytest.raises(BadImageError, match=f"^broken or truncated {kind}: [^\n]+$"):
        scan_image(encoded[: int(part * len(encoded))], is_file=True)


@pytest.mark.parametrize("kind", ["TIFF", "JPEG2000"])
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_16_bits_that_hold_fewer_are_read_by_bit_depth(kind, bits):
    deep = RNG.integers(0, 2**bits, (9, 13), dtype=np.uint16)
    scanned = scan_image(encode(Image.fromarray(deep), kind), is_file=True)
    assert scanned.peak == deep.max()
    pixels = decode_image(tf.constant(Path(scanned.replacement).read_bytes()), [scanned.format], bits).numpy()
    expected = np.floor(deep * (255 / (2**bits - 1)) + 0.5)
    np.testing.assert_array_equal(pixels, np.repeat(expected[:, :, None], 3, axis=2))


def colour_tiff(values: np.ndarray) -> bytes:
    """A TIFF of 16 bits a colour, which Pillow reads but does not write."""
    height, width, _ = values.shape
    body, bits = values.astype("<u2").tobytes(), struct.pack("<HHH", 16, 16, 16)
    tags = [(256, 3, 1, width), (257, 3, 1, height), (258, 3, 3, 8), (259, 3, 1, 1), (262, 3, 1, 2), (273, 4, 1, 14)]
    tags += [(277, 3, 1, 3), (278, 3, 1, height), (279, 4, 1, len(body))]
    directory = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags) + bytes(4)
    return b"II*\0" + struct.pack("<I", 14 + len(body)) + bits + body + directory


def test_what_cannot_be_shown_is_refused():
    def refusal(encoded: bytes) -> str:
        with pytest.raises(BadImageError) as caught:
            scan_image(encoded, is_file=True)
        return str(caught.value)

    grey = np.linspace(0, 1, 48 * 36).reshape(36, 48)
    assert "mode F" in refusal(encode(Image.fromarray(grey.astype(np.float32)), "TIFF"))
    dim = Image.fromarray((grey * 4000).astype(np.uint16))
    assert scan_image(encode(dim, "TIFF"), is_file=True).peak == 4000  # data.bit_depth says what that means
    assert "16 bits for each colour that is nearly black" in refusal(colour_tiff(RNG.integers(0, 4096, (6, 5, 3))))
    bright = colour_tiff(RNG.integers(60000, 65536, (6, 5, 3)))
    assert scan(bright)[1].min() >= 60000 // 256
    assert "raw file of a camera" in refusal(encode(RGB, "TIFF", tiffinfo={254: 1}))
    assert "raw file of a camera" in refusal(encode(RGB, "TIFF", tiffinfo={50706: b"\1\4\0\0"}))
    assert "from files (folder:PATH)" in _refusal_of_bytes(encode(RGB, "AVIF"))


def _refusal_of_bytes(encoded: bytes) -> str:
    with pytest.raises(BadImageError) as caught:
        scan_image(encoded)
    return str(caught.value)


@pytest.mark.parametrize("head", [b"\0\0\0\x18ftypisom", b"\0\0\0\x18ftypqt  ", b"\0\0\0\x18ftypmp42"])
def test_films_are_no_photos(head):
    assert sniff(head + bytes(20)) == ""


def test_a_container_of_any_image_is_told_by_its_other_brands():
    assert sniff(b"\0\0\0\x18ftypmif1\0\0\0\0miafavif") == "AVIF"
    assert sniff(b"\0\0\0\x18ftypmif1\0\0\0\0miafheic") == "HEIC"


def write_photos(folder: Path) -> None:
    for number, (kind, name) in enumerate((kind, name) for kind in (*KINDS.values(), "JPEG") for name in ("a", "b")):
        image = Image.fromarray(np.roll(np.asarray(RGB), 3 * number, axis=1))
        (folder / name).mkdir(parents=True, exist_ok=True)
        image.save(folder / name / f"{number}.jpg", kind)  # the content decides, not the name


def test_a_folder_of_photos_is_read_like_pngs(tmp_path, cache):
    write_photos(tmp_path / "photos")
    source = load_source(f"folder:{tmp_path / 'photos'}")
    assert len(source.index) == 10 and not source.quarantine
    assert len(list((cache / "photos").rglob("*.png"))) == 8
    rows = np.arange(10)[::-1]
    (batch,) = make_dataset(source, rows, image_size=16, batch_size=10)
    for row, pixels in zip(batch["id"].numpy(), batch["input"].numpy(), strict=True):
        encoded = Path(source.index.paths[row]).read_bytes()
        np.testing.assert_array_equal(pixels, resize(tf.constant(pillow(encoded)), 16))
    dataset, paths, bad = make_prediction_dataset([tmp_path / "photos"], IMAGE.sized(16), 10)
    (again,) = dataset
    assert not bad and len(paths) == 10
    by_path = dict(zip(source.index.paths[batch["id"].numpy()], batch["input"].numpy(), strict=True))
    for path, pixels in zip(paths, again["input"].numpy(), strict=True):
        np.testing.assert_array_equal(pixels, by_path[path])


def test_a_photo_is_decoded_once_and_a_damaged_png_is_made_again(tmp_path, cache):
    write_photos(tmp_path / "photos")
    paths = [str(path) for path in sorted((tmp_path / "photos").rglob("*.jpg"))]
    first = scan_files(IMAGE, paths)
    pngs = {
        Path(result.replacement): Path(result.replacement).stat().st_mtime_ns for result in first if result.replacement
    }
    assert scan_files(IMAGE, paths) == first and all(path.stat().st_mtime_ns == then for path, then in pngs.items())
    damaged, content = next(iter(pngs)), next(iter(pngs)).read_bytes()
    for bad in (content[:-9], content[: len(content) // 2] + b"\0\0\0\0" + content[len(content) // 2 + 4 :], b""):
        damaged.write_bytes(bad)
        assert scan_files(IMAGE, paths) == first and damaged.read_bytes() == content


def test_the_pngs_of_data_sets_that_nobody_uses_are_dropped_at_the_bound(tmp_path, cache, monkeypatch, capsys):
    pngs = {}
    for name in ("old", "older", "new"):
        write_photos(tmp_path / name)
    paths = {name: sorted(map(str, (tmp_path / name).rglob("*.jpg"))) for name in ("older", "old", "new")}
    for name in ("older", "old"):
        pngs[name] = [Path(result.replacement) for result in scan_files(IMAGE, paths[name]) if result.replacement]
    of_one = sum(path.stat().st_size for path in pngs["old"])
    monkeypatch.setattr("tfl.inputs.converted.MAX_BYTES", 2 * of_one)
    scan_files(IMAGE, paths["new"])
    assert all(path.exists() for path in (*pngs["older"], *pngs["old"]))  # this process uses them all
    converted._use.cache_clear()
    gc.collect()
    pngs["new"] = [Path(result.replacement) for result in scan_files(IMAGE, paths["new"]) if result.replacement]
    assert not any(path.exists() for path in pngs["older"])
    assert all(path.exists() for path in (*pngs["old"], *pngs["new"]))
    assert "photos: " in capsys.readouterr().err
    monkeypatch.setattr("tfl.inputs.converted.MAX_BYTES", 1)
    scan_files(IMAGE, paths["new"])
    assert not any(path.exists() for path in pngs["old"]) and all(path.exists() for path in pngs["new"])
    assert [path.name for path in (cache / "photos").iterdir() if path.is_dir()] == [pngs["new"][0].parent.name]


def test_a_photo_that_changes_and_a_png_that_goes_stop_the_reading_by_name(tmp_path):
    write_photos(tmp_path / "photos")
    source = load_source(f"folder:{tmp_path / 'photos'}")
    photo = tmp_path / "photos" / "a" / "2.jpg"  # an AVIF
    other = tmp_path / "photos" / "a" / "6.jpg"

    def refusal() -> str:
        with pytest.raises(InputError) as caught, reading_explained():
            list(make_dataset(source, np.arange(10), image_size=16, batch_size=10))
        return str(caught.value)

    content = photo.read_bytes()
    shutil.copy(other, photo)
    assert "2.jpg: changed since it was checked" in refusal()
    photo.write_bytes(content)
    Path(source.replacements[source.index.ids.tolist().index("a/2.jpg")]).unlink()
    assert ".png: the file no longer exists" in refusal()


def test_without_the_extra_the_line_names_it(tmp_path, monkeypatch, capsys):
    write_photos(tmp_path / "photos")
    (tmp_path / "photos" / "a" / "a_text.jpg").write_text("no image")
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InputError) as caught:
        load_source(f"folder:{tmp_path / 'photos'}")
    line = str(caught.value)
    assert line.startswith(
        "`data.source` must hold photos whose decoders are installed. Received: 2 of 11 files without a decoder"
    )
    assert (
        line.endswith("HEIC, whose decoder is not installed: pip install 'tfl-transfer[photos]').") and "\n" not in line
    )
    assert len(load_source(f"folder:{tmp_path / 'photos'}", 0.5).quarantine) == 3
    assert "pip install 'tfl-transfer[photos]'" in capsys.readouterr().err


@pytest.mark.parametrize("why", ["no home", "a file in its place"])
def test_where_the_cache_cannot_be_used_one_line_says_so(tmp_path, monkeypatch, why):
    write_photos(tmp_path / "photos")
    if why == "no home":
        for name in ("TFL_CACHE", "XDG_CACHE_HOME", "HOME"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setattr("os.path.expanduser", lambda path: path)  # what it does for a user without an entry
    else:
        (tmp_path / "file").write_text("")
        monkeypatch.setenv("TFL_CACHE", str(tmp_path / "file"))
    with pytest.raises(InputError, match=r"^`TFL_CACHE` must [^\n]+$"):
        load_source(f"folder:{tmp_path / 'photos'}")
