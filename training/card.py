"""EVALUATE → people: the model card of a night (Mitchell et al., "Model Cards for Model Reporting", 2019), as Markdown.

The head is YAML as Hugging Face's hub reads it, so that the file can be published as a README.md beside the model.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from training.account import Account
from training.formats import ALL

NEAR = 10  # confusions listed
STARTS = {
    "none": "the weights that come with this program, which drawn things have taught to see",
    "random": "random weights",
}


def model_card(account: Account) -> bytes:
    """The card, UTF-8."""
    parts = [_head(account), _what(account), _use(), _data(account), _training(account), _quality(account)]
    parts += [_gate(account), _limits(account), _verify(account)]
    return "\n\n".join(parts).encode() + b"\n"


def _head(account: Account) -> str:
    int8 = account.reports.get("int8") or {}
    name, dataset = _quoted(f"{account.slug} {account.slot}"), _quoted(f"snapshot {account.snapshot[:12]}")
    lines = [
        "---",
        "library_name: tflite",
        "pipeline_tag: image-classification",
        "tags: [image-classification, on-device, litert, mobilenet-v2]",
        "metrics: [accuracy, recall]",
    ]
    if int8.get("accuracy") is not None:
        lines += [
            "model-index:",
            f"  - name: {name}",
            "    results:",
            "      - task: {type: image-classification}",
            f"        dataset: {{type: photorally-snapshot, name: {dataset}, split: test}}",
            f"        metrics: [{{type: accuracy, name: int8 accuracy, value: {int8['accuracy']}}}]",
        ]
    return "\n".join([*lines, "---"])


def _what(account: Account) -> str:
    verdict = "passed the gate" if account.verdict.get("passed") else "was refused by the gate: it never reached a phone"
    source = account.backbone.get("source")
    start = STARTS.get(str(source)) or f"weights “{_cell(source)}”"
    return (
        f"# {_cell(account.name)}, night {account.slot}\n\n"
        f"A MobileNetV2 (width {account.backbone.get('alpha', '?')}) that tells {len(account.labels)} labels apart, "
        f"trained from {start} in the night that began on {account.day}. It {verdict}.\n\n"
        f"{_table(('file', 'what it is', 'bytes', 'SHA-256'), [_file(each) for each in account.artifacts])}"
    )


def _file(artifact: Mapping[str, Any]) -> tuple[Any, ...]:
    return artifact["format"], ALL[artifact["format"]].about, artifact["bytes"], f"`{artifact['sha256']}`"


def _use() -> str:
    return (
        "## Intended use\n\n"
        "An app on a phone names the everyday thing in front of its camera, first of all for people who do not see it. "
        "The answer is a suggestion with a probability; the app should say when it is unsure.\n\n"
        "Out of scope: anything where a wrong answer harms somebody (medicines, allergens, the value of money without a second "
        "check), recognising people, surveillance, and things that are not among the labels: the model cannot say “none of "
        "these”."
    )


def _data(account: Account) -> str:
    splits = list(account.counts)
    rows = [(label, *(account.counts[split].get(label, 0) for split in splits)) for label in account.counts_by_label()]
    total = ("all", *(sum(account.counts[split].values()) for split in splits))
    origins = [(each.licence or "–", each.consent or "–", each.source, each.photos) for each in account.origins]
    return (
        f"## Data\n\nSnapshot `{account.snapshot}`: {account.photos} photos that moderators or their importers accepted. "
        "Volunteers agreed to the consent text of that version; a photo can be taken back at any time, and the next night "
        "learns without it. Photos of one volunteer's near-duplicates never lie on both sides of a split. "
        "`croissant.json` describes the list.\n\n"
        f"{_table(('licence', 'consent', 'came by', 'photos'), origins)}\n\n"
        f"{_table(('label', *splits), [total, *rows])}"
    )


def _training(account: Account) -> str:
    backbone = account.backbone
    note = f" {_cell(backbone['note'])}" if backbone.get("note") else ""
    recipe = json.dumps(account.recipe, indent=2, sort_keys=True, ensure_ascii=False)
    return (
        f"## Training\n\nRecipe “{_cell(account.recipe.get('name', '–'))}”, "
        f"backbone SHA-256 `{backbone.get('digest', '–')}`.{note} The pixels go in as they are (0…255); scaling is inside the "
        "model. Curves: `learning-curves.svg` and the TensorBoard log."
        f"\n\n```json\n{recipe}\n```"
    )


def _quality(account: Account) -> str:
    reports = [(name, report) for name, report in account.reports.items() if report]
    overall = [(name, _share(report, "accuracy"), report["n"], _error(report)) for name, report in reports]
    int8 = account.reports.get("int8") or {}
    lines = sorted(int8.get("per_label", {}).items(), key=lambda item: (item[1]["recall"] is None, item[1]["recall"], item[0]))
    per_label = [(label, _share(line, "recall"), line["n"]) for label, line in lines]
    mistakes = [(pair["truth"], pair["predicted"], pair["n"]) for pair in int8.get("confusions", [])[:NEAR]]
    return (
        "## How good it is\n\nThe exported bytes themselves ran in LiteRT on the held-out photos (split “test”), which no "
        "night trains on. In brackets: 95 % intervals (Wilson).\n\n"
        f"{_table(('model', 'accuracy', 'photos', 'calibration error'), overall)}\n\n"
        f"Recall per label of the int8 file, weakest first:\n\n{_table(('label', 'recall', 'photos'), per_label)}\n\n"
        f"Most frequent mistakes (all of them: `confusion.svg`):\n\n{_table(('shows', 'taken for', 'photos'), mistakes)}"
    )


def _gate(account: Account) -> str:
    rows = [
        (check["name"], "passed" if check["passed"] else "refused", check["value"], check["limit"], check["sentence"])
        for check in account.verdict.get("checks", [])
    ]
    return f"## The gate\n\n{_table(('check', 'verdict', 'measured', 'limit', 'what it means'), rows)}"


def _limits(account: Account) -> str:
    per_label = (account.reports.get("int8") or {}).get("per_label", {})
    few = sorted(label for label, line in per_label.items() if line["n"] < 10)
    thin = f" Fewer than ten held-out photos: {_cell(', '.join(few))}; read their figures with their intervals." if few else ""
    learned = set(account.labels)
    left = sorted(label for label in account.counts_by_label() if label not in learned)
    out = f" Not learned for too few photos: {_cell(', '.join(left))}." if left else ""
    return (
        "## Limits\n\nIt has seen what these volunteers photographed, with their phones, where they live; in other shops, "
        "countries and lights expect less. It answers one of its labels to every picture, also to one that shows none of "
        "them. int8 and "
        f"float32 differ on single photos without being worse as a whole.{thin}{out}"
    )


def _verify(account: Account) -> str:
    sums = "\n".join(f"{each['sha256']}  {each['format']}.tflite" for each in account.artifacts)
    return (
        "## How to verify\n\nA phone takes a file only by its signed manifest, which names this SHA-256. By hand, with "
        f"the files saved under these names:\n\n```sh\nsha256sum --check <<'SUMS'\n{sums}\nSUMS\n```\n\n"
        f"The night's input (snapshot, recipe, backbone and labels) has the digest `{account.input_digest or '–'}`; "
        "`metrics.json` holds every figure above. Any file can be measured again: `manage.py evaluate --model FILE DIR`."
    )


def _share(line: Mapping[str, Any], name: str) -> str:
    if line[name] is None:
        return "–"
    low, high = line["interval"]
    return f"{line[name]:.1%} ({low:.1%} to {high:.1%})"


def _error(report: Mapping[str, Any]) -> str:
    error = report.get("calibration_error")
    return "–" if error is None else f"{error:.3f}"


def _table(heads: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    body = [f"| {' | '.join(_cell(each) for each in row)} |" for row in rows]
    return "\n".join([f"| {' | '.join(heads)} |", f"|{' --- |' * len(heads)}", *body]) if body else "None."


def _cell(value: Any) -> str:
    """Text that ends no cell and begins no tag: labels are what owners called their folders."""
    return str(value).replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("\n", " ")


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False)  # a JSON string is a YAML string
