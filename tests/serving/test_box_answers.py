"""A served model for boxes: class, confidence and corners in the photo's own pixels, and the page that draws them."""

import base64
import io
import re

import numpy as np
import pytest
from box_models import NAMES, SIZE, make_box_model
from PIL import ExifTags, Image
from test_drop_page import look, needs_browser

from tfl.export import load_artefact
from tfl.files.mask_pictures import palette
from tfl.models.classifier import save_model
from tfl.serving import ServeOptions


@pytest.fixture(scope="module")
def box_file(tmp_path_factory):
    path = tmp_path_factory.mktemp("boxes") / "model.keras"
    save_model(make_box_model(), path)
    return path


@pytest.fixture(scope="module")
def photo():
    """A photo of a phone that lies on its side, with patches of colours: 96 wide and 128 high as displayed."""
    rng, content, exif = np.random.default_rng(0), io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    patches = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((128, 96), Image.Resampling.NEAREST)
    patches.save(content, "JPEG", quality=95, exif=exif)
    return content.getvalue()


@pytest.fixture(scope="module")
def boxes(box_file, photo):
    """The boxes that the model gives without a service, in pixels of the photo."""
    inside = load_artefact(box_file).predict_bytes([photo])[0].astype(np.float64)
    return inside * [*([96 / SIZE, 128 / SIZE] * 2), 1, 1]


@pytest.fixture(scope="module")
def sure(boxes):
    found = boxes[(boxes[:, 5] >= 0) & (boxes[:, 4] >= 0.3)]
    assert len(found) > 2 and set(found[:, 5]) == {0.0, 1.0}
    return found


@pytest.fixture(scope="module")
def client(box_file, serve, ready):
    with serve(box_file) as client:
        yield ready(client)


def test_an_answer_has_the_sure_boxes_in_pixels_of_the_photo(client, photo, sure):
    answer = client.post("/classify", content=photo).raise_for_status().json()
    assert set(answer) == {"boxes"}
    for box, expected in zip(answer["boxes"], sure, strict=True):
        number = int(expected[5])
        assert (box["class"], box["number"]) == (NAMES[number], number + 1)
        assert box["colour"] == "#" + palette()[number + 1].tobytes().hex()
        assert box["confidence"] == pytest.approx(expected[4], abs=1e-6)
        assert box["box"] == pytest.approx(expected[:4].tolist(), abs=1e-3)
    assert client.post("/classify", files={"file": photo}).json() == answer


def test_several_photos_are_answered_as_the_saved_model_does(client, photo, boxes):
    files = [{"b64": base64.b64encode(photo).decode()}] * 2
    by_row = client.post("/v1/models/model:predict", json={"instances": files}).json()["predictions"]
    by_column = client.post("/v1/models/model:predict", json={"inputs": files}).json()["outputs"]
    assert by_column == {name: [row[name] for row in by_row] for name in by_row[0]}
    assert by_row[0] == by_row[1] and by_row[0]["class_names"] == list(NAMES)
    np.testing.assert_allclose(by_row[0]["boxes"], boxes[:, :4], atol=1e-3)
    np.testing.assert_allclose(by_row[0]["scores"], boxes[:, 4], atol=1e-6)
    assert by_row[0]["classes"] == boxes[:, 5].tolist()
    assert by_row[0]["num_boxes"] == (boxes[:, 5] >= 0).sum()
    signatures = client.get("/v1/models/model/metadata").json()["metadata"]["signature_def"]["signature_def"]
    assert set(signatures["serving_default"]["outputs"]) == set(by_row[0])


def test_pixels_get_boxes_in_pixels_of_the_model(client, box_file):
    pixels = np.random.default_rng(1).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    body = {"signature_name": "serving_pixels", "instances": pixels.tolist()}
    (row,) = client.post("/v1/models/model:predict", json=body).json()["predictions"]
    expected = load_artefact(box_file).predict_prepared(pixels)[0]
    np.testing.assert_allclose(row["boxes"], expected[:, :4], atol=1e-3)


def test_what_has_no_boxes_is_one_line(client, photo):
    assert not client.get("/v1/models/model/metadata").json()["metadata"]["tfl"]["can_explain"]
    explained = client.post("/v1/models/model:explain", content=photo)
    assert explained.status_code == 404
    assert explained.json()["error"] == "The model must have one answer for each image to be explained."
    for content in (b"no image", photo[: len(photo) // 2]):
        assert client.post("/classify", content=content).status_code in (400, 415)


@needs_browser
def test_the_page_draws_the_boxes_over_the_photo(tmp_path, box_file, photo, sure):
    seen = look(tmp_path, ServeOptions(str(box_file)), [("pets.jpg", photo), ("cat.txt", b"no image")])
    order = dict.fromkeys(sure[:, 5].astype(int).tolist())
    counts = ", ".join(f"{NAMES[number]}: {(sure[:, 5] == number).sum()}" for number in order)
    assert seen.verdicts == [counts, "cat.txt: this is not an image that can be read."]
    assert "<b>cat" not in seen.dom
    assert 'viewBox="0 0 96 128"' in seen.cards[0]
    frames = re.findall(r'<rect x="(.*?)" y="(.*?)" width="(.*?)" height="(.*?)" stroke="(#.*?)"', seen.cards[0])
    for (*place, colour), (x1, y1, x2, y2, _, number) in zip(frames, sure, strict=True):
        assert list(map(float, place)) == pytest.approx([x1, y1, x2 - x1, y2 - y1], abs=1e-3)
        assert colour == "#" + palette()[int(number) + 1].tobytes().hex()
    cells, _ = seen.rows(0)
    assert [row[-2] for row in cells] == [f"{100 * score:.1f} %" for score in sure[:, 4]]
    assert len(cells) == len(sure) and "Show the evidence" not in seen.dom
