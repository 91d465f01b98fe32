"""The audit of a data set on its stored features: labels, duplicates, leaks, outliers, classes, shortcuts."""

from tfl.audit.finding import COLUMNS, Finding
from tfl.audit.kinds import KINDS, Audit, audit, count_kinds
from tfl.audit.material import Material
from tfl.audit.short import short_audit

__all__ = ["COLUMNS", "KINDS", "Audit", "Finding", "Material", "audit", "count_kinds", "short_audit"]
