"""The page of a ranking says what was measured, for shares and for values, and is whole and accessible."""

import pytest
from test_page import Document, check_accessible, check_self_contained

from tfl.report.ranking_page import write_ranking_page
from tfl.selection.ranked import RankedBackbone, Round
from tfl.tasks import get_task


def network(name, metric, milliseconds, *, is_on_front):
    return RankedBackbone(
        *(name, 1.0, "imagenet", metric, metric - 0.0625, metric + 0.0625, 0.5, 0.5, 0.1, 0.2, -0.3, -0.4),
        *(float("nan") if name == "Slow" else 0.75, 1_234_567, milliseconds, 0.6, 75.4, 250, is_on_front),
    )


@pytest.mark.parametrize("task", ["multiclass", "regression"])
@pytest.mark.parametrize("number", [1, 3])
def test_the_page_has_each_network_and_each_round(tmp_path, task, number):
    networks = [("Large", 0.75, 20.0, True), ("Small", 0.5, 2.5, True), ("Slow", 0.25, 40.0, False)][:number]
    ranked = [network(name, metric, time, is_on_front=on) for name, metric, time, on in networks]
    rounds = [Round(250, tuple(one.label for one in ranked), ("Slow",) if number == 3 else ())]
    write_ranking_page(ranked, rounds, tmp_path, get_task(task))
    text = (tmp_path / "ranking.html").read_text()
    document = Document(text)
    assert not document.open
    check_accessible(document, [])
    check_self_contained(text, document, [])
    words = document.words().replace("\xa0", " ")
    best = "75.0 % 68.8 % to 81.2 %" if task == "multiclass" else "0.750 0.688 to 0.812"
    assert f"Large {best} 0.500 20.0 1,234,567 0.60 75 75.0 % 250 yes" in words and "Take Large" in words
    assert ("By its published accuracy on ImageNet" in words) == (number == 3)
    assert ("Slow" in words) == (number == 3) == ("no" in words.split())
