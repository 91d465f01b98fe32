"""The page of all public names of tfl, with their signatures and docstrings, read from the source without an import."""

import ast
import re
import textwrap
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
Definition = ast.FunctionDef | ast.ClassDef | ast.Assign | ast.AnnAssign
SECTION = re.compile(r"^(Args|Returns|Raises|Yields|Attributes|Example|Reference|References):\s*(.*)$")
WIDTH = 100  # of a signature in one line


def page() -> str:
    """Return the page in Markdown."""
    groups = list(_groups())
    lines = [
        "# Python",
        "",
        "Every public name of `tfl`, from its docstring. The examples run in a test. Written by `make reference`. "
        "[The guide to tfl in Python](../how-to/python.md) shows how the parts work together.",
    ]
    for package, names in groups:
        links = ", ".join(f"[`{name}`](#tfl{name.lower()})" for name in names)
        lines += ["", f"**{package}**: {links}"]
    for _, names in groups:
        for name, module in names.items():
            lines += ["", f"## tfl.{name}", "", *_describe(name, module)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)) + "\n"


def _groups() -> Iterator[tuple[str, dict[str, str]]]:
    """Yield each package of tfl with its public names, and the module that `tfl/__init__.py` imports each from."""
    tree = ast.parse((ROOT / "tfl" / "__init__.py").read_text("utf-8"))
    (block,) = (node for node in tree.body if isinstance(node, ast.With))
    groups: dict[str, dict[str, str]] = {}
    for node in block.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            package = ".".join(node.module.split(".")[:2])
            groups.setdefault(package, {}).update({alias.name: node.module for alias in node.names})
    yield from groups.items()


def _describe(name: str, module: str) -> Iterator[str]:
    """Yield the lines about a public name."""
    definition = _find(name, module)
    yield from ["```text", _signature(definition, name), "```", ""]
    yield from _markdown(ast.get_docstring(definition) or "") if not _is_value(definition) else ()
    if not isinstance(definition, ast.ClassDef):
        return
    for child in definition.body:
        is_public = isinstance(child, ast.FunctionDef) and not child.name.startswith("_")
        if is_public and (text := ast.get_docstring(child)):
            yield from ["", f"### {name}.{child.name}", "", "```text", _signature(child, child.name), "```", ""]
            yield from _markdown(text)


def _find(name: str, module: str) -> Definition:
    """Return the definition of a name, wherever the modules import it from."""
    base = ROOT.joinpath(*module.split("."))
    file = base / "__init__.py" if base.is_dir() else base.with_suffix(".py")
    body = ast.parse(file.read_text("utf-8")).body
    lazy = [child for node in body if isinstance(node, ast.With) for child in node.body]
    for node in [*body, *lazy]:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name == name:
            return node
        if isinstance(node, ast.ImportFrom) and node.module and name in {a.asname or a.name for a in node.names}:
            return _find(name, node.module)
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == name for t in node.targets):
            return node
    raise LookupError(f"no definition of {name} in {module}")


def _is_value(definition: Definition) -> bool:
    return isinstance(definition, (ast.Assign, ast.AnnAssign))


def _signature(definition: Definition, name: str) -> str:
    """Return the signature, on one line if it is short."""
    if isinstance(definition, ast.FunctionDef):
        properties = {ast.unparse(decorator) for decorator in definition.decorator_list}
        returns = f" -> {ast.unparse(definition.returns)}" if definition.returns else ""
        if "property" in properties:
            return f"{name}{returns}"
        return _call(name, _arguments(definition.args), returns)
    if isinstance(definition, ast.ClassDef):
        for child in definition.body:
            if isinstance(child, ast.FunctionDef) and child.name == "__init__":
                return "class " + _call(name, _arguments(child.args), "")
        fields = [_field(node) for node in definition.body if isinstance(node, ast.AnnAssign)]
        bases = ", ".join(ast.unparse(base) for base in definition.bases)
        return "class " + (_call(name, fields, "") if fields else f"{name}({bases})")
    return ast.unparse(definition)


def _field(node: ast.AnnAssign) -> str:
    """Return a field of a dataclass; of what a call such as `option(0, ...)` says, only the default."""
    value, declared = node.value, f"{ast.unparse(node.target)}: {ast.unparse(node.annotation)}"
    if isinstance(value, ast.Call):
        value = value.args[0] if value.args and isinstance(value.args[0], ast.Constant) else ast.Constant(...)
    return declared if value is None else f"{declared} = {ast.unparse(value)}"


def _arguments(arguments: ast.arguments) -> list[str]:
    """Return the arguments of a function, without `self` and `cls`."""
    text = [ast.unparse(arg) for arg in [*arguments.posonlyargs, *arguments.args]]
    first_default = len(text) - len(arguments.defaults)
    for number, default in enumerate(arguments.defaults, start=first_default):
        text[number] += f"={ast.unparse(default)}" if ":" not in text[number] else f" = {ast.unparse(default)}"
    if arguments.vararg:
        text.append(f"*{ast.unparse(arguments.vararg)}")
    elif arguments.kwonlyargs:
        text.append("*")
    for arg, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        text.append(ast.unparse(arg) + (f" = {ast.unparse(default)}" if default else ""))
    if arguments.kwarg:
        text.append(f"**{ast.unparse(arguments.kwarg)}")
    return [word for word in text if word not in ("self", "cls")]


def _call(name: str, arguments: list[str], returns: str) -> str:
    line = f"{name}({', '.join(arguments)}){returns}"
    if len(line) <= WIDTH:
        return line
    return f"{name}(\n" + "".join(f"    {argument},\n" for argument in arguments) + f"){returns}"


def _markdown(docstring: str) -> Iterator[str]:
    """Yield a docstring in Markdown: its sections as bold words, arguments as a list, the example as a block."""
    text, section, body = [], "", []
    for line in [*docstring.splitlines(), "Args:"]:
        if found := SECTION.match(line):
            yield from _section(section, textwrap.dedent("\n".join(body)).strip("\n")) if section else text
            section, body = found[1], [found[2]] if found[2] else []
        else:
            (body if section else text).append(line)


def _section(name: str, body: str) -> Iterator[str]:
    """Yield one section of a docstring."""
    yield from ["", f"**{name}**", ""]
    if name.startswith("Example"):
        yield from ["```pycon", body, "```"]
    elif name in ("Args", "Raises", "Attributes"):
        for entry in re.split(r"\n(?! )", body):
            word, _, meaning = entry.partition(":")
            yield f"- `{word}`: {' '.join(meaning.split())}"
    else:
        yield " ".join(body.split())
