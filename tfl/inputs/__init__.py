"""Inputs: the kinds of example that a model can take. An input says how raw data becomes what the model sees.

    get_input("image").sized(224).prepare(tf.io.read_file("ant.jpg"))

The other packages use only what an input declares. To add one, write a subclass of `Input` and call `register_input`.
Each name is imported when it is first used: `tfl.inputs.files` imports no TensorFlow.
"""
# ruff: noqa: F401

from etils import epy

with epy.lazy_api_imports(globals()):
    from tfl.inputs.batches import input_of
    from tfl.inputs.geometry import Geometry
    from tfl.inputs.image.image_input import ImageInput
    from tfl.inputs.input import Input, Scanned
    from tfl.inputs.known import get_input, input_names, register_input
