"""The gallery shows the images that it says it shows, with the heat and the neighbours that they have."""

import base64
import io

import numpy as np
import pytest
from PIL import Image

from tfl.data import make_dataset
from tfl.explain import grad_cam, overlay
from tfl.models.classifier import split_at_features
from tfl.report import gallery, read_facts
from tfl.report.gallery import make_galleries


def features_of(run):
    lower = split_at_features(run.model)[0]
    return lambda rows: lower(pixels_of(run, rows)).numpy()


def pixels_of(run, rows):
    dataset = make_dataset(run.splits.source, np.sort(rows), image_size=32, batch_size=999)
    batch = next(iter(dataset))
    place = {row: k for k, row in enumerate(batch["id"].numpy().tolist())}
    return batch["input"].numpy()[[place[row] for row in np.asarray(rows).tolist()]]


def galleries_of(run, most=6):
    facts = read_facts(run.path)
    return facts, make_galleries(facts, run.model, run.splits, features_of(run), most)


def decoded(uri):
    return np.asarray(Image.open(io.BytesIO(base64.b64decode(uri.partition(",")[2]))).convert("RGB"), np.float32)


def test_each_kind_holds_its_own_sorted(make_run):
    run = make_run()
    facts, (errors, hits, typical) = galleries_of(run)
    outcomes = facts.task.outcomes(facts.probabilities, facts.table.labels)
    place = {name: k for k, name in enumerate(facts.table.ids.tolist())}
    sure = [outcomes.confidence[place[card.name]] for card in errors.cards]
    unsure = [outcomes.confidence[place[card.name]] for card in hits.cards]
    assert len(errors.cards) == min(6, (~outcomes.is_correct).sum()) and len(hits.cards) == 6
    assert sure == sorted(outcomes.confidence[~outcomes.is_correct], reverse=True)[:6]
    assert unsure == sorted(outcomes.confidence[outcomes.is_correct])[:6]
    assert all(card.is_error and card.truth != card.predicted for card in errors.cards)
    assert all(not card.is_error and card.truth == card.predicted for card in [*hits.cards, *typical.cards])
    assert [card.truth for card in typical.cards] == ["ant", "ant", "bee", "bee", "cat", "cat"]
    labels = run.splits.index.label_texts()
    for card in [*errors.cards, *hits.cards]:
        row = run.splits.index.ids.tolist().index(card.name)
        assert card.truth == labels[row] and run.splits.index.splits[row] == "test"
        assert card.predicted == facts.metadata.class_names[outcomes.predicted[place[card.name]]] == card.looked_for


def test_pictures_heat_and_neighbours_are_those_of_the_image(make_run):
    run = make_run()
    _, (errors, *_) = galleries_of(run)
    card = errors.cards[0]
    row = run.splits.index.ids.tolist().index(card.name)
    image = pixels_of(run, [row])[0]
    assert decoded(card.picture).shape == (150, 200, 3)  # 16 x 12 pixels
    small = Image.fromarray(decoded(card.picture).astype(np.uint8)).resize((32, 32))
    assert np.abs(np.asarray(small, np.float32) - image).mean() < 16
    number = run.model.metadata.class_names.index(card.predicted)
    hot = overlay(image, grad_cam(run.model, image[None], number)[0])
    small = Image.fromarray(decoded(card.heat).astype(np.uint8)).resize((32, 32))
    assert np.abs(np.asarray(small, np.float32) - hot).mean() < 16
    features, train = features_of(run), run.splits.train
    mine, theirs = features([row])[0], features(train)
    cosines = theirs @ mine / np.linalg.norm(theirs, axis=1) / np.linalg.norm(mine)
    best = np.argsort(-cosines)[:3]
    labels = run.splits.index.label_texts()
    assert [neighbour.label for neighbour in card.neighbours] == [labels[train[k]] for k in best]
    np.testing.assert_allclose([neighbour.cosine for neighbour in card.neighbours], cosines[best], atol=1e-5)


def test_of_many_classes_the_weakest_are_shown_and_no_more_than_asked(make_run):
    run = make_run(names=[f"c{k}" for k in range(30)], num_test=300)
    facts, (*_, typical) = galleries_of(run, 2)
    outcomes = facts.task.outcomes(facts.probabilities, facts.table.labels)
    recall = {f"c{k}": outcomes.is_correct[facts.table.labels == k].mean() for k in range(30)}
    shown = {card.truth for card in typical.cards}
    assert len(typical.cards) <= 4
    assert max(recall[name] for name in shown) <= sorted(recall.values())[4]


def test_without_a_gallery_nothing_is_computed(make_run):
    assert make_galleries(read_facts(make_run().path), None, None, None, 0) == []


@pytest.mark.parametrize("target", ["binary", "multilabel", "regression"])
def test_every_target_has_galleries(make_run, target):
    run = make_run(target, ("no", "yes") if target == "binary" else ("a", "b", "c"))
    facts, found = galleries_of(run)
    names = [one.title for one in found]
    if target == "regression":
        assert names == ["Largest errors", "Smallest errors"]
        error = np.abs(facts.probabilities[:, 0] - facts.table.labels)
        assert found[0].cards[0].name == facts.table.ids[error.argmax()]
    else:
        assert names == [
            "Errors with the highest confidence",
            "Correct predictions with the lowest confidence",
            "Typical examples",
        ]


def test_neighbours_of_large_sets_are_looked_for_in_a_part_of_it(make_run, monkeypatch):
    monkeypatch.setattr(gallery, "MOST_TRAINING_IMAGES", 20)
    run, asked = make_run(), []
    facts = read_facts(run.path)
    features = features_of(run)
    make_galleries(facts, run.model, run.splits, lambda rows: asked.append(rows) or features(rows), 6)
    assert len(asked[1]) == 20 and set(asked[1]) <= set(run.splits.train)


def test_the_place_of_the_heat_is_said():
    heat = np.zeros((30, 30), np.float32)
    assert gallery._where(heat) == "no place in the image raises its score"
    heat[2:5, 25:28] = 1
    assert gallery._where(heat) == "strongest at the top right, and at least half as strong in 1.0\xa0% of the image"
    assert "the centre" in gallery._where(np.pad([[1.0]], 10).astype(np.float32))
