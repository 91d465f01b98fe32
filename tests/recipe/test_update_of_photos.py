"""`update_run` on real photos with pretrained weights: a class comes, and the result is that of training anew."""

import numpy as np
from option_runs import make_config

import tfl
from tfl.workdir import read_config

REAL = {"backbone.alpha": 0.25, "backbone.weights": "imagenet", "data.image_size": 64, "probe.solver": "ridge"}


def test_a_class_of_real_photos_comes(shared, keras_home, tmp_path):
    del keras_home
    counts = {"old/ants": 14, "old/bees": 14, "new/bees": 18}
    for name, count in counts.items():
        (tmp_path / name).mkdir(parents=True)
        label = name.partition("/")[2]
        files = sorted((shared / "data" / "hymenoptera" / "train" / label).iterdir())[:count]
        for file in files:
            (tmp_path / name / file.name).symlink_to(file)
    (tmp_path / "new" / "cat").mkdir()
    for file in sorted((shared / "data" / "dogs_cats_small" / "cat").iterdir())[:10]:
        (tmp_path / "new" / "cat" / file.name).symlink_to(file)
    config = make_config(tmp_path / "old", tmp_path / "store", REAL)
    before = tfl.transfer(config, tmp_path / "run")
    after = tfl.update_run(tmp_path / "run", tmp_path / "updated", add=tmp_path / "new")
    assert after.model.metadata.class_names == ("ants", "bees", "cat")
    assert sum(after.metrics["num_examples"].values()) == sum(before.metrics["num_examples"].values()) + 4 + 10
    anew = tfl.transfer(read_config(after.workdir), tmp_path / "anew")
    one, two = (run.metrics["phases"]["probe"] for run in (after, anew))
    assert abs(one["objective"] - two["objective"]) < 1e-8 and one["l2"] == two["l2"]
    for first, second in zip(after.model.get_weights(), anew.model.get_weights(), strict=True):
        np.testing.assert_allclose(first, second, atol=1e-6)
    answers = after.predict([tmp_path / "new" / "cat"], top=1)
    assert np.mean([answer["classes"][0]["class"] == "cat" for answer in answers]) > 0.7
