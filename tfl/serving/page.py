"""The web page where a person drops files, such as photos, and sees what the model answers."""

import base64
import functools
import hashlib
import importlib.resources

import jinja2
from markupsafe import Markup

SCRIPTS = ("page_send.js", "page_cards.js", "page.js")  # together they are the one script of the page


class Page:
    """One self-contained HTML page.

    Attributes:
        html: the HTML of the page.
        policy: its Content-Security-Policy, which allows only its own script and style (by their digests) and
            requests to its own service.
    """

    def __init__(self, name: str, title: str = "") -> None:
        """Fill in the page.

        Args:
            name: of the model in addresses.
            title: its name for people; empty: the same.
        """
        script, style = "\n".join(map(_read, SCRIPTS)), _read("page.css")
        template = jinja2.Template(_read("page.html"), autoescape=True, undefined=jinja2.StrictUndefined)
        self.html = template.render(name=name, title=title or name, script=Markup(script), style=Markup(style))
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
