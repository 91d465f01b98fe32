"""The versions and devices that a result depends on, for `--verbose` and for the report."""

import importlib.metadata
import platform

from tfl.version import VERSION

PACKAGES = ("tensorflow", "keras", "numpy", "scikit-learn")


def python_version() -> str:
    """Return the version of Python and the system, such as "3.11.2 on Linux x86_64"."""
    return f"{platform.python_version()} on {platform.system()} {platform.machine()}"


def package_versions() -> str:
    """Return the versions of tfl and of the packages that it computes with; none of them is imported.

    Example:
        >>> package_versions().split(", ")[1].startswith("tensorflow ")
        True
    """
    versions = [("tfl", VERSION)]
    for name in PACKAGES:
        try:
            versions.append((name, importlib.metadata.version(name)))
        except importlib.metadata.PackageNotFoundError:  # such as a TensorFlow that has another name
            versions.append((name, "of an unknown version"))
    return ", ".join(" ".join(pair) for pair in versions)


def device_names() -> str:
    """Return the names of the devices that TensorFlow finds, such as "CPU:0, GPU:0 (NVIDIA H100)"."""
    import tensorflow as tf

    names = []
    for device in tf.config.list_physical_devices():
        model = tf.config.experimental.get_device_details(device).get("device_name", "")
        names.append(device.name.removeprefix("/physical_device:") + (f" ({model})" if model else ""))
    return ", ".join(names)
