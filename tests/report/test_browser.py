"""The page in a real browser: nothing is fetched, nothing overflows, and it can be read on a phone and in the dark.

TFL_SCREENSHOTS=docs/images makes the pictures of the documentation.
"""

import functools
import http.server
import os
import re
import shutil
import subprocess
import threading
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import tfl
from tfl.config import BackboneConfig, DataConfig, FinetuneConfig, TransferConfig

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome at hand (apt-get install chromium)")

QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")
DARK = "--blink-settings=preferredColorScheme=0"
MEASURE = """<!DOCTYPE html><html><body><iframe width="{width}" height="900" srcdoc="{page}"></iframe><script>
const frame = document.querySelector("iframe");
frame.onload = () => {{
  const page = frame.contentDocument, root = page.documentElement;
  const broken = [...page.images].filter(image => !image.complete || !image.naturalWidth).length;
  const split = [...page.querySelectorAll(".tile .number")]  // a word that is broken has more lines than words
    .filter(e => Math.round(e.offsetHeight / parseFloat(page.defaultView.getComputedStyle(e).lineHeight))
      > e.textContent.split(/ +/).length).length;
  const small = [...page.querySelectorAll("p, li, td, h1, h2, h3, summary")]
    .filter(e => e.offsetParent && parseFloat(page.defaultView.getComputedStyle(e).fontSize) < 11).length;
  document.title = [root.scrollWidth, root.clientWidth, page.images.length, broken, small, split,
    page.defaultView.getComputedStyle(page.body).backgroundColor].join(" ; ");
}};
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
        command = [BROWSER, *QUIET, profile, *options, str(address)]
        return subprocess.run(command, capture_output=True, text=True, timeout=600, check=True)

    return run


def measure(browse, tmp_path, report, width, *options):
    """Return what a script in another page sees of the report: its own policy lets none run."""
    page = report.read_text("utf-8").replace("&", "&amp;").replace('"', "&quot;")
    (tmp_path / "around.html").write_text(MEASURE.format(width=width, page=page), "utf-8")
    dom = browse(tmp_path / "around.html", "--dump-dom", "--virtual-time-budget=20000", *options).stdout
    title = re.search(r"<title>(.*?)</title>", dom)
    assert title, "the page did not load"
    *numbers, ground = title[1].split(" ; ")
    return [int(number) for number in numbers], ground


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


@pytest.mark.parametrize("width", [320, 390, 768, 1280])
def test_nothing_overflows_and_every_picture_shows(report, browse, tmp_path, width):
    (scroll, client, pictures, broken, small, split), _ = measure(browse, tmp_path, report, width)
    assert client == width and scroll <= client
    assert pictures >= 40 and broken == 0
    assert small == 0 and split == 0


def test_dark_mode_is_dark(report, browse, tmp_path):
    _, light = measure(browse, tmp_path, report, 390)
    _, dark = measure(browse, tmp_path, report, 390, DARK)
    assert light == "rgb(255, 255, 255)"
    assert max(map(int, re.findall(r"\d+", dark))) < 40


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
