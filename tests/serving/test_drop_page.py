"""The page in a real browser: files go in, answers come out, for every kind of answer, and its policy lets it."""

import re
from html import unescape

import keras
import numpy as np
import pytest
import tensorflow as tf
from conftest import CLASSES
from page_trial import BROWSER, browse, digest, trial
from runs import TEMPERATURE, evaluation_with, row, write_run

import tfl.inputs.known
from tfl.export import load_artefact
from tfl.inputs import Input
from tfl.models.classifier import Classifier, Metadata, save_model
from tfl.serving import ServeOptions
from tfl.serving.page import Page

needs_browser = pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome at hand (apt-get install chromium)")
ROW = "1,-2,0.5,3"
WIDTH = 360  # of a small phone
EVIL = "<img src=x onerror=alert(1)>.jpg"


def test_the_policy_names_the_page_s_own_script_and_style_and_nothing_else():
    page = Page("model")
    (script,) = re.findall(r"<script>(.*?)</script>", page.html, flags=re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page.html, flags=re.DOTALL)
    assert f"script-src {digest(script)};" in page.policy
    assert f"style-src {digest(style)};" in page.policy
    assert "unsafe" not in page.policy
    html = page.html.replace('"http://www.w3.org/2000/svg"', "")  # the name of a kind of element: nothing is loaded
    assert not re.search(r"""(?:src|href)=["']?(?!data:)[\w/]|https?://|@import|url\(|innerHTML""", html)
    assert not re.search(r"<[^>]+\son\w+=", page.html)


def test_a_name_cannot_become_html():
    html = Page("model", '"><script>alert(1)</script>').html
    assert "<script>alert" not in html
    assert html.count("&lt;script&gt;alert") == 2  # the title and the heading


class Seen:
    """What a page shows after it has answered."""

    def __init__(self, result):
        assert "Content Security Policy" not in result.stderr and "Uncaught" not in result.stderr, result.stderr
        (width, room) = map(int, re.search(r"<title>done (\d+) (\d+)</title>", result.stdout).groups())
        assert width <= room == WIDTH  # nothing to scroll sideways
        inner = unescape(re.search(r"<pre hidden.*?>(.*?)</pre>", result.stdout, flags=re.DOTALL)[1])
        self.dom = inner.split("<script>")[0]
        self.cards = re.findall(r'<li class="card".*?</li>', self.dom, flags=re.DOTALL)
        assert all('aria-busy="false"' in card for card in self.cards)

    def text(self, name):
        """Return the text of the element with an id."""
        tag, content = re.search(rf'<(\w+)[^>]*id="{name}"[^>]*>(.*)', self.dom, re.DOTALL).groups()
        return unescape(re.sub(r"<.*?>", " ", content.split(f"</{tag}>")[0])).replace("\xa0", " ")

    @property
    def names(self):
        return [unescape(re.search(r"<h3.*?>(.*?)</h3>", card)[1]) for card in self.cards]

    @property
    def verdicts(self):
        return [unescape(re.search(r'<p class="verdict.*?">(.*?)</p>', card)[1]) for card in self.cards]

    def rows(self, number):
        """Return the cells of the table of a card without the bars, and the widths of its bars."""
        (body,) = re.findall(r"<tbody>(.*?)</tbody>", self.cards[number], flags=re.DOTALL)
        rows = [re.findall(r"<t[hd][^>]*>([^<]*)</t[hd]>", row) for row in re.findall(r"<tr>.*?</tr>", body)]
        cells = [[unescape(cell).replace("\xa0", " ") for cell in row] for row in rows]
        return cells, [float(width) for width in re.findall(r"width: ([\d.]+)%", body)]


def look(tmp_path, options, files, after=""):
    with trial(options, files, after) as address:
        return Seen(browse(f"{address}?width={WIDTH}", tmp_path / "profile", "--dump-dom"))


@pytest.fixture(scope="module")
def garden(model_file, artefact, photos, tmp_path_factory):
    """A run whose sets have one, two or all classes for some of the photos; the probabilities, and the threshold."""
    scores = artefact.predict_bytes(photos)
    limits = np.sort(scores, axis=None)
    between = (limits[1:] + limits[:-1]) / 2
    threshold = next(float(limit) for limit in between if {1, 2, 3} <= set((scores >= limit).sum(axis=1)))
    evaluation = evaluation_with([row(0.9, threshold)])
    return write_run(tmp_path_factory.mktemp("run") / "garden", model_file, evaluation), scores, threshold


AFTER_THE_PHOTOS = """
const shown = find("cards").querySelectorAll("button")[1].closest(".card");
shown.querySelector("button").click();
while (shown.querySelectorAll("img").length < 2) await pause(0.05);
await given.then((files) => take(files.slice(1, 2)));
"""  # one more photo, alone: it is explained at once


@needs_browser
def test_photos_are_answered_in_order_and_bad_files_stop_none(garden, photos, tmp_path):
    run, scores, threshold = garden
    names = [EVIL, *(f"photo {number}.jpg" for number in range(1, len(photos)))]
    files = list(zip(names, photos, strict=True))
    files.insert(3, ("cat.txt", b"This is no image."))
    files.insert(5, ("large.jpg", photos[0] + bytes(300_000)))
    files.insert(7, ("half.jpg", photos[0][: len(photos[0]) // 2]))
    seen = look(tmp_path, ServeOptions(str(run), max_request_bytes=200_000), files, AFTER_THE_PHOTOS)

    assert seen.names == [*(name for name, _ in files), names[1]]
    assert "<img src=x" not in seen.dom and "&lt;img src=x onerror=alert(1)&gt;.jpg" in seen.dom
    assert "<b>wasp" not in seen.dom
    verdicts = dict(zip(seen.names, seen.verdicts, strict=True))
    assert verdicts["cat.txt"] == "cat.txt: this is not an image that can be read."
    size = f"{(len(photos[0]) + 300_000) / 1000:.1f} kB"
    assert verdicts["large.jpg"] == f"large.jpg: this file has {size}, and the limit is 200.0 kB. It was not sent."
    assert verdicts["half.jpg"].startswith("half.jpg: The image is broken or truncated JPEG")
    sizes = set()
    for name, probabilities in zip(names, scores, strict=True):
        named = [CLASSES[k] for k in (-probabilities).argsort() if probabilities[k] >= threshold]
        expected = {1: named[0] if named else "", 2: f"not sure: {' or '.join(named)}"}
        assert verdicts[name] == expected.get(len(named), "don't know"), name
        sizes.add(len(named))
    assert sizes == {1, 2, 3}
    assert seen.text("status") == f"{names[1]}: {verdicts[names[1]]}"
    assert seen.text("count") == "16 of 16 images" and 'max="16" value="16"' in seen.dom

    rows, bars = seen.rows(-1)
    assert [name for name, _ in rows] == [CLASSES[k] for k in (-scores[1]).argsort()]
    np.testing.assert_allclose(bars, 100 * np.sort(scores[1])[::-1], atol=1e-3)
    assert [text for _, text in rows] == [f"{100 * share:.1f} %" for share in np.sort(scores[1])[::-1]]
    overlays = [number for number, card in enumerate(seen.cards) if 'src="data:image/png;base64,' in card]
    assert overlays == [1, 15]
    assert 'alt="The same in grey, with the evidence for ' in seen.cards[-1]


@needs_browser
def test_the_page_says_what_answers_and_what_it_promises(garden, tmp_path):
    seen = look(tmp_path, ServeOptions(str(garden[0])), [("cat.txt", b"no image"), ("dog.txt", b"no image")])
    assert (
        "<h1>garden</h1>" in seen.dom
        and "garden" in re.search(r"<title>(.*?)</title>", Page("model", "garden").html)[1]
    )
    facts = " ".join(seen.text("facts").split())
    assert facts.startswith("Network MobileNetV2 Accuracy on 1,200 test images 90.0 % (95 % interval 88.0 % to 92.0 %)")
    assert re.search(r"Trained 20\d\d-\d\d-\d\d$", facts)
    assert seen.text("promise").startswith("In 90 % of images like the validation images, the right class is among")
    assert seen.text("status") == (
        "2 images done, 2 without an answer. cat.txt: this is not an image that can be read. "
        "dog.txt: this is not an image that can be read."
    )
    assert 'accept="image/*,' in seen.dom


class Numbers(Input):
    """A row of numbers with commas between them."""

    name = "numbers"
    noun = ("row", "rows")
    typed = "numbers with commas between them"
    file_types = (".txt",)

    @property
    def spec(self):
        return tf.TensorSpec((self.size,), tf.float32)

    def prepare(self, raw):
        return tf.ensure_shape(tf.strings.to_number(tf.strings.split(raw, ",")), (self.size,))


@pytest.fixture
def make_rows_model(monkeypatch, tmp_path):
    """Write a model on rows, and return its path and what it answers for `ROW`."""
    monkeypatch.setitem(tfl.inputs.known._INPUTS, "numbers", Numbers())

    def make(target, names):
        keras.utils.set_random_seed(0)
        entrance = keras.Input((4,), name="numbers")
        model = Classifier(
            entrance,
            keras.layers.Dense(len(names), bias_initializer=keras.initializers.Constant([-8, 0, 8][: len(names)]))(
                entrance
            ),
        )
        model.metadata = Metadata("Columns", 1.0, 4, target, names, TEMPERATURE, kind="numbers")
        save_model(model, tmp_path / "model.keras")
        return tmp_path / "model.keras", load_artefact(tmp_path / "model.keras").predict_bytes([ROW.encode()])[0]

    return make


TYPE = """
find("typed").value = "0,0,0,1e3";
find("form").requestSubmit();
while (batch.done < 3) await pause(0.05);
"""


@needs_browser
def test_values_of_typed_rows_have_intervals_and_no_word_of_images(make_rows_model, tmp_path):
    file, values = make_rows_model("regression", ("weight", "<i>height</i>"))
    evaluation = evaluation_with([row(0.9, 0.25)]) | {"headline": "mean_absolute_error"}
    evaluation["test"] = {"loss": 0.1, "mean_absolute_error": 0.125, "num_examples": 40}
    run = write_run(tmp_path / "scales", file, evaluation)
    files = [("a.txt", ROW.encode()), ("b.txt", b"1,2,three,4")]
    seen = look(tmp_path, ServeOptions(str(run)), files, TYPE)
    assert seen.names == ["a.txt", "b.txt", "typed row 1"]
    rows, _ = seen.rows(0)
    for (name, text, ends), expected, own in zip(rows, values, ("weight", "<i>height</i>"), strict=True):
        assert name == own and float(text) == pytest.approx(expected, abs=1e-4)
        assert [float(end) for end in ends.split(" to ")] == pytest.approx([expected - 0.25, expected + 0.25], abs=1e-4)
    assert seen.verdicts[0] == f"weight: {rows[0][1]}, <i>height</i>: {rows[1][1]}"
    assert seen.verdicts[1].startswith("b.txt: The row is broken: ")
    assert "It estimates weight, <i>height</i>." in seen.text("about")
    assert "Mean absolute error on 40 test rows 0.125" in " ".join(seen.text("facts").split())
    assert "Or type a row: numbers with commas between them" in seen.text("typed_label")
    assert "<i>height" not in seen.dom and not re.search(
        r"\b(?:image|photo)s?\b", re.sub(r"<style.*?</style>|<[^>]*>", "", seen.dom, flags=re.DOTALL)
    )


@needs_browser
def test_several_labels_say_yes_or_no(make_rows_model, tmp_path):
    file, shares = make_rows_model("multilabel", ("red", "green", "blue"))
    seen = look(tmp_path, ServeOptions(str(file)), [("a.txt", ROW.encode())])
    rows, _ = seen.rows(0)
    expected = dict(zip(("red", "green", "blue"), shares, strict=True))
    assert {name: answer for name, _, answer in rows} == {n: "yes" if p > 0.5 else "no" for n, p in expected.items()}
    assert len({answer for *_, answer in rows}) == 2  # else a constant would do
    assert seen.verdicts == [", ".join(name for name, _, answer in rows if answer == "yes")]
    assert 'id="promise" hidden=""' in seen.dom  # a file without a run promises nothing
