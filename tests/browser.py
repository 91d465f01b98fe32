"""A headless browser that gets real keys and clicks, over the DevTools protocol through two pipes."""

import base64
import contextlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

PROGRAM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
needs_browser = pytest.mark.skipif(PROGRAM is None, reason="no chromium or chrome at hand (apt-get install chromium)")
START = "import os, sys; [os.dup2(int(sys.argv[n]), n + 2) for n in (1, 2)]; os.execv(sys.argv[3], sys.argv[3:])"
CODES = {"ArrowDown": 40}  # of keys that write nothing
QUIET = ("--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--enable-logging=stderr")


class Browser:
    """One page in a browser.

    Reference:
        Chrome DevTools Protocol, https://chromedevtools.github.io/devtools-protocol.
    """

    def __init__(self, reader: Any, writer: Any) -> None:
        self._reader, self._writer, self._number, self._session = reader, writer, 0, {}
        self.events: list[dict[str, Any]] = []
        target = self.send("Target.createTarget", url="about:blank")["targetId"]
        self._session = {"sessionId": self.send("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]}
        self.send("Page.enable")
        still = {"name": "prefers-reduced-motion", "value": "reduce"}  # no page is still scrolling when it is clicked
        self.send("Emulation.setEmulatedMedia", features=[still])

    def send(self, method: str, **values: Any) -> dict[str, Any]:
        """Give a command, and return its result."""
        self._number += 1
        message = {"id": self._number, "method": method, "params": values, **self._session}
        self._writer.write(json.dumps(message).encode() + b"\0")
        self._writer.flush()
        while True:
            answer = self._receive()
            if answer.get("id") == self._number:
                assert "error" not in answer, answer["error"]
                return answer["result"]

    def wait_for(self, method: str, **values: Any) -> None:
        """Wait until an event with these values has come."""
        while True:
            for place, event in enumerate(self.events):
                if event["method"] == method and values.items() <= event["params"].items():
                    del self.events[: place + 1]
                    return
            self._receive()

    def resize(self, width: int, height: int) -> None:
        """Give the page a window of this size in pixels."""
        self.send("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def open(self, file: Path) -> None:
        """Open a page, and wait until it is loaded."""
        self.send("Page.navigate", url=file.as_uri())
        self.wait_for("Page.loadEventFired")

    def press(self, *keys: str) -> None:
        """Press keys, one after the other."""
        for key in keys:
            what = {"windowsVirtualKeyCode": CODES[key]} if key in CODES else {"text": key}
            self.send("Input.dispatchKeyEvent", type="keyDown", key=key, **what)
            self.send("Input.dispatchKeyEvent", type="keyUp", key=key)

    def click(self, selector: str) -> None:
        """Click the middle of the first element of a CSS selector."""
        find = f"document.querySelector({json.dumps(selector)})"
        self.look(f"{find}.scrollIntoView({{block: 'center'}})")
        x, y = self.look(f"(b => [b.x + b.width / 2, b.y + b.height / 2])({find}.getBoundingClientRect())")
        for kind in ("mousePressed", "mouseReleased"):
            self.send("Input.dispatchMouseEvent", type=kind, x=x, y=y, button="left", clickCount=1)

    def look(self, expression: str) -> Any:
        """Return the value of a JavaScript expression on the page."""
        answer = self.send("Runtime.evaluate", expression=expression, returnByValue=True)
        assert "exceptionDetails" not in answer, answer["exceptionDetails"]
        return answer["result"].get("value")

    def picture(self) -> Image.Image:
        """Return what the window shows."""
        content = base64.b64decode(self.send("Page.captureScreenshot")["data"])
        return Image.open(io.BytesIO(content)).convert("RGB")

    def save_to(self, folder: Path) -> None:
        """Let the page save files into a folder."""
        self.send("Browser.setDownloadBehavior", behavior="allow", downloadPath=str(folder), eventsEnabled=True)

    def _receive(self) -> dict[str, Any]:
        content = bytearray()
        while not content.endswith(b"\0"):
            byte = self._reader.read(1)
            assert byte, "the browser ended"
            content += byte
        answer = json.loads(content[:-1])
        if "method" in answer:
            self.events.append(answer)
        return answer


@contextlib.contextmanager
def open_browser(profile: Path) -> Iterator[Browser]:
    """Start a browser that ends with the block."""
    to_read, to_send = os.pipe()
    to_receive, to_write = os.pipe()
    words = [str(PROGRAM), *QUIET, f"--user-data-dir={profile}", "--remote-debugging-pipe"]
    program = [sys.executable, "-Sc", START, str(to_read), str(to_write), *words]
    with subprocess.Popen(program, pass_fds=(to_read, to_write), stderr=subprocess.DEVNULL) as process:
        os.close(to_read)
        os.close(to_write)
        with os.fdopen(to_receive, "rb") as reader, os.fdopen(to_send, "wb", buffering=0) as writer:
            try:
                yield Browser(reader, writer)
            finally:
                process.kill()
