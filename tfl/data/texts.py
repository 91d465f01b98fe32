"""Read the examples of a source back as text."""

import numpy as np

from tfl.data.source import Source


def read_texts(source: Source, rows: np.ndarray) -> list[str]:
    """Return the texts of some rows, in their order.

    Args:
        source: of texts: `source.kind.cell` is not empty.
        rows: int64 positions in its index.

    Example:
        >>> read_texts(tfl.load_data("digits").source, np.zeros(0, np.int64))
        []
    """
    if not len(rows):
        return []
    dataset = source.examples(np.asarray(rows, np.int64))
    found = {int(example["id"]): example["input"] for example in dataset.as_numpy_iterator()}
    return [found[row].decode("utf-8", "replace") for row in rows.tolist()]
