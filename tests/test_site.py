"""The site of the docs builds without a warning, loads nothing from elsewhere, and every link leads somewhere."""

import importlib.util
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path

import pytest
from doc_blocks import FENCE, PAGES, ROOT

CONFIG = ROOT / ".ci" / "mkdocs.yml"
LINK = re.compile(r"\]\(([^)\s]+)\)")
LINKED = [*PAGES, ROOT / "CONTRIBUTING.md"]


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def anchors_of(page: Path) -> set[str]:
    """Return the anchors of the headings of a page, as GitHub and mkdocs both make them."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", page.read_text("utf-8")), re.MULTILINE)
    plain = (re.sub(r"[`*]|\[(.*?)\]\(.*?\)", r"\1", heading) for heading in headings)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).strip().replace(" ", "-") for heading in plain}


@pytest.mark.parametrize("page", LINKED, ids=name_of)
def test_every_link_leads_to_a_file_and_to_a_heading(page):
    for link in LINK.findall(FENCE.sub("", page.read_text("utf-8"))):
        target, _, anchor = urllib.parse.unquote(link).partition("#")
        if "://" in target:
            continue
        path = (page.parent / target).resolve() if target else page
        assert path.exists(), link
        assert not anchor or anchor in anchors_of(path), link
        inside = page.is_relative_to(ROOT / "docs")
        assert not inside or path.is_relative_to(ROOT / "docs"), f"{link} is not part of the site"


def test_a_list_has_a_blank_line_above_it():
    """Without it, the site shows the list as text."""
    for page in PAGES:
        text = FENCE.sub("", page.read_text("utf-8"))
        assert not re.search(r"^(?![-|#>\s]|\d\.)\S.*\n- ", text, re.MULTILINE), name_of(page)


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The folder of the built site."""
    if importlib.util.find_spec("material") is None:
        pytest.skip("no mkdocs-material: pip install 'tfl-transfer[docs]'")
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "-f", CONFIG, "-d", folder]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_the_site_has_every_page(site):
    for page in PAGES[1:]:
        html = (site / page.relative_to(ROOT / "docs").with_suffix(".html")).read_text("utf-8")
        assert "<h1" in html


def test_a_page_loads_nothing_from_elsewhere(site):
    for file in site.rglob("*.html"):
        html = file.read_text("utf-8")
        loaded = re.findall(r"<(?:script|img|iframe|source)[^>]*?\ssrc=\"?([^\s\">]+)", html)
        loaded += re.findall(r"<link[^>]*rel=\"?(?:stylesheet|icon|preload)[^>]*?href=\"?([^\s\">]+)", html)
        assert not [address for address in loaded if "//" in address], file
