"""The page in a real browser: nothing is fetched, nothing overflows, and it can be read on a phone and in the dark.

TFL_SCREENSHOTS=docs/images makes the pictures of the documentation.
"""

import functools
import html
import http.server
import json
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from browser import PROGRAM, QUIET, needs_browser
from PIL import Image

import tfl
from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, TransferConfig
from tfl.report import write_report

pytestmark = needs_browser

DARK = "--blink-settings=preferredColorScheme=0"
MEASURE = """<!DOCTYPE html><html><body>{frames}<script>
const measure = (frame) => {{
  const page = frame.contentDocument, root = page.documentElement, view = page.defaultView;
  const size = (e) => parseFloat(view.getComputedStyle(e).fontSize);
  const lines = (e) => Math.round(e.offsetHeight / parseFloat(view.getComputedStyle(e).lineHeight));
  return {{
    scroll: root.scrollWidth, client: root.clientWidth, pictures: page.images.length,
    broken: [...page.images].filter(image => !image.complete || !image.naturalWidth).length,
    split: [...page.querySelectorAll(".tile .number")]  // a word that is broken has more lines than words
      .filter(e => lines(e) > e.textContent.split(/ +/).length).length,
    small: [...page.querySelectorAll("p, li, td, h1, h2, h3, summary")]
      .filter(e => e.offsetParent && size(e) < 11).length,
    ground: view.getComputedStyle(page.body).backgroundColor,
    boxes: [...page.querySelectorAll(".box")].filter(e => e.checkVisibility()).map(e => [
      e.scrollWidth > e.clientWidth, e.querySelector(".more").checkVisibility(),
      view.getComputedStyle(e).backgroundImage.split("gradient").length - 1]),
    columns: [...page.querySelectorAll(".charts")].map(e =>
      view.getComputedStyle(e).gridTemplateColumns.split(" ").length),
    hidden: [...page.querySelectorAll("details > :not(summary)")].filter(e => !e.checkVisibility()).length,
    nav: page.querySelector("nav").checkVisibility(),
  }};
}};
window.onload = () => setTimeout(() => {{
  document.title = JSON.stringify([...document.querySelectorAll("iframe")].map(measure));
}}, 200);
</script></body></html>"""


@pytest.fixture(scope="module")
def report(shared, keras_home, tmp_path_factory):
    """The report of ants and bees, as the README's command makes it but with fewer epochs."""
    folder = tmp_path_factory.mktemp("browser") / "hymenoptera"
    config = TransferConfig(
        data=DataConfig(source=f"folder:{shared / 'data' / 'hymenoptera'}"),
        backbone=BackboneConfig(alpha=0.35),
        finetune=FinetuneConfig(epochs=3, unfreeze="2"),
    )
    tfl.transfer(config, folder)
    return folder / "report.html"


@pytest.fixture
def browse(tmp_path):
    """Run the browser on an address, and return what it printed on both channels."""

    def run(address, *options):
        profile = f"--user-data-dir={tmp_path / 'profile'}"
        command = [PROGRAM, *QUIET, profile, *options, str(address)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)

    return run


def measure(browse, tmp_path, pages, *options):
    """Return what a script in another page sees of each (page, width): the policy of a report lets no script run."""
    frames = [f'<iframe width="{width}" height="900" srcdoc="{html.escape(text)}"></iframe>' for text, width in pages]
    (tmp_path / "around.html").write_text(MEASURE.format(frames="".join(frames)), "utf-8")
    dom = browse(tmp_path / "around.html", "--dump-dom", "--virtual-time-budget=20000", *options).stdout
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title, "the page did not load"
    return json.loads(html.unescape(title[1]))


@pytest.fixture
def served(tmp_path):
    """A folder served on this machine, its address, and the paths that were asked for."""
    folder, asked = tmp_path / "served", []
    folder.mkdir()

    class Handler(http.server.SimpleHTTPRequestHandler):
        def log_message(self, format, *arguments):
            asked.append(self.path)

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Handler, directory=folder))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}", asked
    server.shutdown()


def test_it_loads_whole_without_errors_and_without_the_network(report, browse, served):
    folder, address, asked = served
    shutil.copy(report, folder / "report.html")
    result = browse(f"{address}/report.html", "--dump-dom")
    assert "CONSOLE" not in result.stderr, result.stderr
    assert asked == ["/report.html"]
    for section in ("asked", "happened", "good", "look", "next", "again"):
        assert f'<section id="{section}"' in result.stdout
    assert result.stdout.count("<figure>") >= 6
    assert report.stat().st_size < 5_000_000


def test_what_a_name_could_smuggle_in_is_not_fetched_and_does_not_run(report, browse, served):
    """The page's own policy holds where escaping would have failed."""
    folder, address, asked = served
    smuggled = f'<img src="{address}/picture.png"><script>document.title = "ran"</script></main>'
    (folder / "report.html").write_text(report.read_text("utf-8").replace("</main>", smuggled), "utf-8")
    result = browse(f"{address}/report.html", "--dump-dom")
    assert "Content Security Policy" in result.stderr
    assert asked == ["/report.html"]
    assert "<title>ran</title>" not in result.stdout


WIDTHS = (320, 360, 390, 768, 1280)


def check_width(seen, width):
    """Nothing overflows, words are whole, and a table says that it scrolls if it does."""
    assert seen["client"] == width and seen["scroll"] <= width
    assert seen["small"] == 0 and seen["split"] == 0 and seen["broken"] == 0
    for scrolls, says_so, shadows in seen["boxes"]:
        assert says_so == scrolls and shadows == 4


def test_nothing_overflows_and_every_picture_shows(report, browse, tmp_path):
    text = report.read_text("utf-8")
    found = measure(browse, tmp_path, [(text, width) for width in WIDTHS])
    for seen, width in zip(found, WIDTHS, strict=True):
        check_width(seen, width)
        assert seen["pictures"] >= 40
    assert [any(scrolls for scrolls, *_ in found[place]["boxes"]) for place in (1, -1)] == [True, False]


def test_the_pages_of_other_tasks_fit_a_phone(make_run, browse, tmp_path):
    long = tuple(f"a class with a very long name number {number}" for number in range(12))
    runs = [("multiclass", long), ("binary", ("no", "yes")), ("multilabel", long[:5]), ("regression", ("value",))]
    pages = []
    for target, names in runs:
        run = make_run(target, names)
        write_report(run.path, *((run.model, run.splits) if names == long else ()))
        pages.append(((run.path / "report.html").read_text("utf-8"), 360))
        shutil.rmtree(run.path)
    for seen in measure(browse, tmp_path, pages):
        check_width(seen, 360)


def test_print_shows_all_and_cuts_nothing(report, browse, tmp_path):
    """The rules of print, applied at the width of a sheet; `break-*` rules have no effect that a script can see."""
    text = report.read_text("utf-8")
    printed = text.replace("@media print", "@media all")
    screen, sheet = measure(browse, tmp_path, [(text, 690), (printed, 690)])
    assert screen["nav"] and screen["hidden"] and not sheet["nav"] and sheet["hidden"] == 0
    assert set(screen["columns"]) == {1} and set(sheet["columns"]) == {2}
    assert sheet["scroll"] <= 690
    assert not any(scrolls or says_so or shadows for scrolls, says_so, shadows in sheet["boxes"])
    rules = text.partition("@media print")[2]
    for kept_together in ("figure", "tr", ".card", ".findings li"):
        assert re.search(rf"[,\n ]{re.escape(kept_together)}[ ,][^}}]*break-inside: avoid", rules)
    assert re.search(r"h2, h3, [^}]*break-after: avoid", rules)


def test_dark_mode_is_dark_on_screen_alone(report, browse, tmp_path):
    text = report.read_text("utf-8")
    (light,) = measure(browse, tmp_path, [(text, 390)])
    dark, sheet = measure(browse, tmp_path, [(text, 390), (text.replace("@media screen", "@media print"), 390)], DARK)
    assert light["ground"] == sheet["ground"] == "rgb(255, 255, 255)"
    assert max(map(int, re.findall(r"\d+", dark["ground"]))) < 40


@pytest.mark.parametrize(
    ("name", "width", "height", "options"),
    [("report", 1280, 1000, ()), ("report_phone_dark", 390, 844, (DARK,))],
    ids=["desktop", "phone, dark"],
)
def test_the_first_screen_is_a_picture_for_the_documentation(report, browse, tmp_path, name, width, height, options):
    file = tmp_path / f"{name}.png"
    browse(report, f"--screenshot={file}", f"--window-size={width},{height}", *options)
    picture = Image.open(file).convert("RGB")
    assert picture.size == (width, height)
    pixels = np.asarray(picture, np.float32)
    ground = pixels[2, 2]
    assert (ground.max() < 40) if options else (ground.min() > 240)
    written = np.abs(pixels - ground).max(axis=-1) > 60
    assert 0.01 < written.mean() < 0.5  # text, and room around it
    assert all(part.any() for part in np.array_split(written, 4))
    if folder := os.environ.get("TFL_SCREENSHOTS"):
        Path(folder).mkdir(parents=True, exist_ok=True)
        picture.quantize(64).save(Path(folder) / file.name, optimize=True)
