"""Which files may be audio clips, known without TensorFlow."""

NOUN = ("clip", "clips")
ENDINGS = (".wav", ".wave", ".flac", ".ogg", ".oga", ".opus", ".mp3", ".aif", ".aiff")


def may_be_audio(suffix: str) -> bool:
    """Return whether files with an ending may be audio clips.

    Example:
        >>> may_be_audio(".WAV"), may_be_audio(".txt")
        (True, False)
    """
    return suffix.lower() in ENDINGS
