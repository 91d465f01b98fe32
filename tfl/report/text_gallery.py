"""Show texts in the report: the most certain errors, and the correct predictions with the lowest confidence."""

import numpy as np

from tfl.data import Splits
from tfl.data.texts import read_texts
from tfl.report.blocks import Block, Heading, Table, Text
from tfl.report.facts import Facts
from tfl.report.gallery import choose_kinds, describe_prediction

LONGEST = 400  # characters of a text that are shown
TEXTS_NOTE = (
    "The end of a text that is longer than the input of the network was not seen by the model. A long text is shown up "
    f"to its first {LONGEST} characters."
)


def make_text_tables(facts: Facts, splits: Splits, most: int) -> list[Block]:
    """Choose test texts, and show each with its label and the prediction.

    Args:
        facts: the facts of the run.
        splits: its data.
        most: the number of texts of each kind; 0: none.

    Returns:
        A heading, a note and a table for each kind of text that is not empty, and a sentence for each of the others.
    """
    if not len(facts.table) or not most:
        return []
    outcomes = facts.task.outcomes(facts.probabilities, facts.table.labels)
    ids = np.asarray(facts.table.ids)
    blocks: list[Block] = []
    for kind in choose_kinds(facts, outcomes, most):
        if not len(kind.positions):
            blocks.append(Text(kind.if_none))
            continue
        names = ids[kind.positions].tolist()
        texts = read_texts(splits.source, splits.index.rows_of(names))
        told = [describe_prediction(facts, outcomes, position) for position in kind.positions.tolist()]
        rows = [[name, _shortened(text), *words] for name, text, words in zip(names, texts, told, strict=True)]
        columns = [facts.nouns[0], "words", "label", "prediction", "confidence"]
        blocks += [Heading(kind.title), Table(kind.title, columns, rows, has_numbers=False)]
    return blocks


def _shortened(text: str) -> str:
    return text if len(text) <= LONGEST else f"{text[:LONGEST].rstrip()} ..."
