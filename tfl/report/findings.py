"""Find the sentences that follow from the numbers of a run, with what to do next, the most important first."""

from tfl.report import result_rules, training_rules
from tfl.report.audited import audit_findings
from tfl.report.facts import Facts
from tfl.report.finding import Finding


def find(facts: Facts) -> list[Finding]:
    """Return every finding about a run, the most important first.

    Example:
        >>> from tfl.report.reading import read_facts
        >>> [finding.text for finding in find(read_facts("runs/photos"))]
        ['...']
    """
    rules = (*result_rules.RULES, *training_rules.RULES, audit_findings)
    findings = [finding for rule in rules for finding in rule(facts)]
    return sorted(findings, key=lambda finding: -finding.weight)
