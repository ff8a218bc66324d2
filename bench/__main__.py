"""`python -m bench PART`: run one benchmark, or say which there are.

A part is a module beside this one with `measure() -> dict` in the shape of var/bench/<part>.json:
{"part", "settings", "rows": [{…}], "claims": [{"claim", "value", "goal", "holds"}]}.
"""

import importlib
import json
import pkgutil
import sys
from pathlib import Path

import bench

ROOT = Path(__file__).resolve().parent.parent


def parts() -> list[str]:
    return sorted(module.name for module in pkgutil.iter_modules(bench.__path__) if not module.name.startswith("_"))


def main(arguments: list[str]) -> int:
    if len(arguments) != 1 or arguments[0] not in parts():
        there = f"PART is one of {', '.join(parts())}: make bench PART={parts()[0]}" if parts() else "No part exists yet."
        print(there, file=sys.stderr)
        return 2
    result = importlib.import_module(f"bench.{arguments[0]}").measure()
    folder = ROOT / "var" / "bench"
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{arguments[0]}.json").write_text(json.dumps(result, indent=2) + "\n")
    for row in result["rows"]:
        print("  ".join(f"{name}={value}" for name, value in row.items()))
    for claim in result["claims"]:
        print(f"{'holds' if claim['holds'] else 'FAILS'}  {claim['claim']}: {claim['value']} (goal {claim['goal']})")
    return 0 if all(claim["holds"] for claim in result["claims"]) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
