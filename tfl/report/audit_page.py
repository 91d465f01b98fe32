"""Render `audit.html`: the findings with their pictures side by side, and what a person decides about each."""

import collections
import dataclasses
import importlib.resources
import itertools
from collections.abc import Sequence

import numpy as np
from markupsafe import Markup

from tfl.audit import KINDS, Audit, Finding
from tfl.data import Splits, make_dataset
from tfl.data.index import Index
from tfl.files.pictures import thumbnail
from tfl.report.head import Tile
from tfl.report.page import environment
from tfl.report.wording import count, sentence_start
from tfl.version import VERSION

MOST = 200  # cards, so that the page stays below some megabytes; all findings are in audit.csv
SIDE = 160  # pixels of a picture
BATCH = 32
OTHERS = 3


@dataclasses.dataclass(frozen=True)
class Shown:
    """A picture with its id, its label and its split."""

    id: str
    picture: str
    label: str
    split: str


@dataclasses.dataclass(frozen=True)
class Case:
    """A finding with the pictures of its example and of those that its evidence names."""

    id: str
    score: float
    evidence: str
    suggestion: str
    decision: str
    label: str
    pictures: list[Shown]


@dataclasses.dataclass(frozen=True)
class Group:
    """The findings of one kind."""

    name: str
    title: str
    note: str
    total: int
    cards: list[Case]


@dataclasses.dataclass(frozen=True)
class Page:
    """All that the template shows."""

    over: str
    heading: str
    tiles: list[Tile]
    groups: list[Group]
    classes: Sequence[str]
    num_ids: int
    has_decisions: bool
    has_duplicates: bool
    has_pictures: bool


def render_audit(found: Audit, splits: Splits, source: str) -> str:
    """Return the text of `audit.html`.

    Args:
        found: the findings.
        splits: the data set.
        source: the name of the data set.
    """
    shown = _limited(found.findings)
    page = _page(found, shown, splits, source)
    files = importlib.resources.files("tfl.report") / "templates"
    style, own_style, script = ((files / name).read_text("utf-8") for name in ("style.css", "audit.css", "audit.js"))
    text = (
        environment()
        .get_template("audit.html")
        .render(  # safe as markup: they are files of this package
            page=page, style=Markup(style), own_style=Markup(own_style), script=Markup(script), version=VERSION
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # file names may not be valid UTF-8


def _limited(findings: Sequence[Finding]) -> list[Finding]:
    """Return at most 200 findings: of each kind the surest, as many as of any other kind."""
    numbers = collections.defaultdict(itertools.count)
    ranks = [next(numbers[finding.kind]) for finding in findings]
    chosen = sorted(range(len(ranks)), key=lambda place: (ranks[place], place))[:MOST]
    return [findings[place] for place in sorted(chosen)]


def _page(found: Audit, shown: Sequence[Finding], splits: Splits, source: str) -> Page:
    counts, several = found.counts, splits.source.kind.noun[1]
    row_of = {name: row for row, name in enumerate(splits.index.ids.tolist())}
    wanted = [name for finding in shown for name in (finding.id, *finding.others[:OTHERS]) if name in row_of]
    pictures = _pictures(splits, sorted({row_of[name] for name in wanted}))
    groups = []
    for kind, note in KINDS.items():
        cards = [_case(finding, splits.index, row_of, pictures) for finding in shown if finding.kind == kind]
        if cards:
            more = f" The page shows the first {len(cards)}." if len(cards) < counts[kind] else ""
            note = f"{sentence_start(note)}.{more}"
            groups.append(Group(kind.replace(" ", "-"), sentence_start(kind), note, counts[kind], cards))
    ids = {finding.id for finding in shown if finding.decision}
    labels = splits.class_names if splits.index.is_multiclass else ()
    return Page(
        over=f"Audit of {source}",
        heading=f"{count(len(found.findings), 'finding')} in {len(splits.index):,} {several}",
        tiles=[Tile(sentence_start(kind), f"{number:,}", KINDS[kind]) for kind, number in counts.items()],
        groups=groups,
        classes=labels,
        num_ids=len(ids),
        has_decisions=bool(ids),
        has_duplicates="leak" in counts or "duplicate" in counts,
        has_pictures=bool(pictures),
    )


def _case(finding: Finding, index: Index, row_of: dict[str, int], pictures: dict[int, str]) -> Case:
    texts = index.label_texts() if not index.is_multiclass else None
    shown = []
    for name in (finding.id, *finding.others[:OTHERS]):
        row = row_of.get(name)
        if row is not None and row in pictures:
            label = texts[row] if texts is not None else index.class_names[int(index.labels[row])]
            shown.append(Shown(name, pictures[row], label, str(index.splits[row])))
    return Case(finding.id, finding.score, finding.evidence, finding.suggestion, finding.decision, finding.label, shown)


def _pictures(splits: Splits, rows: Sequence[int]) -> dict[int, str]:
    """Return the pictures of some rows as data URIs, in the shape of their originals; none if they are no pictures."""
    kind, facts = splits.source.kind, splits.index.facts
    if not (kind.has_pictures and rows):
        return {}
    batches = make_dataset(splits.source, np.array(rows, np.int64), image_size=SIDE, batch_size=BATCH)
    return {
        int(row): thumbnail(pixels, kind.aspect(facts, int(row)), SIDE)
        for batch in batches
        for row, pixels in zip(batch["id"].numpy(), batch["input"].numpy(), strict=True)
    }
