"""The command `tfl`, also as `python -m tfl`: it imports the module of one subcommand, and no other."""

import importlib
import sys
from pathlib import Path

from tfl.commands import COMMANDS
from tfl.registry import did_you_mean
from tfl.version import DISTRIBUTION, VERSION

# What other libraries call these commands.
ELSEWHERE = {"fit": "train", "finetune": "train", "test": "evaluate", "val": "evaluate", "infer": "predict"}


def main() -> None:
    """Run the command that `sys.argv` names."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("--help", "-h", "help"):
        sys.stdout.write(usage())
    elif name == "--version":
        sys.stdout.write(f"tfl {VERSION} ({DISTRIBUTION})\n")
    elif name not in COMMANDS:
        sys.stderr.write(f"The command must be one of {', '.join(COMMANDS)}. Received: {name!r}.{_hint(name)}\n")
        sys.exit(2)
    else:
        module = importlib.import_module(f"tfl.commands.{name}")
        sys.argv[:] = [f"tfl {name}", *("--help" if word == "-h" else word for word in words[:1]), *words[1:]]
        sys.modules["__main__"].__doc__ = module.__doc__  # the text above the flags in --help
        module.run()


def usage() -> str:
    """Return the list of the commands."""
    lines = [f"  {name:<10} {help}" for name, help in COMMANDS.items()]
    return "\n".join(["tfl COMMAND [WORDS] [--FLAG=VALUE]", "", *lines, "", "tfl COMMAND --help lists the flags.", ""])


def _hint(name: str) -> str:
    if Path(name).exists():
        return f" Did you mean 'tfl train {name}'?"
    return f" Did you mean '{ELSEWHERE[name]}'?" if name in ELSEWHERE else did_you_mean(name, COMMANDS)


if __name__ == "__main__":
    main()
