"""The answers for some files: a list, which a notebook shows as a table with pictures."""

from collections.abc import Sequence
from typing import Any

from tfl.data import make_prediction_dataset
from tfl.errors import InputError
from tfl.files.pictures import SMALL, thumbnail
from tfl.inputs import Input
from tfl.notebook import ROWS, Picture, html_table
from tfl.progress import quiet


class Answers(list[dict[str, Any]]):
    """A list with one dict for each file: its "path", and the answer of the task.

    Args:
        answers: the dicts.
        header: the names of the columns that a notebook shows, beside the path.
        rows: the path and the cells of each row that a notebook shows.
        kind: what the files hold; a notebook shows a picture of each file if they are pictures.
    """

    def __init__(
        self, answers: Sequence[dict[str, Any]], header: Sequence[str], rows: Sequence[Sequence[str]], kind: Input
    ) -> None:
        super().__init__(answers)
        self._header, self._rows, self._kind = header, rows, kind

    def _repr_html_(self) -> str:
        paths = [str(answer["path"]) for answer in self]
        pictures = self._pictures(paths[:ROWS])
        mine = set(paths)
        rows = [tuple(row) for row in self._rows if row[0] in mine]
        if not pictures:
            return html_table(("path", *self._header), rows)
        return html_table(("", "path", *self._header), [(pictures.get(row[0], ""), *row) for row in rows])

    def _pictures(self, paths: Sequence[str]) -> dict[str, Picture]:
        """Return a small picture of each file, by path; a file that is gone has none."""
        if not self._kind.has_pictures:
            return {}
        try:
            with quiet():
                dataset, known, _ = make_prediction_dataset(paths, self._kind, ROWS)
        except InputError:
            return {}
        return {
            known[row]: Picture(thumbnail(pixels, (1, 1), SMALL), known[row])
            for batch in dataset
            for row, pixels in zip(batch["id"].numpy(), batch["input"].numpy(), strict=True)
        }
