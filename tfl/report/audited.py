"""What the short audit of a run found about its data: a table, and sentences about leaks and labels."""

from collections.abc import Iterator

from tfl.report.blocks import Block, Details, Heading, Table, Text
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.wording import count

MOST_ROWS = 100
NOT_MADE = "The data were not audited (report.audit, or no stored features, or too many examples); `tfl audit` does it."


def audit_blocks(facts: Facts) -> list[Block]:
    """Return what the short audit found."""
    if facts.audit is None:
        return [Heading("Audit of the data"), Text(NOT_MADE, is_note=True)]
    if not facts.audit:
        text = "The short audit found no near duplicates, no leaks between splits, and no suspicious label."
        return [Heading("Audit of the data"), Text(text)]
    rows = [[row["id"], row["kind"], row["score"], row["evidence"]] for row in facts.audit[:MOST_ROWS]]
    kinds = [row["kind"] for row in facts.audit]
    counted = ", ".join(count(kinds.count(kind), kind) for kind in dict.fromkeys(kinds))
    more = f", of which the first {MOST_ROWS}" if len(kinds) > MOST_ROWS else ""
    table = Table("Findings of the short audit", ["id", "kind", "score", "evidence"], rows, has_numbers=False)
    return [
        Heading("Audit of the data"),
        Text(
            f"The short audit found {counted}. Nothing was removed: a person decides. `tfl audit` shows the pictures."
        ),
        Details(f"{count(len(kinds), 'finding')}{more}", [table]),
    ]


def audit_findings(facts: Facts) -> Iterator[Finding]:
    """Yield what is worth the first screen: leaks into the test split, and suspicious labels."""
    rows = facts.audit or []
    leaks = [row for row in rows if row["kind"] == "leak"]
    if leaks:
        yield Finding(
            "problem",
            85,
            f"{facts.count(len(leaks))} {'is a near duplicate' if len(leaks) == 1 else 'are near duplicates'} of "
            f"{facts.nouns[1]} in another split, the first: {leaks[0]['id']}. The results may be too optimistic.",
        )
    labels = [row for row in rows if row["kind"] == "label error"]
    if labels:
        yield Finding(
            "advice",
            57,
            f"The nearest neighbours of {facts.count(len(labels))} nearly all have one other label, the first: "
            f"{labels[0]['id']}. `tfl audit` shows them side by side.",
        )
