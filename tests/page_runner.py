"""Run the code of a page of the documentation, and compare what it prints with what the page says.

The ```` ```python ```` blocks of a page are one program, run from top to bottom. What is stated is checked: the comment
behind a ``print(...)`` has to begin with what was printed (words may follow), and a ```` ```text ```` block right after
a block of code is all that the code before it printed. Integers and words must be equal; numbers with a decimal point
may differ by `TOLERANCE`, because another instruction set trains to other weights.

Words behind ``python`` change that: ``needs=NAME`` runs the block only where a package can be imported, ``sketch``
compiles it and does not run it.
"""

import ast
import contextlib
import importlib.util
import io
import re
import sys
from dataclasses import dataclass, field

PRINT = "_checked_print"  # in the namespace of a page
TOLERANCE = 0.05  # absolute, and relative above 1
_FENCE = re.compile(r"^```(\S*)[ ]*(.*)$")
_TOKEN = re.compile(r"[-+]?(?:\d+\.\d*|\.\d+)(?:e[-+]?\d+)?|[-+]?\d+|[A-Za-z_]+")


@dataclass
class Block:
    """A block of code: its first row in the page (from 1), its text, the words behind ``python``, its stated output."""

    row: int
    text: str
    words: list
    output: str | None = None
    printed: list = field(default_factory=list)


def read_blocks(path):
    """Return the blocks of Python code of a page."""
    blocks, lines, opened, previous = [], path.read_text(encoding="utf-8").splitlines(), None, None
    for row, line in enumerate(lines, start=1):
        fence = _FENCE.match(line)
        if opened is None and fence:
            opened = (fence[1], fence[2].split(), row)
        elif opened is not None and line == "```":
            language, words, first = opened
            text = "\n".join(lines[first : row - 1])
            if language == "python":
                previous = Block(first + 1, text, words)
                blocks.append(previous)
            elif language == "text" and previous is not None:
                previous.output = text
                previous = None
            opened = None
        elif opened is None and line.strip():
            previous = None
    assert opened is None, f"{path}:{opened[2]}: this block has no end"
    return blocks


def run_page(path):
    """Run all blocks of a page in one namespace and check what they print."""
    namespace = {"__name__": "__main__"}
    for block in read_blocks(path):
        # Rows of error messages are those of the page.
        tree = ast.parse("\n" * (block.row - 1) + block.text, str(path))
        packages = [word.removeprefix("needs=") for word in block.words if word.startswith("needs=")]
        if "sketch" in block.words or not all(importlib.util.find_spec(name) for name in packages):
            compile(tree, str(path), "exec")
            continue
        output = io.StringIO()
        namespace[PRINT] = checked = CheckedPrint(path, _take_over_prints(tree, block))
        with contextlib.redirect_stdout(output):
            exec(compile(ast.fix_missing_locations(tree), str(path), "exec"), namespace)
        never = sorted(set(checked.stated) - checked.seen)
        assert not never, f"{path}: the code never prints what the page says in rows {never}"
        if block.output is not None:
            check(block.output, output.getvalue(), f"{path}:{block.row}", prefix=False)


class CheckedPrint:
    """Stands in for print in the calls whose output the page states, by the row of their end."""

    def __init__(self, path, stated):
        self.path, self.stated, self.seen = path, stated, set()

    def __call__(self, row, *values, **keywords):
        output = io.StringIO()
        print(*values, file=output, **keywords)
        self.seen.add(row)
        check(self.stated[row], output.getvalue(), f"{self.path}:{row}", prefix=True)
        sys.stdout.write(output.getvalue())


def _take_over_prints(tree, block):
    """Have `CheckedPrint` called wherever there is a comment behind a print; return the comments by their rows."""
    lines, stated = ("\n" * (block.row - 1) + block.text).splitlines(), {}
    for statement in ast.walk(tree):
        comment = _stated_behind(statement, lines)
        if comment is not None:
            call, row = statement.value, statement.end_lineno
            call.func, call.args, stated[row] = ast.Name(PRINT, ast.Load()), [ast.Constant(row), *call.args], comment
    return stated


def _stated_behind(statement, lines):
    """Return the comment behind a call of print, or None."""
    is_print = (
        isinstance(statement, ast.Expr)
        and isinstance(statement.value, ast.Call)
        and getattr(statement.value.func, "id", None) == "print"
    )
    if not is_print:
        return None
    behind = lines[statement.end_lineno - 1].encode()[statement.end_col_offset :].decode().strip()
    return behind.removeprefix("#").strip() if behind.startswith("#") else None


def check(stated, printed, place, *, prefix):
    """Raise unless the tokens that were printed are the stated ones, or the first of these."""
    expected, found = _TOKEN.findall(stated), _TOKEN.findall(printed)
    is_alike = found and (len(expected) >= len(found) if prefix else len(expected) == len(found))
    is_alike = is_alike and all(_agree(*pair) for pair in zip(expected, found, strict=False))
    assert is_alike, f"{place}: the page says {stated!r}, the code prints {printed!r}"


def _agree(stated, found):
    if "." in stated and re.fullmatch(r"[-+]?[\d.]+(?:e[-+]?\d+)?", found):
        return abs(float(stated) - float(found)) <= TOLERANCE * max(1.0, abs(float(stated)))
    return stated == found
