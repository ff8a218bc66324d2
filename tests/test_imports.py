"""The arrows between the apps, and that TensorFlow stays out of every process but a run's own."""

import ast
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ORDER = ["config", "collector", "training", "newsletter", "demo"]  # each may import itself and what stands before it
HEAVY = {"tensorflow", "keras", "cleanlab", "sklearn", "pandas"}  # cleanlab brings the last two
ADDRESSES_AND_TASKS = {"urls", "api", "views", "admin", "tasks"}
# Modules that stand above the verbs: they may know tasks, because they are the ones that ring.
# A part of an app's admin may be a module of its own, "admin_<part>".
RINGERS = ADDRESSES_AND_TASKS | {
    "apps",
    "receivers",
    "feed",
    "review",
    "probes",
    "tus",
    "import_page",
    "import_calls",
    "workshop_page",
    "reader_api",
    "reader_pages",
    "desk",
    "fame_page",
    "fame_api",
}


def modules(package: str) -> list[Path]:
    """Every Python file of a package, without migrations."""
    return [path for path in sorted((ROOT / package).rglob("*.py")) if "migrations" not in path.parts]


def imported(path: Path, *, at_load: bool = False) -> Iterator[str]:
    """The dotted names that a file imports; with `at_load` only what importing the file itself imports."""
    tree = ast.parse(path.read_text())
    stack: list[ast.AST] = [tree]
    while stack:
        node = stack.pop()
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            yield from (f"{node.module}.{name.name}" for name in node.names)
        lazy = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
        checking = isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING")
        if not (at_load and (lazy or checking)):
            stack.extend(ast.iter_child_nodes(node))


def rings(path: Path) -> bool:
    return path.stem in RINGERS or path.stem.startswith("admin_")


def tops(path: Path) -> set[str]:
    return {name.partition(".")[0] for name in imported(path)}


def local(path: Path) -> str:
    return str(path.relative_to(ROOT))


@pytest.mark.parametrize("package", ORDER)
def test_arrows_between_apps_go_one_way(package):
    above = set(ORDER[ORDER.index(package) + 1 :])
    wrong = {local(path): sorted(tops(path) & above) for path in modules(package) if tops(path) & above}
    assert wrong == {}


def test_the_phone_knows_nothing_of_the_server():
    forbidden = {*ORDER, "django", "rest_framework"}
    wrong = {local(path): sorted(tops(path) & forbidden) for path in modules("clients") if tops(path) & forbidden}
    assert wrong == {}


def test_nothing_that_serves_knows_the_phone_the_bench_or_the_tests():
    for package in ORDER[:-1]:
        for path in modules(package):
            assert not tops(path) & {"clients", "bench", "tests", "demo"}, local(path)


def test_verbs_never_import_tasks():
    wrong = [
        local(path)
        for package in ORDER[1:-1]
        for path in modules(package)
        if not rings(path) and "commands" not in path.parts
        if any(name.split(".")[1:2] == ["tasks"] and name.split(".")[0] in ORDER for name in imported(path))
    ]
    assert wrong == []


def test_verbs_know_no_addresses_and_no_pages():
    wrong = [
        (local(path), name)
        for package in ORDER[1:-1]
        for path in modules(package)
        if not rings(path) and "commands" not in path.parts
        for name in imported(path)
        if name.split(".")[0] in ORDER and name.split(".")[1:2] and name.split(".")[1] in {"urls", "api", "views", "admin"}
    ]
    assert wrong == []


@pytest.mark.parametrize(
    "module",
    [
        "training/gate.py",
        "training/comparison.py",
        "training/caps.py",
        "training/trust.py",
        "training/probe.py",
        "training/recipe.py",
        "training/cohorts.py",
        "training/sequential.py",
        "newsletter/bradley_terry.py",
        "newsletter/ranking.py",
        "newsletter/voters.py",
    ],
)
def test_rules_are_plain_python(module):
    assert not tops(ROOT / module) & {"django", "rest_framework", "celery", *HEAVY, "config", "collector"}


def test_a_module_that_loads_tensorflow_or_cleanlab_is_imported_only_inside_functions():
    loads = {
        path
        for package in ORDER
        for path in modules(package)
        if {n.partition(".")[0] for n in imported(path, at_load=True)} & HEAVY
    }
    names = {local(path).removesuffix(".py").replace("/", ".") for path in loads}
    for package in ORDER:
        for path in modules(package):
            found = {name for name in imported(path, at_load=True) if any(name == n or name.startswith(f"{n}.") for n in names)}
            assert path in loads or not found, f"{local(path)} loads what is heavy through {sorted(found)}"


ENDING = f"""
import sys
heavy = sorted({{name.partition(".")[0] for name in sys.modules}} & {HEAVY | {"ai_edge_litert"}})
assert not heavy, heavy
"""
WEB = """
import config.wsgi
from django.urls import get_resolver
from django.contrib import admin
def visit(patterns):
    for pattern in patterns:
        if hasattr(pattern, "url_patterns"):
            visit(pattern.url_patterns)
        else:
            assert pattern.callback
visit(get_resolver().url_patterns)
"""
CELERY = """
from config.celery import app
app.loader.import_default_modules()
wanted = {"config.sweep", "collector.develop", "training.run", "newsletter.deliver"}
assert wanted <= set(app.tasks), sorted(app.tasks)
from config import duties
assert len(duties.DUTIES) >= 4
"""
BEAT = """
from config.celery import app
from celery.beat import Service
service = Service(app, schedule_filename=sys.argv[1])
assert "sweep" in service.scheduler.get_schedule()
"""


@pytest.mark.parametrize(("process", "code"), [("web", WEB), ("worker", CELERY), ("beat", BEAT)])
def test_tensorflow_is_never_loaded_by(process, code, tmp_path):
    command = [sys.executable, "-c", f"import sys\n{code}\n{ENDING}", str(tmp_path / "schedule")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


@pytest.mark.django_db(transaction=True)
def test_tensorflow_is_never_loaded_by_the_embedded_worker(live_photo):
    live_photo(state="received")
    code = (
        "import sys, django\ndjango.setup()\n"
        "from django.core.management import call_command\n"
        "call_command('work', '--once')\n" + ENDING
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**os.environ},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("1 rows handled"), done.stdout
