"""Render the report page from facts and findings: its first screen, and its sections."""

import functools
import importlib.resources
from collections.abc import Sequence

import jinja2
from markupsafe import Markup

from tfl.report.blocks import Block, Code, Findings, Heading, Section, Table, Text
from tfl.report.certificate import certificate_table
from tfl.report.environment import describe_environment, repeat
from tfl.report.facts import Facts
from tfl.report.finding import Finding
from tfl.report.head import Head, describe_head
from tfl.report.results import results_section
from tfl.report.story import request_section, training_section
from tfl.version import VERSION

FIRST = 3  # findings on the first screen


@functools.cache
def environment() -> jinja2.Environment:
    """Return the template environment of this package; HTML is escaped, and a missing name is an error."""
    return jinja2.Environment(
        loader=jinja2.PackageLoader("tfl.report"),
        autoescape=jinja2.select_autoescape(["html"]),
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render_page(facts: Facts, findings: list[Finding], galleries: Sequence[Block], note: str = "") -> str:
    """Return the text of `report.html`.

    Args:
        facts: the facts of the run.
        findings: the findings, the most important first.
        galleries: examples with their explanations.
        note: the reason if there are no galleries.
    """
    sections = [
        request_section(facts),
        training_section(facts),
        results_section(facts),
        Section("look", f"Test {facts.nouns[1]} to look at", [Text(note or _how_to_look(facts)), *galleries]),
        Section("next", "What to do next", _advice(findings)),
        *_shipped(facts),
        _again(facts),
    ]
    return fill_template(describe_head(facts), findings, sections, has_pictures=facts.has_pictures)


def fill_template(head: Head, findings: list[Finding], sections: list[Section], *, has_pictures: bool) -> str:
    """Return the text of a page.

    Args:
        head: the first screen.
        findings: the findings, the most important first; the first screen shows three of them.
        sections: the sections below it; the results are in the section "good".
        has_pictures: whether the page contains pictures of the data set.
    """
    style = (importlib.resources.files("tfl.report") / "templates" / "style.css").read_text("utf-8")
    text = (
        environment()
        .get_template("report.html")
        .render(
            head=head,
            style=Markup(style),  # safe: it is a file of this package
            first=Findings(findings[:FIRST]),
            sections=sections,
            has_pictures=has_pictures,
            version=VERSION,
        )
    )
    return text.encode("utf-8", "replace").decode("utf-8")  # file names may not be valid UTF-8


def _how_to_look(facts: Facts) -> str:
    raised = "the score of the predicted class" if facts.has_classes else "the predicted value"
    text = (
        "The photo is on the left. On the right, the heat map (Grad-CAM) shows which places raise "
        f"{raised}: the more orange, the more."
    )
    if not facts.has_classes:
        return text
    near = f"the training {facts.nouns[1]} with the most similar features"
    return f"{text} Below are {near}, and the cosine of their features."


def _advice(findings: list[Finding]) -> list[Block]:
    if not findings:
        return [Text("No rule found anything to change.")]
    note = "Each sentence is computed from the numbers of this run. The most important one is first."
    return [Text(note, is_note=True), Findings(findings)]


def _shipped(facts: Facts) -> list[Section]:
    if not facts.certificate:
        return []
    several = facts.nouns[1]
    text = f"Each exported file was loaded in a new process and compared with the trained model on test {several}."
    return [Section("shipped", "What is shipped", [Text(text), certificate_table(facts.certificate, several)])]


def _again(facts: Facts) -> Section:
    again = repeat(facts)
    table = Table("Where this report was made", ["what", "value"], describe_environment(facts), has_numbers=False)
    return Section("again", "Repeat this run", [Text(again.note), Code(again.command), Heading("Environment"), table])
