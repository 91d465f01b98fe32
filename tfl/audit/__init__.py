"""The audit of a data set on its stored features: labels, duplicates, leaks, outliers, classes, shortcuts."""

from tfl.audit.finding import COLUMNS, Finding
from tfl.audit.kinds import KINDS, Audit, audit
from tfl.audit.material import Material

__all__ = ["COLUMNS", "KINDS", "Audit", "Finding", "Material", "audit"]
