"""The version of tfl, and the name under which it is installed."""

VERSION = "0.1.0"
DISTRIBUTION = "tfl-transfer"  # the name `tfl` on the package index belongs to another project


def install_command(extra: str) -> str:
    """Return the command that installs the packages of an extra.

    Example:
        >>> install_command("serve")
        "pip install 'tfl-transfer[serve]'"
    """
    return f"pip install '{DISTRIBUTION}[{extra}]'"
