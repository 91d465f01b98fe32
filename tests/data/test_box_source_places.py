"""Boxes move with the pixels of an augmented photo, and what is cut off is no box."""

import numpy as np
import tensorflow as tf

from tfl.data import load_data
from tfl.data.boxes.source import BoxSource
from tfl.inputs import Geometry
from tfl.tasks import get_task


def test_boxes_move_with_their_pixels(tmp_path):
    from drawn_boxes import write_boxes

    folder = write_boxes(tmp_path / "boxes", {"train": 2, "val": 1, "test": 1})
    source = load_data(f"boxes:{folder}", labels=get_task("detection").labels).source
    assert isinstance(source, BoxSource) and source.labels_have_places
    label = tf.constant([[0.25, 0.5, 0.5, 1.0, 1.0], [0.8, 0.1, 0.9, 0.2, 0.0], [0, 0, 0, 0, -1]])
    half = Geometry.crop(64, tf.constant([0.0, 0.0]), tf.constant([1.0, 0.5]))  # the left half
    np.testing.assert_allclose(source.prepare_label(label, 64)[0], [16, 32, 32, 64, 1])
    moved = source.prepare_label(label, 64, half.flipped(tf.constant(True))).numpy()
    np.testing.assert_allclose(moved[0], [0, 32, 32, 64, 1], atol=1e-4)
    assert moved[1:].tolist() == [[0, 0, 0, 0, -1]] * 2
