"""The web page where a person drops a photo and sees the prediction."""

import base64
import functools
import hashlib
import importlib.resources

import jinja2
from markupsafe import Markup


class Page:
    """One self-contained HTML page.

    Attributes:
        html: the HTML of the page.
        policy: its Content-Security-Policy, which allows only its own script and style (by their digests) and
            requests to its own service.
    """

    def __init__(self, name: str) -> None:
        script, style = _read("page.js"), _read("page.css")
        template = jinja2.Template(_read("page.html"), autoescape=True, undefined=jinja2.StrictUndefined)
        self.html = template.render(name=name, script=Markup(script), style=Markup(style))
        self.policy = "; ".join(
            [
                "default-src 'none'",
                f"script-src '{_digest(script)}'",
                f"style-src '{_digest(style)}'",
                "img-src blob: data:",
                "connect-src 'self'",
                "base-uri 'none'",
                "form-action 'none'",
                "frame-ancestors 'none'",
            ]
        )


@functools.cache
def _read(name: str) -> str:
    return (importlib.resources.files("tfl.serving") / "templates" / name).read_text("utf-8").strip()


def _digest(text: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
