"""Labels and groups from the names of files, by regular expressions."""

from collections.abc import Sequence

from tfl import progress
from tfl.config.values import compile_pattern
from tfl.errors import InputError
from tfl.registry import natural_key


def read_names(pattern: str, role: str, paths: Sequence[str], source: str) -> list[str]:
    r"""Return what a pattern finds in each path, "" where it finds nothing.

    The pattern may match anywhere in the path (`re.search`). Its value is the group of the name `role`, or its first
    group.

    Args:
        pattern: a regular expression with at least one group.
        role: "label" or "group": what the pattern finds.
        paths: N paths relative to the folder or table, with slashes.
        source: for messages.

    Raises:
        InputError: the pattern finds nothing in any of the paths.

    Example:
        >>> read_names(r"(?P<label>[a-z]+)_\d+\.jpg", "label", ["cat_1.jpg", "old/dog_2.jpg", "README"], "folder:pets")
        ['cat', 'dog', '']
    """
    compiled = compile_pattern(pattern, f"data.{role}_pattern", role)
    group = role if role in compiled.groupindex else 1
    found = [((match[group] or "").strip() if match else "") for match in map(compiled.search, paths)]
    if not any(found):
        example = f"{len(paths)} files, the first: {min(paths, key=natural_key)}" if paths else "no files"
        raise InputError(
            f"`data.{role}_pattern` must match the path of at least one file, relative to the source. "
            f"Received: {pattern!r} for {source} with {example}."
        )
    return found


def read_groups(pattern: str, paths: Sequence[str], source: str) -> list[str] | None:
    """Return the group of each path, None without a pattern; one line says how many paths have none.

    Raises:
        InputError: the pattern finds nothing in any of the paths.
    """
    if not pattern:
        return None
    groups = read_names(pattern, "group", paths, source)
    without = [path for path, group in zip(paths, groups, strict=True) if not group]
    if without:
        progress.say(
            f"`data.group_pattern` does not match {len(without)} of {len(paths)} files, which are in no group; "
            f"the first is {without[0]}."
        )
    return groups
