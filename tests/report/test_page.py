"""The page says what the files of a run say, for every target, whatever a run lacks, and whatever names it has."""

import html
import html.parser
import itertools
import json
import re
import shlex
from pathlib import Path

import numpy as np
import pytest

import tfl
import tfl.report
from tfl.errors import InputError
from tfl.evaluation import wilson_interval
from tfl.report import read_facts, write_report

TARGETS = ("multiclass", "binary", "multilabel", "regression")
HOSTILE = ('<script>alert("x")</script>', "a|b & 'c' \"d\"", "{{ 7 * 7 }}\u202eevil")
VOID = {"meta", "link", "img", "br", "line", "polyline", "circle"}


class Document(html.parser.HTMLParser):
    """A page as its elements: (tag, attributes), headings with their texts, and tags that were left open."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.open, self.headings, self.text = [], [], [], []
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))
        if tag not in VOID:
            self.open.append(tag)
        if re.fullmatch("h[1-6]", tag):
            self.headings.append((int(tag[1]), ""))

    def handle_startendtag(self, tag, attributes):
        self.elements.append((tag, dict(attributes)))

    def handle_endtag(self, tag):
        assert self.open.pop() == tag, tag

    def handle_data(self, data):
        if not self.open or self.open[-1] != "style":
            self.text.append(data)
        if self.open and re.fullmatch("h[1-6]", self.open[-1]):
            self.headings[-1] = (self.headings[-1][0], self.headings[-1][1] + data)

    def all(self, tag):
        return [attributes for name, attributes in self.elements if name == tag]

    def words(self):
        return " ".join(" ".join(self.text).split())


def page_of(run, with_images=True):
    write_report(run.path, *((run.model, run.splits) if with_images else ()))
    return (Path(run.path) / "report.html").read_text("utf-8")


def check_accessible(document, files=()):
    """One h1, no level skipped, everything named: what a screen reader goes by. Links lead to places or to files."""
    levels = [level for level, _ in document.headings]
    assert levels[0] == 1 and levels.count(1) == 1
    assert all(after <= before + 1 for before, after in itertools.pairwise(levels))
    assert all(text.strip() for _, text in document.headings)
    assert document.all("html")[0]["lang"] == "en"
    assert all(len(image["alt"]) > 5 for image in document.all("img"))
    assert all(header["scope"] in ("row", "col") for header in document.all("th"))
    assert all(chart["role"] == "img" and re.search(r"\d", chart["aria-label"]) for chart in document.all("svg")
               if "chart" in chart["class"])  # fmt: skip
    ids = [attributes["id"] for _, attributes in document.elements if "id" in attributes]
    assert len(ids) == len(set(ids))
    assert {link["href"] for link in document.all("a")} <= {*(f"#{name}" for name in ids), *files}
    assert all(section["aria-labelledby"] in ids for section in document.all("section"))
    assert len(document.all("figure")) == len(document.all("figcaption"))
    assert len(document.all("table")) == len(document.all("caption"))


def check_self_contained(text, document, files=()):
    """Nothing is fetched and nothing runs; a link may lead to files beside the page."""
    for tag, attributes in document.elements:
        assert tag not in ("script", "iframe", "object", "embed", "form")
        for name in ("src", "href", "action", "srcset", "poster", "data"):
            if tag != "a" or attributes.get(name) not in files:
                assert name not in attributes or re.match(r"#|data:(image/|,)", attributes[name]), attributes
        assert not any(name.startswith("on") for name in attributes)
    assert not re.search(r"@import|url\(", text)
    assert "default-src 'none'" in text


def test_a_model_that_was_cut_short_is_refused_in_one_line(make_run):
    file = Path(make_run().path) / "model.keras"
    file.write_bytes(file.read_bytes()[:1000])
    with pytest.raises(InputError, match=r"`model` must be a \.keras file.*truncated"):
        read_facts(file.parent)


def test_of_a_regression_nothing_is_said_of_classes(make_run):
    run = make_run("regression")
    rows = [{"coverage": 0.9, "test_coverage": 0.88, "mean_set_size": 4.0, "threshold": 2.0}]
    evaluation = {**json.loads((run.path / "evaluation.json").read_text()), "decisions": {"conformal": rows}}
    (run.path / "evaluation.json").write_text(json.dumps(evaluation))
    words = Document(page_of(run)).words()
    assert "how often they contain the true value" in words and "mean width" in words
    assert not re.search(r"true class|classes in a set|0 training images", words)
    card = (Path(run.path) / "MODEL_CARD.md").read_text("utf-8")
    assert "An image of anything else still gets a value." in card and "of the classes" not in card


@pytest.mark.parametrize("measured", [True, False], ids=["measured", "without evaluation.json"])
@pytest.mark.parametrize("target", TARGETS)
def test_every_target_has_a_whole_accessible_page(make_run, target, measured):
    run = make_run(target, ("no", "yes") if target == "binary" else ("ant", "bee", "cat"), measured=measured)
    text = page_of(run)
    document = Document(text)
    assert not document.open
    check_accessible(document)
    check_self_contained(text, document)
    sections = [section["id"] for section in document.all("section")]
    assert sections == ["asked", "happened", "good", "look", "next", "again"]
    assert ("no evaluation.json" in document.words()) != measured
    assert "None" not in document.words()
    assert "nan" not in document.words().split()


def test_the_numbers_are_those_of_the_run(make_run):
    run = make_run(num_test=160)
    words = Document(page_of(run)).words().replace("\xa0", " ")
    accuracy, (low, high) = run.metrics["test"]["accuracy"], run.evaluation["intervals"]["accuracy"]
    assert f"{100 * accuracy:.1f} % of 160 test images that the model had not seen are predicted correctly" in words
    assert f"interval is {100 * low:.1f} % to {100 * high:.1f} %" in words
    assert f"{100 * run.evaluation['calibration']['after']['ece']:.1f} points" in words
    for row in run.evaluation["per_class"]:
        cells = [f"{row[name]:.3f}" for name in ("precision", "recall", "f1", "roc_auc", "average_precision")]
        low, high = wilson_interval(round(row["recall"] * row["support"]), row["support"])
        cells.insert(2, f"{low:.3f} to {high:.3f}")
        assert " ".join([row["class"], *cells, str(row["support"])]) in words
    for true, cells in zip(("ant", "bee", "cat"), run.evaluation["confusion_matrix"], strict=True):
        assert " ".join([true, *map(str, cells)]) in words
    assert "finetune.epochs 3 0" in words  # the option, its value, its default


def test_names_cannot_change_the_page(make_run):
    run = make_run(names=HOSTILE)
    (run.path / "quarantine.csv").write_text('path,reason\n<img src=x onerror=alert(1)>,"</style><script>"\n')
    text = page_of(run)
    document = Document(text)
    check_self_contained(text, document)
    check_accessible(document)
    assert HOSTILE[0] in document.words() and "<img src=x onerror=alert(1)>" in document.words()
    assert "{{ 7 * 7 }}" in document.words()


def test_names_that_are_no_utf8_are_written(make_run):
    run = make_run()
    splits = (run.path / "splits.csv").read_bytes()
    (run.path / "quarantine.csv").write_bytes(b"path,reason\nphoto\xff.jpg,broken\n")
    assert "photo?.jpg" in page_of(run)
    assert (run.path / "splits.csv").read_bytes() == splits


def test_a_hundred_classes_and_ten_thousand_images_stay_readable_and_small(make_run):
    names = [f"class {number}" for number in range(100)]
    text = page_of(make_run(names=names, num_test=10_000))
    assert len(text) < 5_000_000
    document = Document(text)
    check_accessible(document)
    assert not any("confusion" in table.get("class", "") for table in document.all("table"))
    (matrix,) = [image for image in document.all("img") if image.get("class") == "matrix"]
    assert re.search(r"100 classes: [\d,]+ errors among 10,000 images, the most frequent: \d+ “class", matrix["alt"])


def test_without_images_the_page_says_so(make_run):
    document = Document(page_of(make_run(), with_images=False))
    assert not document.all("img")
    assert "not available" in document.words()


def test_a_run_that_was_not_fine_tuned_has_no_curves(make_run):
    words = Document(page_of(make_run(fine_tuned=False))).words()
    assert "Learning rate of the topmost stage" not in words
    assert "Kept: frozen, solved head." in words


def test_a_comparison_is_shown(make_run):
    run = make_run()
    path = run.path / "metrics.json"
    compared = {"fine_tuned": {"accuracy": 0.75, "loss": 1.0}, "from_scratch": {"accuracy": 0.5, "loss": 2.0}}
    path.write_text(json.dumps({**run.metrics, "comparison": compared}))
    words = Document(page_of(run)).words().replace("\xa0", " ")
    assert "from scratch 0.500 2.000" in words
    assert "Pre-training improved the model by 25.0 points (95 % interval 7.7 points to 40.3 points)" in words


def test_the_certificate_of_an_export_is_shown(make_run):
    run = make_run()
    (run.path / "export").mkdir()
    entry = {"format": "litert", "quantize": "int8", "max_difference": 0.0123, "agreement": 0.99, "accuracy": 0.9,
             "num_images": 60, "bytes": 2_500_000, "latency": {"pixels": {}}, "failures": [], "files": {}}  # fmt: skip
    (run.path / "export" / "certificate.json").write_text(
        json.dumps(
            {"artefacts": {"model.tflite": entry}, "rejected": {"model.onnx": {**entry, "failures": ["differs"]}}}
        )
    )
    document = Document(page_of(run, with_images=False))
    check_accessible(document)
    assert "model.tflite int8 0.012 0.990 0.900 60 2.5 MB passed" in document.words()
    assert "model.onnx int8 0.012 0.990 0.900 60 2.5 MB differs" in document.words()
    assert "shipped" in [section["id"] for section in document.all("section")]


def test_a_folder_that_is_no_finished_run_is_refused(tmp_path, make_run):
    with pytest.raises(InputError, match="folder of a run"):
        write_report(tmp_path)
    run = make_run()
    (run.path / "metrics.json").unlink()
    with pytest.raises(InputError, match=r"no metrics\.json"):
        read_facts(run.path)


def command_of(run):
    return html.unescape(re.search(r"<code>(.*?)</code>", page_of(run, with_images=False), re.DOTALL)[1])


def test_the_command_makes_the_run_again(make_run):
    """tests/config/test_command.py reads the commands of many configs back."""
    run = make_run()
    source, *flags = shlex.split(command_of(run))[2:]
    assert command_of(run).startswith("tfl train digits ") and source == "digits"
    assert {f"--workdir={run.path}-again", "--epochs=3", "--image_size=32"} <= set(flags)


def test_what_exists_only_in_python_is_repeated_in_python(make_run):
    run = make_run()
    config = {**run.config.to_dict(), "data": {**run.config.to_dict()["data"], "source": "python"}}
    (run.path / "config.json").write_text(json.dumps(config))
    called = []
    statement = command_of(run).replace("tfl.transfer(", "called.append((").replace("data=data)", "data))")
    exec(statement, {"called": called, "data": "my data"})
    assert called == [(tfl.TransferConfig.from_dict(config), f"{run.path}-again", "my data")]


def contrast(first, second):
    """The ratio of WCAG 2.2, of two colours #rrggbb."""

    def luminance(colour):
        channels = np.array([int(colour[k : k + 2], 16) for k in (1, 3, 5)]) / 255
        linear = np.where(channels <= 0.04045, channels / 12.92, ((channels + 0.055) / 1.055) ** 2.4)
        return linear @ [0.2126, 0.7152, 0.0722]

    low, high = sorted([luminance(first), luminance(second)])
    return (high + 0.05) / (low + 0.05)


def test_text_can_be_read_in_light_and_in_dark():
    style = (Path(tfl.report.__file__).parent / "templates" / "style.css").read_text()
    palettes = [rules for rules in re.findall(r":root \{(.*?)\}", style, re.DOTALL) if "--ink" in rules]
    assert len(palettes) == 2
    for palette in palettes:
        colours = dict(re.findall(r"--(\w+): (#\w{6})", palette))
        for ground in ("paper", "wash"):
            for name in ("ink", "quiet", "first", "second", "good", "problem", "advice"):
                assert contrast(colours[name], colours[ground]) >= 4.5, (name, ground)
