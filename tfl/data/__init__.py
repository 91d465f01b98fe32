"""Sources, splits and batches: from a source string or Python data to the batches that a model takes.

Each name is imported when it is first used: the modules that look at the files of a source import no TensorFlow.
"""
# ruff: noqa: F401

from etils import epy

with epy.lazy_api_imports(globals()):
    from tfl.data.feed import EpochFeed
    from tfl.data.index import Index
    from tfl.data.load import Splits, load_data
    from tfl.data.pipeline import explain_lost, make_dataset, make_prediction_dataset
    from tfl.data.quarantine import write_quarantine_csv
    from tfl.data.source import Source, reading_explained
    from tfl.data.sources import load_source
    from tfl.data.splits import assign_splits, count_leaks, find_contradictions
