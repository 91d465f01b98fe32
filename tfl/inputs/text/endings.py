"""Which files may be texts, known without TensorFlow."""

NOUN = ("text", "texts")
CELL = "text"
BETWEEN = "\t"  # the two texts of a pair; for a tokenizer a tab is a blank
_ENDINGS = ("", ".txt", ".text", ".md")


def may_be_text(suffix: str) -> bool:
    """Return whether files with an ending may be texts.

    Example:
        >>> may_be_text(".TXT"), may_be_text(".jpg")
        (True, False)
    """
    return suffix.lower() in _ENDINGS


def join_pair(first: str, second: str) -> str:
    r"""Return two texts as one example, with a tab between them; "" if one of them is empty.

    Example:
        >>> join_pair("Is it\tgood?", "Yes.")
        'Is it good?\tYes.'
    """
    parts = [part.replace(BETWEEN, " ").strip() for part in (first, second)]
    return BETWEEN.join(parts) if all(parts) else ""
