"""All kinds of findings, in the order in which a person should look at them."""

import dataclasses
from collections.abc import Sequence

from tfl.audit.classes import find_classes
from tfl.audit.duplicates import Duplicates, find_duplicates
from tfl.audit.finding import Finding
from tfl.audit.labels import find_label_errors
from tfl.audit.leaks import report_duplicates
from tfl.audit.material import Material
from tfl.audit.opinions import form_opinions
from tfl.audit.other_labels import find_doubtful_labels
from tfl.audit.outliers import find_outliers
from tfl.audit.placeholders import find_placeholders
from tfl.audit.shortcuts import find_shortcuts

KINDS = {
    "leak": "near duplicates in two splits: the results may be too optimistic",
    "placeholder": "pictures that show nothing, or one picture many times",
    "label error": "examples whose label may be wrong",
    "shortcut": "traits of the files from which the class is predictable",
    "same classes": "classes that cannot be told apart",
    "confused classes": "classes of which many examples are taken for another one",
    "small class": "classes with few examples",
    "imbalance": "classes of very different size",
    "duplicate": "near duplicates in one split",
    "outlier": "examples that are far from all others",
}


@dataclasses.dataclass(frozen=True)
class Audit:
    """The findings about a data set.

    Attributes:
        findings: in the order of `KINDS`, and within a kind the surest first.
        duplicates: the near duplicates, and the sets that they form.
    """

    findings: list[Finding]
    duplicates: Duplicates

    @property
    def counts(self) -> dict[str, int]:
        """Number of findings of each kind that has some."""
        return count_kinds(self.findings)


def count_kinds(findings: Sequence[Finding]) -> dict[str, int]:
    """Return the number of findings of each kind that has some, in the order of `KINDS`."""
    kinds = [finding.kind for finding in findings]
    return {kind: kinds.count(kind) for kind in KINDS if kind in kinds}


def audit(material: Material) -> Audit:
    """Look for everything that is in `KINDS`."""
    duplicates = find_duplicates(material)
    opinions = form_opinions(material, duplicates.sets) if material.has_classes else None
    found = [*report_duplicates(material, duplicates), *find_placeholders(material), *find_outliers(material)]
    if material.has_classes:
        found += [*find_shortcuts(material), *find_classes(material, None if opinions is None else opinions.head)]
        found += find_label_errors(material, opinions) if opinions is not None else []
    else:
        found += find_doubtful_labels(material, duplicates.sets)
    order = list(KINDS)
    return Audit(sorted(material.without_unused(found), key=lambda finding: order.index(finding.kind)), duplicates)
