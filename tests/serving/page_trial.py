"""Try the page in a real browser: a second script gives it files, which a browser lets no other page do."""

import base64
import contextlib
import hashlib
import json
import shutil
import subprocess
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import uvicorn
from fastapi import Response
from warm import PATIENCE

from tfl.serving import ServeOptions
from tfl.serving.about import title_of
from tfl.serving.app import create_app
from tfl.serving.page import Page

BROWSER = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")
FRAME = """<!doctype html><title>waiting</title><style>body {margin: 0} iframe {border: 0; height: 100vh}</style>
<iframe src="try" style="width: WIDTHpx"></iframe><pre hidden></pre><script>
const look = setInterval(() => {
  const inner = document.querySelector("iframe").contentDocument;
  if (!inner.title.startsWith("done")) return;
  clearInterval(look);
  document.title = inner.title;
  document.querySelector("pre").textContent = inner.documentElement.outerHTML;
}, 50);
</script>"""  # no window of the browser is as narrow as a phone
TAKE = """
const given = Promise.all(NAMES.map((name, k) => fetch("file/" + k).then((answer) => answer.blob())
  .then((blob) => new File([blob], name))));
given.then(take).then(async () => { AFTER })
  .then(() => Promise.all([...document.images].map((image) => image.decode().catch(() => {})))).then(() => {
    const root = document.documentElement;
    document.title = "done " + root.scrollWidth + " " + root.clientWidth;
    window.scrollTo(0, 0);
  });
"""


def digest(text: str) -> str:
    """Return the source of a script or style in a Content-Security-Policy."""
    return "'sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode() + "'"


@contextlib.contextmanager
def trial(options: ServeOptions, files: Sequence[tuple[str, bytes]], after: str = "") -> Iterator[str]:
    """Serve a model, and yield the address of its page, which takes files by itself; add `?width=` in pixels.

    Args:
        options: of the service.
        files: names and contents.
        after: JavaScript that runs when the page has answered about all files.
    """
    app, page = create_app(options), Page(options.name, title_of(options))
    script = TAKE.replace("NAMES", json.dumps([name for name, _ in files])).replace("AFTER", after)
    script = script.replace("</", "<\\/")  # the name of a file must not end the script

    @app.get("/try")
    async def try_page() -> Response:
        html = page.html.replace("</body>", f"<script>{script}</script></body>")
        policy = page.policy.replace("script-src", f"script-src {digest(script)}")
        policy = policy.replace("frame-ancestors 'none'", "frame-ancestors 'self'")
        return Response(html, media_type="text/html", headers={"content-security-policy": policy})

    @app.get("/frame")
    async def frame(width: int) -> Response:
        policy = {"content-security-policy": "default-src 'self' 'unsafe-inline'"}
        return Response(FRAME.replace("WIDTH", str(width)), media_type="text/html", headers=policy)

    @app.get("/file/{number}")
    async def file(number: int) -> Response:
        return Response(files[number][1], media_type="application/octet-stream")

    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None))
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        while not (server.started and app.state.model.is_ready):
            if app.state.model.failure:
                raise app.state.model.failure
            time.sleep(0.05)
        yield f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}/frame"
    finally:
        server.should_exit = True
        thread.join()


def browse(address: str, profile: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the browser on an address, and return what it printed on both channels."""
    command = [str(BROWSER), *QUIET, f"--user-data-dir={profile}", "--virtual-time-budget=20000", *options, address]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=True)
