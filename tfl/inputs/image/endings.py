"""Which files may be images by their endings, to find the folders of classes; it needs no TensorFlow."""

NOUN = ("image", "images")  # of one example and of several

OF_OTHER_FILES = {  # endings of files that are not images; a file without an ending may be one
    *(".txt", ".csv", ".tsv", ".json", ".jsonl", ".xml", ".yaml", ".yml", ".toml", ".md", ".rst", ".html", ".htm"),
    *(".pdf", ".doc", ".docx", ".xls", ".xlsx", ".mat", ".npy", ".npz", ".pkl", ".parquet", ".h5", ".hdf5", ".keras"),
    *(".pb", ".tflite", ".onnx", ".pt", ".pth", ".py", ".ipynb", ".r", ".m", ".sh", ".c", ".cpp", ".h", ".zip", ".gz"),
    *(".tar", ".tgz", ".7z", ".rar", ".log", ".cfg", ".ini", ".names", ".mp4", ".avi", ".mov", ".wav", ".mp3"),
}


BANDS = (".npy", ".tif", ".tiff")  # of images of more than three channels


def may_be_bands(suffix: str) -> bool:
    """Return whether files with an ending may be images of more than three channels."""
    return suffix.lower() in BANDS


def may_be_image(suffix: str) -> bool:
    """Return whether files with an ending such as ".jpg" may be images; a file without an ending may be one."""
    return suffix.lower() not in OF_OTHER_FILES
