"""The estimators: scikit-learn's own checks, the three forms of X, grid search, pickle, and the head's solution."""

import inspect
import pickle

import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from input_examples import input_of_the_docs
from option_runs import tiny_networks
from sklearn.base import clone
from sklearn.datasets import load_digits
from sklearn.exceptions import NotFittedError, SkipTestWarning
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.utils.estimator_checks import estimator_checks_generator

import tfl
from tfl.backbones import weights_fingerprint
from tfl.config import TransferConfig, value_of
from tfl.errors import InputError
from tfl.estimators.options import PARAMETERS
from tfl.models.classifier import split_at_features

SMALL = {"backbone": "MobileNet", "weights": "none", "image_size": 32, "folds": 3}
# Checks that cannot hold, and why. All others hold, for an input whose examples are rows of numbers.
CANNOT_HOLD = {
    "check_methods_subset_invariance": "it asks for 1e-7, but networks compute in float32, in another order for a "
    "batch of another size",
    "check_regressors_train": "it sets `alpha`, for scikit-learn the strength of a penalty, here the width of the "
    "network, which only MobileNets have",
}


@pytest.fixture(scope="module", autouse=True)
def networks():
    with tiny_networks():
        yield


@pytest.fixture(scope="module")
def digits():
    """90 images of three digits, uint8 (90, 8, 8), and their classes as text."""
    data = load_digits(n_class=3)
    return np.round(data.images[:90] * (255 / 16)).astype(np.uint8), np.array(["nil", "one", "two"])[data.target[:90]]


@pytest.fixture
def classifier(tmp_path):
    return tfl.TransferClassifier(**SMALL, store=str(tmp_path / "store"))


def failures(estimator, wanted=lambda name: True):
    """Return the checks of scikit-learn that fail, with their errors, and the names of all."""
    names, failed = set(), {}
    for instance, check in estimator_checks_generator(estimator):
        name = check.func.__name__
        names.add(name)
        if name in CANNOT_HOLD or not wanted(name):
            continue
        try:
            check(instance)
        except pytest.skip.Exception:
            raise
        except Exception as error:
            if type(error).__name__ != "SkipTest":
                failed[name] = repr(error)
    return names, failed


@pytest.mark.filterwarnings("ignore")
def test_scikit_learns_checks_hold_for_rows_of_numbers():
    with input_of_the_docs():
        rows = {"backbone": "Columns", "weights": "none", "folds": 2, "store": "none"}
        names, failed = failures(tfl.TransferClassifier(**rows))
        assert failed == {}
        assert {"check_fit_idempotent", "check_estimators_pickle", "check_n_features_in"} <= names
        of_both = {"check_supervised_y_2d", "check_estimators_unfitted", "check_fit2d_1sample"}
        others, failed = failures(tfl.TransferRegressor(**rows), lambda name: name in of_both or name not in names)
        assert failed == {}
        assert names | others >= CANNOT_HOLD.keys() and "check_regressor_multioutput" in others


def test_scikit_learn_knows_that_images_are_no_matrix(classifier):
    with pytest.warns(SkipTestWarning, match="three_d_array=True"):
        assert [check.func.__name__ for _, check in estimator_checks_generator(classifier)] == [
            "check_estimator_cloneable"
        ]


def test_arrays_paths_and_a_column_of_paths_are_the_same(classifier, digits, tmp_path):
    images, classes = digits
    files = [tmp_path / f"{number}.png" for number in range(len(images))]
    for file, image in zip(files, images, strict=True):
        file.write_bytes(tf.io.encode_png(image[..., None]).numpy())
    expected = clone(classifier).fit(images, classes).predict_proba(images)
    assert expected.shape == (90, 3)
    table = pd.DataFrame({"path": files})
    texts = list(map(str, files))
    for examples in (images[..., None], list(images), files, texts, table, table["path"], table.to_numpy()):
        fitted = clone(classifier).fit(examples, classes)
        np.testing.assert_allclose(fitted.predict_proba(examples), expected, atol=1e-6)
        assert fitted.score(examples, classes) > 0.9


def test_a_given_l2_solves_the_head_on_all_examples(classifier, digits):
    images, classes = digits
    fitted = classifier.set_params(l2=0.01).fit(images, classes)
    lower, _ = split_at_features(fitted.model_)
    features = features_of(lower, images)
    oracle = LogisticRegression(C=1 / (2 * 0.01 * len(images)), tol=1e-8, max_iter=10_000).fit(features, classes)
    np.testing.assert_allclose(fitted.predict_proba(images), oracle.predict_proba(features), atol=2e-4)
    assert fitted.l2_ == 0.01 and fitted.is_frozen_ and fitted.classes_.tolist() == ["nil", "one", "two"]
    assert fitted.model_.metadata.class_names == ("nil", "one", "two")


def features_of(lower, images):
    """Return the features of images through tfl's own pipeline, without the estimator."""
    source = tfl.load_data((images, np.arange(len(images)) % 2)).source
    order = np.argsort(source.index.ids.astype(int))
    return np.asarray(tfl.Extractor(lower, source, 32)(np.arange(len(images))).values)[order]


def test_the_folds_choose_l2_and_the_temperature_on_all_examples(classifier, digits):
    images, classes = digits
    fitted = classifier.fit(images, classes)
    lower, head = split_at_features(fitted.model_)
    features, numbers = features_of(lower, images), np.unique(classes, return_inverse=True)[1]
    order = np.lexsort((np.arange(len(numbers)), numbers))  # an index sorts by class, and folds depend on the order
    expected = tfl.cross_validate_head(features[order], numbers[order], folds=3)
    assert fitted.l2_ == pytest.approx(expected.chosen.l2, rel=1e-4)
    assert fitted.model_.metadata.temperature != 1
    np.testing.assert_allclose(head.predict(features, verbose=0), expected.chosen.logits(features), atol=2e-2)


def test_a_grid_search_in_a_pipeline_runs_the_backbone_once_over_each_image(classifier, digits, monkeypatch):
    images, classes = digits
    computed = []
    compute = tfl.Extractor._compute

    def noting(self, rows, view, description):
        computed.extend(self._key(row, view) for row in rows)
        return compute(self, rows, view, description)

    monkeypatch.setattr(tfl.Extractor, "_compute", noting)
    inverted = FunctionTransformer(lambda pixels: 255 - pixels)
    pipeline = Pipeline([("invert", inverted), ("network", classifier)])
    search = GridSearchCV(pipeline, {"network__l2": np.logspace(-6, 2, 3)}, cv=3).fit(images, classes)
    assert search.best_params_["network__l2"] < 1  # the strongest λ leaves a constant
    assert search.score(images, classes) > 0.9
    assert np.ptp(search.cv_results_["mean_test_score"]) > 0.1
    assert len(computed) == len(set(computed)) == len(np.unique(images, axis=0))


def test_fine_tuning_holds_out_a_share_and_changes_the_backbone(classifier, digits):
    images, classes = digits
    classifier.set_params(l2=0.01)  # too strong for the frozen features, so that fine-tuning is better
    tuned = clone(classifier).set_params(
        epochs=4, unfreeze=1, learning_rate=3e-3, augmentation="none", options={"finetune.schedule": "constant"}
    )
    tuned.fit(images, classes)
    frozen = clone(classifier).fit(images, classes)
    assert (tuned.is_frozen_, frozen.is_frozen_) == (False, True)
    temperatures = [each.model_.metadata.temperature for each in (tuned, frozen)]
    assert temperatures[0] != 1 and temperatures[1] == 1  # the share that was held out gives it
    below = [split_at_features(each.model_)[0] for each in (tuned, frozen)]
    assert weights_fingerprint(below[0]) != weights_fingerprint(below[1])
    assert tuned.config_.finetune.schedule == "constant"
    copy = pickle.loads(pickle.dumps(tuned))
    np.testing.assert_array_equal(copy.predict_proba(images), tuned.predict_proba(images))


def test_a_regressor_solves_ridge_regression(digits, tmp_path):
    images, _ = digits
    values = np.stack([images.mean(axis=(1, 2)), 1000 - images[:, :4].mean(axis=(1, 2))], axis=1)
    regressor = tfl.TransferRegressor(**SMALL, store=str(tmp_path / "store"), l2=1e-4)
    for targets in (values, values[:, 0]):
        fitted = clone(regressor).fit(images, targets)
        features = features_of(split_at_features(fitted.model_)[0], images)
        scale = targets.std(axis=0)
        oracle = Ridge(alpha=1e-4 * targets.size, solver="svd").fit(features, targets / scale)
        predicted = fitted.predict(images)
        np.testing.assert_allclose(predicted / scale, oracle.predict(features), atol=2e-3)
        assert predicted.shape == targets.shape and np.ptp(predicted / scale, axis=0).min() > 1


def test_the_defaults_are_those_of_a_run():
    parameters = inspect.signature(tfl.TransferClassifier).parameters
    config = TransferConfig()
    differ = {name for name, path in PARAMETERS.items() if parameters[name].default != value_of(config, path)}
    assert differ == {"folds"}  # a run has a validation split
    assert parameters.keys() == PARAMETERS.keys() | {"validation_fraction", "options", "verbose"}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"l2": -1.0}, "`l2` must be at least 0. Received: l2=-1.0."),
        ({"backbone": "MobilNet"}, "`backbone` must be a known name.* Did you mean 'MobileNet'?"),
        ({"image_size": 8}, "`image_size` must be at least 32 for MobileNet. Received: image_size=8."),
        ({"epochs": 1, "unfreeze": "nothing"}, "`unfreeze` must be a known name"),
        ({"epochs": 1, "validation_fraction": 1.5}, "`validation_fraction` must be between 0 and 1"),
        ({"options": {"finetune.lr": 1}}, "Did you mean 'finetune.learning_rate'?"),
        ({"options": {"finetune.epochs": 1}}, "set the parameter 'epochs'"),
        ({"options": {"task.name": "binary"}}, "options that an estimator has. Received: 'task.name'"),
    ],
)
def test_errors_name_the_parameters(classifier, digits, changes, message):
    with pytest.raises(InputError) as caught:
        classifier.set_params(**changes).fit(*digits)
    head, _, tail = message.partition(".*")
    assert head in str(caught.value) and tail in str(caught.value) and "\n" not in str(caught.value)


def test_errors_name_x_and_y(classifier, digits):
    images, classes = digits
    with pytest.raises(InputError, match=r"`X` must be usable image files. Received: .*gone.png"):
        classifier.fit(["gone.png", "gone.png"], ["a", "b"])
    with pytest.raises(InputError, match=r"`X` must have one column of paths. Received: 2 columns"):
        classifier.fit(pd.DataFrame({"a": ["x"], "b": ["y"]}), ["a"])
    with pytest.raises(InputError, match=r"`X` must be paths, all of them. Received: 3 at row 1"):
        classifier.fit(["x", 3], ["a", "b"])
    with pytest.raises(InputError, match=r"`y` must have at least two classes. Received: 1 class"):
        classifier.fit(images, ["a"] * len(images))
    with pytest.raises(InputError, match=r"`y` must be given"):
        classifier.fit(images, None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        classifier.fit(images, classes[:-1])
    with pytest.raises(NotFittedError):
        classifier.predict(images)


def test_nothing_but_warnings_is_said_unless_asked(classifier, digits, capsys):
    classifier.fit(*digits).predict(digits[0])
    assert "features" not in capsys.readouterr().err
    classifier.set_params(verbose=True).fit(*digits)
    assert "head: λ = " in capsys.readouterr().err
    classifier.set_params(verbose=False, unfreeze="2").fit(*digits)
    assert capsys.readouterr().err.strip().splitlines() == [
        "Warning: finetune.unfreeze='2' has no effect, because finetune.epochs is 0."
    ]


def test_a_fit_that_is_stopped_does_not_promise_to_continue(classifier, digits, monkeypatch):
    def stop(run):
        raise tfl.StoppedError("the same command continues from there", 2)

    monkeypatch.setattr("tfl.estimators.base.fit_phases", stop)
    with pytest.raises(KeyboardInterrupt, match="signal 2 stopped the fit"):
        classifier.fit(*digits)
    assert not hasattr(classifier, "model_")
