"""The options that say where the images come from, and how they are read, split and batched."""

import dataclasses

from tfl.config.names import AUGMENTATIONS
from tfl.config.option import AT_LEAST_ONE, NOT_NEGATIVE, SHARE, Between, OneOf, OrChosen, Place, Switch, option
from tfl.config.values import (
    GROUP_PATTERN,
    LABEL_PATTERN,
    SOURCE,
    SPLIT,
    SPLIT_RULES,
    TABLE_COLUMNS,
    TFDS_SPLITS,
    WINDOW,
)


@dataclasses.dataclass
class DataConfig:
    """Where the images come from, and how they are cut into splits and batches.

    Example:
        >>> config = tfl.TransferConfig(data=DataConfig(source="folder:photos", image_size=160))
        >>> config.validate().data.split
        (0.7, 0.15, 0.15)
    """

    source: str = option("digits", SOURCE, "Where tfl reads the labelled images from.")
    columns: str = option(
        "", TABLE_COLUMNS, "Columns of a table, as in path=file,label=red+green,group=patient; empty: by usual names."
    )
    label_pattern: str = option(
        "", LABEL_PATTERN, "Regular expression whose group is the label in the path of a file; empty: no label there."
    )
    group_pattern: str = option(
        "", GROUP_PATTERN, "The same for the group; files of one group are never in two splits."
    )
    tfds_splits: str = option(
        "", TFDS_SPLITS, "Splits of tfds that are used as train, validation and test; empty: those with such names."
    )
    tfds_dir: str = option(
        "default",
        Place("a folder", ("default",)),
        "The data_dir of tfds; default: TFDS_DATA_DIR, or the folder of tfds.",
    )
    decisions: str = option(
        "none",
        Place("a file", ("none",)),
        "A table of decisions (id, decision, label) about examples to exclude or relabel.",
    )
    groups: str = option(
        "none",
        Place("a file", ("none",)),
        "A table (id, group) of examples that are never in two splits, as near_duplicates.csv of an audit.",
    )
    image_size: int = option(
        0,
        OrChosen(high=960_000),
        "Pixels per side (at most 4,096), pieces of a text or samples of a clip; 0: as the backbone was pre-trained; "
        "-1: tfl chooses, for texts and clips.",
    )
    batch_size: int = option(32, AT_LEAST_ONE, "Images in one training step, over all replicas together.")
    split: tuple[float, float, float] = option(
        (0.7, 0.15, 0.15), SPLIT, "Shares of train, validation and test, for a source that has no splits."
    )
    split_by: str = option(
        "class",
        Place("the splits.csv or the workdir of another run", SPLIT_RULES),
        "What decides the split: class by class at random, a hash of the content, the time, or another run.",
    )
    train_examples_per_class: int = option(0, NOT_NEGATIVE, "Training images that are used of each class; 0: all.")
    max_bad_fraction: float = option(0.1, SHARE, "The run stops if more than this share of the files cannot be read.")
    channels: int = option(3, Between(3, 512), "Channels of an image; more than 3: .npy or TIFF files of so many.")
    bit_depth: int = option(16, Between(8, 16), "Bits that values in 16-bit PNG files use; 12: values up to 4,095.")
    window: tuple[float, ...] = option(
        (), WINDOW, "Values (low, high) in image files that become 0 and 255, as in radiology; empty: the whole range."
    )
    scaled_decoding: bool = option(
        False,
        Switch(),
        "Decode much larger JPEG photos at a half, quarter or eighth of their size: faster, less exact.",
    )
    augmentation: str = option(
        "light", OneOf(AUGMENTATIONS), "Random changes of the images in fine-tuning; shift: light without the flip."
    )
