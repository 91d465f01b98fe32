"""Which JPEG files are whole: photos as cameras write them, and what becomes of them."""

import io
import struct

import damage
import jpegs
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from tfl.errors import BadImageError
from tfl.inputs import get_input
from tfl.inputs.image.jpeg import MAX_PASSES, MAX_REST, check_jpeg, count_work, read_structure
from tfl.inputs.image.scan import MAX_PIXELS, ScannedImage, scan_image
from tfl.inputs.scan import scan_files

IMAGE = get_input("image")

PIXELS = np.random.default_rng(0).integers(0, 256, (48, 64, 3), dtype=np.uint8)


def draw(mode="RGB", **options):
    file = io.BytesIO()
    Image.fromarray(PIXELS).convert(mode).save(file, "JPEG", **options)
    return file.getvalue()


WHOLE = draw()


def segment(code, body):
    return bytes((0xFF, code)) + struct.pack(">H", len(body) + 2) + body


def with_segment(code, body, content=WHOLE):
    return content[:2] + segment(code, body) + content[2:]


@pytest.fixture(scope="module")
def photos(shared):
    """Thirty real photos of many sizes."""
    paths = sorted((shared / "data" / "hymenoptera" / "val").rglob("*.jpg"))[::5][:30]
    assert len(paths) == 30
    return [path.read_bytes() for path in paths]


def reason_of(content):
    try:
        check_jpeg(content)
    except BadImageError as error:
        return str(error)
    return ""


@pytest.mark.parametrize("damaged", damage.KINDS, ids=lambda kind: kind.__name__)
def test_every_kind_of_damage_to_real_photos_is_named(photos, damaged):
    rng = np.random.default_rng(15)
    reasons = [reason_of(damaged(photo, rng)) for photo in photos]
    # Where a block is lost, coded data can fall into step again and have the right length: 1 in 100.
    may_be_missed = 1 if damaged in (damage.zeroed_block, damage.lost_block) else 0
    assert reasons.count("") <= may_be_missed
    assert all("JPEG" in reason and reason.isprintable() for reason in reasons if reason)


@pytest.mark.parametrize(
    "name", ["cifar10_jpg_subset", "det_bccd", "det_raccoon", "seg_camvid_subset", "imagenet_photos"]
)
def test_every_real_photo_is_whole(shared, name):
    """The folders that tests/data/test_folder.py does not load."""
    files = [str(path) for path in (shared / "data" / name).rglob("*") if path.suffix.lower() in (".jpg", ".png")]
    assert files
    results = zip(files, scan_files(IMAGE, files), strict=True)
    assert [(file, result) for file, result in results if not isinstance(result, ScannedImage)] == []


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "options",
    [
        {"quality": 100, "subsampling": 0},
        {"quality": 5, "subsampling": 2},
        {"subsampling": "4:1:1"},
        {"progressive": True},
        {"optimize": True},
        {"restart_marker_blocks": 3},
        {"keep_rgb": True},
        {"comment": b"\xff\xd8\xff\xd9\xff\xda"},
    ],
    ids=lambda options: " ".join(options),
)
def test_whatever_pillow_writes_is_whole(mode, options):
    check_jpeg(draw(mode, **options))


def test_passes_are_counted():
    assert read_structure(WHOLE).passes == 1
    assert read_structure(draw(progressive=True)).passes == 10
    assert read_structure(draw("L", progressive=True)).passes == 6
    structure = read_structure(WHOLE + b"rest")
    assert (structure.end, structure.header) == (len(WHOLE), damage.coded_data(WHOLE) - 12)


def with_passes(count):
    """A progressive file whose last refinement is repeated: each costs a pass over all pixels, and few bytes."""
    content = draw("L", progressive=True)
    start = content.rindex(b"\xff\xda")
    return content[:start] + content[start:-2] * (count - 5) + damage.END


def test_more_passes_than_any_encoder_writes_are_refused_without_decoding():
    assert read_structure(with_passes(MAX_PASSES)).passes == MAX_PASSES
    for count in (MAX_PASSES + 1, 5000):
        with pytest.raises(BadImageError, match="more than 100 passes"):
            check_jpeg(with_passes(count))


def test_passes_are_seen_behind_markers_that_the_decoder_looks_past():
    content = jpegs.with_passes(MAX_PASSES + 1, 8)
    hidden = content.replace(b"\xff\xda", b"\xff\x02\xff\xff\xff\xff\xff\xda")  # as if 65,535 bytes of no scan followed
    with pytest.raises(BadImageError, match="more than 100 passes"):
        read_structure(hidden)


def test_passes_over_many_pixels_are_refused_where_each_alone_is_not():
    side = 7000
    assert (
        count_work(jpegs.with_passes(30, side), side**2) < MAX_PIXELS < count_work(jpegs.with_passes(31, side), side**2)
    )
    with pytest.raises(BadImageError, match="7000 x 7000 pixels with so many passes"):
        scan_image(jpegs.with_passes(31, side))
    assert scan_image(jpegs.with_passes(31, 64)).width == 64


@pytest.mark.parametrize("length", [0, 40])
def test_a_file_of_markers_alone_is_refused(length):
    with pytest.raises(BadImageError, match="more than 10,000 segments"):
        read_structure(b"\xff\xd8" + segment(0xFE, bytes(length)) * 20_000)


def sampled(*factors):
    """A grey JPEG file whose colours have these factors of sampling, written by hand from empty blocks."""
    columns, rows = (max(sides) for sides in zip(*factors, strict=True))
    blocks = "".join(("001010" if number == 0 else "0000") * (a * b) for number, (a, b) in enumerate(factors))
    bits = blocks * (-(-64 // (8 * columns)) * -(-64 // (8 * rows)))
    bits += "1" * (-len(bits) % 8)
    data = bytes(int(bits[at : at + 8], 2) for at in range(0, len(bits), 8)).replace(b"\xff", b"\xff\0")
    colors = b"".join(bytes((n + 1, a << 4 | b, min(n, 1))) for n, (a, b) in enumerate(factors))
    start, tables = WHOLE.index(b"\xff\xc0"), WHOLE.index(b"\xff\xc4")
    frame = segment(0xC0, struct.pack(">BHHB", 8, 64, 64, len(factors)) + colors)
    chosen = b"".join(bytes((n + 1, 0x11 if n else 0)) for n in range(len(factors)))
    scan = segment(0xDA, bytes((len(factors),)) + chosen + b"\0\x3f\0")
    return WHOLE[:start] + frame + WHOLE[tables : WHOLE.index(b"\xff\xda")] + scan + data + damage.END


@pytest.mark.parametrize("first", [(1, 1), (1, 2), (2, 1), (2, 2), (3, 1), (4, 1), (4, 2)])
@pytest.mark.parametrize("second", [(1, 1), (2, 1), (1, 2)])
def test_unusual_sampling_of_colours_is_taken_where_tensorflow_does(first, second):
    content = sampled(first, second, (1, 1))
    try:
        tf.io.decode_jpeg(content, channels=3)
    except tf.errors.InvalidArgumentError:
        assert "broken" in reason_of(content)
    else:
        assert not reason_of(content)
        assert "truncated" in reason_of(content[:-20])


def pictures_of_a_camera():
    file = io.BytesIO()
    frames = [Image.fromarray(PIXELS), Image.fromarray(PIXELS[::-1])]
    frames[0].save(file, "MPO", save_all=True, append_images=frames[1:])
    return file.getvalue()


FILM = b"\0\0\0\x18ftypmp42" + bytes(range(256)) * 20_000
XMP = b"http://ns.adobe.com/xap/1.0/\0<x:xmpmeta>"
EXIF = b"Exif\0\0MM\0*\0\0\0\x08\0\0\0\0\0\0"


@pytest.mark.parametrize(
    "content",
    [
        WHOLE + bytes(2 * MAX_REST),  # a phone fills the file up
        WHOLE + b"notes of another program" * 1000,
        pictures_of_a_camera(),
        WHOLE + FILM,
        with_segment(0xE1, XMP + b"Container:Directory") + WHOLE + FILM,
        with_segment(0xE1, XMP + b'GCamera:MotionPhoto="1"') + FILM[4:],
        WHOLE + b"\0\0\x30\x0a\x10\0\0\0MotionPhoto_Data" + FILM + b"SEFT",
        with_segment(0xE1, EXIF, draw(quality=100)) + draw(quality=5),
    ],
    ids=["padding", "notes", "MPF", "film", "gain map", "declared film", "trailer of Samsung", "preview"],
)
def test_what_cameras_put_behind_the_image_is_no_damage(content):
    assert Image.open(io.BytesIO(content)).convert("RGB").size == (64, 48)
    check_jpeg(content)


@pytest.mark.parametrize(
    ("rest", "reason"),
    [
        (WHOLE, "another one behind it"),
        (bytes(100) + WHOLE, "another one behind it"),
        (b"\r\n--part\r\nContent-Type: image/jpeg\r\n\r\n" + WHOLE, "another one behind it"),
        (draw(quality=5), "another one behind it"),
        (b"x" * (MAX_REST + 1), "1,048,577 bytes of other data"),
    ],
    ids=["film", "after padding", "stream", "joined", "other data"],
)
def test_what_does_not_belong_behind_the_image_is_refused(rest, reason):
    with pytest.raises(BadImageError, match=reason):
        check_jpeg(WHOLE + rest)
    with pytest.raises(BadImageError, match=reason):
        check_jpeg(with_segment(0xE1, EXIF) + rest)


def test_random_damage_is_refused_or_decodes_in_tensorflow():
    rng = np.random.default_rng(0)
    outcomes = set()
    for _ in range(400):
        damaged = np.frombuffer(WHOLE, np.uint8).copy()
        places = rng.integers(2, rng.choice([200, len(WHOLE)]), rng.integers(1, 4))
        damaged[places] = rng.integers(0, 256, len(places))
        outcomes.add(bool(reason_of(damaged.tobytes())))
        if not reason_of(damaged.tobytes()):
            tf.io.decode_jpeg(damaged.tobytes(), channels=3, dct_method="INTEGER_ACCURATE")
    assert outcomes == {True, False}
