"""docs/running.md against the code: the checks it lists, the commands it shows, the files it names."""

import re
import shlex
from pathlib import Path

from django.core.management import get_commands, load_command_class

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "running.md").read_text()


def test_every_check_is_listed_and_no_other():
    source = "".join(path.read_text() for path in ROOT.glob("*/checks.py"))
    assert set(re.findall(r"photorally\.[EW]\d+", PAGE)) == set(re.findall(r"photorally\.[EW]\d+", source))


def test_every_command_shown_exists_and_takes_these_arguments():
    shown = re.findall(r"manage\.py (\S+)([^`\n#]*)", PAGE)
    assert len(shown) >= 6
    for name, arguments in shown:
        if name not in get_commands():
            continue  # "manage.py exits", in a sentence
        parser = load_command_class(get_commands()[name], name).create_parser("manage.py", name)
        parser.parse_args(shlex.split(arguments))


def test_every_make_target_named_exists():
    targets = set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert set(re.findall(r"make ([a-z]+)", PAGE)) <= targets


def test_every_file_linked_exists():
    for link in re.findall(r"\]\(([^)#]+)\)", PAGE):
        assert (ROOT / "docs" / link).exists(), link


FILES = (
    *("metrics.json", "learning-curves.svg", "confusion.svg", "model-card.md", "croissant.json"),
    "events.out.tfevents.night",
)
NIGHT_PAGE = (ROOT / "docs" / "what-a-night-leaves.md").read_text()


def test_the_page_on_what_a_night_leaves_names_every_file_and_its_commands_work():
    from training import dataset, leave

    named = set(re.findall(r"^\| `([a-z][^`]*)` \|", NIGHT_PAGE, re.MULTILINE))
    assert named == {*FILES, *dataset.FORMATS} and leave.TENSORBOARD in named
    for name, arguments in re.findall(r"manage\.py (\S+) (--[^`\n]*)", NIGHT_PAGE):
        load_command_class(get_commands()[name], name).create_parser("manage.py", name).parse_args(shlex.split(arguments))
