"""The page in a real browser: a photo goes in, classes and a heat map come out, and its policy lets that happen."""

import base64
import hashlib
import re
import shutil
import subprocess
import threading
import time

import pytest
import uvicorn
from fastapi import Response
from warm import PATIENCE

from tfl.serving import ServeOptions
from tfl.serving.app import create_app
from tfl.serving.page import Page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
TRY = """
learn().then(() => fetch("photo")).then((answer) => answer.blob())
  .then((blob) => ask(new File([blob], "<i>bee</i>.jpg"))).then(() => {
    const root = document.documentElement;
    document.title = "done " + root.scrollWidth + " " + root.clientWidth;
  });
"""


def digest(text):
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


def test_the_policy_names_the_page_s_own_script_and_style_and_nothing_else():
    page = Page("model")
    (script,) = re.findall(r"<script>(.*?)</script>", page.html, flags=re.DOTALL)
    (style,) = re.findall(r"<style>(.*?)</style>", page.html, flags=re.DOTALL)
    assert f"script-src {digest(script)};" in page.policy
    assert f"style-src {digest(style)};" in page.policy
    assert "unsafe" not in page.policy
    assert not re.search(r"""(?:src|href)=["']?(?!data:)[\w/]|https?://|@import|url\(""", page.html)


def test_a_name_cannot_become_html():
    html = Page('"><script>alert(1)</script>').html
    assert "<script>alert" not in html
    assert "&lt;script&gt;alert" in html


@pytest.fixture
def address(model_file, photos):
    """A real server whose page also chooses a photo by itself, which a browser lets no other page do."""
    app = create_app(ServeOptions(str(model_file)))
    page = Page("model")

    @app.get("/try")
    async def try_page() -> Response:
        html = page.html.replace("</body>", f"<script>{TRY}</script></body>")
        policy = page.policy.replace("script-src", f"script-src {digest(TRY)}")
        return Response(html, media_type="text/html", headers={"content-security-policy": policy})

    @app.get("/photo")
    async def photo() -> Response:
        return Response(photos[0], media_type="image/jpeg")

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not (server.started and app.state.model.is_ready):
        time.sleep(0.05)
    yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
    server.should_exit = True
    thread.join()


@pytest.mark.skipif(BROWSER is None, reason="no chromium or chrome at hand (apt-get install chromium)")
def test_a_photo_goes_in_and_classes_and_a_heat_map_come_out(address, tmp_path, artefact, photos):
    quiet = ["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", f"--user-data-dir={tmp_path}"]
    command = [BROWSER, *quiet, "--window-size=500,900", "--dump-dom", "--virtual-time-budget=20000", f"{address}/try"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
    dom = result.stdout
    assert "Content Security Policy" not in result.stderr
    (width, room) = map(int, re.search(r"<title>done (\d+) (\d+)</title>", dom).groups())
    assert width <= room  # nothing to scroll sideways
    rows = re.findall(
        r'<tr><th scope="row">(.*?)</th>.*?width: ([\d.]+)%.*?<td class="number">([\d.]+) %</td></tr>', dom
    )
    expected = artefact.predict_bytes(photos[:1])[0]
    names = ["ant", "bee", "&lt;b&gt;wasp&lt;/b&gt;"]
    assert [name for name, _, _ in rows] == [names[k] for k in (-expected).argsort()]
    for (_, bar, text), probability in zip(rows, sorted(expected)[::-1], strict=True):
        assert float(bar) == pytest.approx(100 * probability, abs=1e-3)
        assert float(text) == pytest.approx(100 * probability, abs=0.06)
    assert re.search(r'id="overlay" alt="The photo in grey[^"]*" src="data:image/png;base64,', dom)
    seen = dom.split("<script>")[0]
    assert "&lt;i&gt;bee&lt;/i&gt;.jpg: " in seen
    assert "<b>wasp" not in seen and "<i>bee" not in seen
