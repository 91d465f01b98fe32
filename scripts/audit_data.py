"""Look for wrong labels, duplicates, leaks, outliers, shortcuts and placeholders in a data set.

    python scripts/audit_data.py --config=configs/folder.py --config.data.source=folder:PATH --output=FOLDER
    python scripts/audit_data.py runs/photos --output=FOLDER

It writes audit.csv, with one row for each finding, audit.json and audit.html.
"""

from tfl.commands import audit

if __name__ == "__main__":
    audit.run()
