"""A served model for maps: areas of the classes, the mask at the size of the image, and the page that draws it."""

import base64
import io
import re

import keras
import numpy as np
import pytest
from PIL import ExifTags, Image
from test_drop_page import look, needs_browser

from tfl.export import load_artefact
from tfl.files.mask_pictures import fit_mask, palette
from tfl.models.classifier import Metadata, save_model
from tfl.serving import ServeOptions

SIZE, NAMES = 32, ("sky", "<b>road</b>", "car")


@pytest.fixture(scope="module")
def map_file(tmp_path_factory):
    keras.utils.set_random_seed(1)
    image = keras.Input((SIZE, SIZE, 3), name="image")
    tensor = keras.layers.Rescaling(1 / 127.5, -1.0)(image)
    tensor = keras.layers.Conv2D(8, 3, strides=4, padding="same", activation="relu")(tensor)
    logits = keras.layers.Dense(3, kernel_initializer=keras.initializers.RandomNormal(stddev=3.0))(tensor)
    model = keras.Model(image, keras.ops.image.resize(logits, (SIZE, SIZE), interpolation="bilinear"))
    model.metadata = Metadata("MobileNetV2", 1.0, SIZE, "segmentation", NAMES)
    path = tmp_path_factory.mktemp("maps") / "model.keras"
    save_model(model, path)
    return path


@pytest.fixture(scope="module")
def photo():
    """A photo of a phone that lies on its side, with patches of colours: 48 wide and 64 high as displayed."""
    rng, content, exif = np.random.default_rng(0), io.BytesIO(), Image.Exif()
    exif[ExifTags.Base.Orientation] = 6
    patches = Image.fromarray(rng.integers(0, 256, (6, 8, 3), np.uint8)).resize((64, 48), Image.Resampling.NEAREST)
    patches.save(content, "JPEG", quality=95, exif=exif)
    return content.getvalue()


@pytest.fixture(scope="module")
def mask(map_file, photo):
    """The mask that the model gives without a service, at the size of the photo."""
    inside = load_artefact(map_file).predict_bytes([photo]).argmax(axis=-1)[0].astype(np.uint8)
    whole = fit_mask(inside, io.BytesIO(photo))
    assert whole.shape == (64, 48) and len(np.unique(whole)) == 3
    return whole


@pytest.fixture(scope="module")
def client(map_file, serve, ready):
    with serve(map_file) as client:
        yield ready(client)


def read(content):
    with Image.open(io.BytesIO(content)) as picture:
        return np.array(picture), picture.getpalette()


def test_an_answer_has_the_areas_and_the_mask_of_the_photo(client, photo, mask):
    answer = client.post("/classify", content=photo).raise_for_status().json()
    counts = {name: int((mask == number).sum()) for number, name in enumerate(NAMES)}
    assert {area["class"]: area["pixels"] for area in answer["areas"]} == counts
    assert [area["share"] for area in answer["areas"]] == sorted((n / mask.size for n in counts.values()), reverse=True)
    colours = {area["class"]: area["colour"] for area in answer["areas"]}
    assert colours == {name: "#" + palette()[number].tobytes().hex() for number, name in enumerate(NAMES)}
    assert answer["size"] == [48, 64]
    kind, _, text = answer["mask"].partition(",")
    pixels, colours = read(base64.b64decode(text))
    assert kind == "data:image/png;base64" and colours[:9] == palette()[:3].ravel().tolist()
    np.testing.assert_array_equal(pixels, mask)
    form = client.post("/classify", files={"file": photo}).json()
    assert form == answer


def test_who_accepts_a_png_gets_the_mask_alone(client, photo, mask):
    response = client.post("/v1/models/model:classify", content=photo, headers={"accept": "image/png"})
    assert response.headers["content-type"] == "image/png"
    np.testing.assert_array_equal(read(response.content)[0], mask)


def test_several_photos_are_answered_as_the_saved_model_does(client, photo, mask):
    files = [{"b64": base64.b64encode(photo).decode()}] * 2
    by_row = client.post("/v1/models/model:predict", json={"instances": files}).json()["predictions"]
    by_column = client.post("/v1/models/model:predict", json={"inputs": files}).json()["outputs"]
    assert by_column == {name: [row[name] for row in by_row] for name in by_row[0]}
    assert by_row[0] == by_row[1] and by_row[0]["class_names"] == list(NAMES)
    np.testing.assert_array_equal(read(base64.b64decode(by_row[0]["mask_bytes"]["b64"]))[0], mask)
    assert by_row[0]["areas"] == [np.mean(mask == number) for number in range(3)]
    signatures = client.get("/v1/models/model/metadata").json()["metadata"]["signature_def"]["signature_def"]
    assert set(signatures["serving_default"]["outputs"]) == set(by_row[0])


def test_pixels_get_a_mask_of_the_size_of_the_model(client, map_file):
    pixels = np.random.default_rng(1).integers(0, 256, (1, SIZE, SIZE, 3), np.uint8)
    body = {"signature_name": "serving_pixels", "instances": pixels.tolist()}
    (row,) = client.post("/v1/models/model:predict", json=body).json()["predictions"]
    expected = load_artefact(map_file).predict_prepared(pixels).argmax(axis=-1)[0]
    np.testing.assert_array_equal(read(base64.b64decode(row["mask_bytes"]["b64"]))[0], expected)


def test_what_has_no_mask_is_one_line(client, photo):
    assert not client.get("/v1/models/model/metadata").json()["metadata"]["tfl"]["can_explain"]
    explained = client.post("/v1/models/model:explain", content=photo)
    assert explained.status_code == 404
    assert explained.json()["error"] == "The model must have one answer for each image to be explained."
    for content in (b"no image", photo[: len(photo) // 2]):
        assert client.post("/classify", content=content, headers={"accept": "image/png"}).status_code in (400, 415)


def test_a_batch_of_maps_holds_no_more_numbers_than_fit_in_memory(serve, ready, map_file, monkeypatch):
    monkeypatch.setattr("tfl.serving.model.MOST_NUMBERS", 2 * SIZE * SIZE * len(NAMES))
    with serve(map_file) as client:
        text = ready(client).get("/metrics").text
    assert float(re.search(r"^tfl_batch_size (\S+)$", text, re.MULTILINE)[1]) <= 2


@needs_browser
def test_the_page_draws_the_mask_over_the_photo(tmp_path, map_file, photo, mask):
    seen = look(tmp_path, ServeOptions(str(map_file)), [("street.jpg", photo), ("cat.txt", b"no image")])
    order = np.argsort([-int((mask == number).sum()) for number in range(3)])
    assert seen.verdicts == [f"Mostly {NAMES[order[0]]}", "cat.txt: this is not an image that can be read."]
    assert "<b>road" not in seen.dom
    cells, _ = seen.rows(0)
    shares = [(mask == number).mean() for number in order]
    assert [row[-2:] for row in cells] == [[f"{100 * share:.1f} %", f"{share * mask.size:,.0f}"] for share in shares]
    colours = re.findall(r'<i class="colour" style="background: rgb\((.*?)\);"></i>([^<]*)<', seen.cards[0])
    assert [name for _, name in colours] == ["&lt;b&gt;road&lt;/b&gt;" if k == 1 else NAMES[k] for k in order]
    assert [[int(part) for part in colour.split(",")] for colour, _ in colours] == [
        palette()[k].tolist() for k in order
    ]
    layers = re.search(r'<div class="layers">(.*?)</div>', seen.cards[0], re.DOTALL)[1]
    assert layers.count("<img") == 2 and 'src="data:image/png;base64,' in layers and "opacity: 0.6" in layers
    assert 'type="range"' in seen.cards[0] and "Show the evidence" not in seen.dom
