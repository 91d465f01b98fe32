"""Which files may be texts, known without TensorFlow."""

NOUN = ("text", "texts")
CELL = "text"
_ENDINGS = ("", ".txt", ".text", ".md")


def may_be_text(suffix: str) -> bool:
    """Return whether files with an ending may be texts.

    Example:
        >>> may_be_text(".TXT"), may_be_text(".jpg")
        (True, False)
    """
    return suffix.lower() in _ENDINGS
