"""`python -m bench PART`: run one benchmark, or say which there are.

A part is a module beside this one with `measure() -> dict` in the shape of var/bench/<part>.json:
{"part", "settings", "rows": [{…}], "claims": [{"claim", "value", "goal", "holds"}]}.
Modules that start with `_` and packages are no parts: they are what parts stand on.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path
from typing import Any

import bench

ROOT = Path(__file__).resolve().parent.parent


def parts() -> list[str]:
    found = pkgutil.iter_modules(bench.__path__)
    return sorted(module.name for module in found if not module.name.startswith("_") and not module.ispkg)


def table(rows: list[dict[str, Any]]) -> str:
    """Rows under their names, numbers to the right; rows with other columns get a heading of their own."""
    lines: list[str] = []
    for at, row in enumerate(rows):
        alike = [other for other in rows if other.keys() == row.keys()]
        widths = {name: max(len(str(value)) for value in (name, *(other[name] for other in alike))) for name in row}
        if at == 0 or rows[at - 1].keys() != row.keys():
            lines += ["", _line({name: name for name in row}, widths, row)]
        lines.append(_line(row, widths, row))
    return "\n".join(lines)


def _line(cells: dict[str, Any], widths: dict[str, int], row: dict[str, Any]) -> str:
    def aligned(name: str) -> str:
        number = isinstance(row[name], int | float)
        return f"{cells[name]!s:>{widths[name]}}" if number else f"{cells[name]!s:<{widths[name]}}"

    return "  ".join(aligned(name) for name in cells).rstrip()


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in parts():
        there = f"PART is one of {', '.join(parts())}: make bench PART={parts()[0]}" if parts() else "No part exists yet."
        print(there, file=sys.stderr)
        return 2
    result = importlib.import_module(f"bench.{arguments[0]}").measure()
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{arguments[0]}.json").write_text(json.dumps(result, indent=2) + "\n")
    for name, value in result["settings"].items():
        print(f"{name}: {value}")
    print(table(result["rows"]) + "\n")
    for claim in result["claims"]:
        print(f"{'holds' if claim['holds'] else 'FAILS'}  {claim['claim']}: {claim['value']} (goal {claim['goal']})")
    return 0 if all(claim["holds"] for claim in result["claims"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
