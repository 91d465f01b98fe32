"""Optional packages: what a command needs beyond the packages that are always installed."""

from importlib.util import find_spec

from tfl.errors import InputError
from tfl.version import install_command


def check_extra(command: str, package: str, extra: str) -> None:
    """Refuse a command whose package is not installed; nothing is imported.

    Args:
        command: its name, for the message.
        package: the name under which Python imports the package.
        extra: the extra of this distribution that installs it.

    Raises:
        InputError: the package is not installed.

    Example:
        >>> from tfl.extras import check_extra
        >>> check_extra("report", "jinja2", "docs")
    """
    if find_spec(package) is None:
        raise InputError(
            f"`{command}` must have its packages. Received: {package}, which is not installed. Did you mean to run "
            f"{install_command(extra)}?"
        )
