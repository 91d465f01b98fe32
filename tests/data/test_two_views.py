"""Two views of an example differ, depend on nothing but seed, epoch and content, and stay on one replica."""

import numpy as np
import pytest
from option_runs import write_photos

import tfl
from tfl.data import make_dataset
from tfl.data.unlabelled import has_class_folders, load_unlabelled
from tfl.data.views import TwoViews
from tfl.errors import InputError
from tfl.inputs import get_input

BATCH = 4


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return write_photos(tmp_path_factory.mktemp("views") / "photos", (7, 7))


@pytest.fixture(scope="module")
def source(photos):
    return tfl.load_data(f"folder:{photos}").source


def make(source, **options):
    given = {"rows": np.arange(14), "image_size": 16, "batch_size": BATCH, "augmentation": "light", "seed": 1} | options
    return TwoViews(source, **given)


def batches(dataset):
    return list(dataset.as_numpy_iterator())


def test_a_batch_has_two_different_views_of_each_example_side_by_side(source):
    feed = make(source)
    got = batches(feed(0))
    assert len(got) == feed.num_batches == 3  # of 14 examples, two are left for another epoch
    for batch in got:
        assert batch["input"].shape == (2 * BATCH, 16, 16, 3) and not batch["label"].any()
        np.testing.assert_array_equal(batch["id"][::2], batch["id"][1::2])
        pairs = zip(batch["input"][::2], batch["input"][1::2], strict=True)
        assert all((first != second).any() for first, second in pairs)
    seen = np.concatenate([batch["id"][::2] for batch in got])
    assert len(set(seen.tolist())) == 12


def test_views_are_those_of_the_usual_augmentation(source):
    (first, *_), rows = batches(make(source)(3)), make(source)._order(3, 0)
    for view in (0, 1):
        options = {"image_size": 16, "batch_size": BATCH, "augmentation": "light", "seed": 1, "shuffle": False}
        usual = next(make_dataset(source, rows, epoch=6 + view, **options).as_numpy_iterator())
        np.testing.assert_array_equal(first["input"][view::2], usual["input"])
        np.testing.assert_array_equal(first["id"][view::2], usual["id"])


def test_the_same_seed_and_epoch_give_the_same_pixels_from_any_batch_on(source):
    feed = make(source)
    whole, again, later = batches(feed(2)), batches(make(source)(2)), batches(feed.from_batch(2, 1))
    for one, other in zip((*whole, *whole[1:]), (*again, *later), strict=True):
        for name in one:
            np.testing.assert_array_equal(one[name], other[name])
    assert (batches(feed(0))[0]["input"] != batches(feed(1))[0]["input"]).any()
    assert (whole[0]["input"] != batches(make(source, seed=2)(2))[0]["input"]).any()


def test_each_replica_has_both_views_of_its_own_part_of_the_same_batches(source):
    feed = make(source)
    whole, shares = batches(feed(0)), batches(feed.shares(0, 0, range(2), 2))
    assert len(shares) == 2 * len(whole)
    for number, share in enumerate(shares):
        batch, replica = whole[number // 2], number % 2
        assert (share.count, share.start) == (BATCH, replica * BATCH)
        for name, values in share.element.items():
            np.testing.assert_array_equal(values, batch[name][replica * BATCH : (replica + 1) * BATCH])


def test_a_folder_is_read_without_class_folders_and_with_all_folders_below(photos, tmp_path):
    kind = get_input("image").sized(16)
    assert has_class_folders(str(photos), kind)
    files = sorted(photos.rglob("*.png"))
    for number, (file, place) in enumerate(zip(files, ["", "a", "a/b", ".hidden"], strict=False)):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        (tmp_path / place / f"{number}.png").write_bytes(file.read_bytes())
    (tmp_path / "notes.txt").write_text("not an image")
    assert not has_class_folders(str(tmp_path), kind)
    source = load_unlabelled(str(tmp_path), kind)
    assert source.index.ids.tolist() == ["0.png", "a/1.png", "a/b/2.png"]
    assert set(source.index.splits) == {"train"} and not source.index.labels.any() and source.quarantine == ()


def test_a_folder_without_images_and_one_that_is_not_there_are_one_line(tmp_path):
    kind = get_input("image").sized(16)
    for path, message in (
        (tmp_path, "must have images. Received: .* has none"),
        (tmp_path / "no", "must name a folder"),
    ):
        with pytest.raises(InputError, match=message):
            load_unlabelled(str(path), kind)
