"""SNAPSHOT → people: what the night learned from, as a Croissant description (ML Commons, version 1.0, JSON-LD)."""

import json
from typing import Any

from training.account import Account

CONFORMS_TO = "http://mlcommons.org/croissant/1.0"
FILE = "snapshot.jsonl"  # the frozen list, as it lies in the store; it is looked for beside the description
# The context that the specification gives for 1.0; the words that we use of it.
CONTEXT: dict[str, Any] = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
FIELDS = {
    "photo": "The photo's random UUID.",
    "label": "What the photo shows, as a moderator or its importer decided.",
    "split": "train, validation or test; fixed when the photo was accepted, and the same for all near-duplicates.",
    "sha256": "SHA-256 of the photo's stored bytes, without metadata.",
}


def describe(account: Account, *, url: str) -> bytes:
    """The JSON-LD. `url`: the installation's address. It names no photo and nobody; the snapshot's groups are left out."""
    licences = sorted({address_of(origin.licence) for origin in account.origins if origin.licence})
    content = {
        "@context": CONTEXT,
        "@type": "sc:Dataset",
        "name": f"{account.slug}-{account.snapshot[:12]}",
        "description": f"{account.photos} photos of {len(account.counts_by_label())} everyday things in non-obvious settings, "
        f"taken by volunteers or imported with their owner's confirmation, for the recognizer “{account.name}”. "
        f"Frozen for the night {account.slot}; its SHA-256 is {account.snapshot}.",
        "conformsTo": CONFORMS_TO,
        "citeAs": f"{account.name}, Photorally snapshot {account.snapshot}",
        "license": licences,
        "url": url,
        "version": "1.0.0",  # a snapshot never changes: another list is another dataset
        "datePublished": account.day,
        "keywords": ["image classification", account.slug, "crowdsourced"],
        "rai:personalSensitiveInformation": "Places, times and cameras are removed when a photo arrives; moderators reject "
        "photos of people and of private data. Withdrawn photos stay listed by UUID and digest; their bytes are gone.",
        "rai:dataCollection": _collection(account),
        "distribution": [
            {
                "@type": "cr:FileObject",
                "@id": FILE,
                "name": FILE,
                "description": f"One JSON object a photo. In the installation's store: snapshots/{account.snapshot}",
                "contentUrl": FILE,
                "encodingFormat": "application/jsonlines",
                "sha256": account.snapshot,
            }
        ],
        "recordSet": [_labels(account), _splits(account), _photos()],
    }
    return json.dumps(content, indent=2, ensure_ascii=False).encode()


def _photos() -> dict[str, Any]:
    fields = [
        _field("photos", name, said, {"fileObject": {"@id": FILE}, "extract": {"column": name}})
        for name, said in FIELDS.items()
    ]
    fields[1]["references"] = {"field": {"@id": "labels/name"}}
    fields[2]["references"] = {"field": {"@id": "splits/name"}}
    return {
        "@type": "cr:RecordSet",
        "@id": "photos",
        "name": "photos",
        "description": "The frozen list.",
        "key": {"@id": "photos/photo"},
        "field": fields,
    }


def _labels(account: Account) -> dict[str, Any]:
    rows = [{"labels/name": label, "labels/photos": count} for label, count in account.counts_by_label().items()]
    return _listed("labels", "The labels that occur, and how many photos have each.", rows)


def _splits(account: Account) -> dict[str, Any]:
    rows = [{"splits/name": split, "splits/photos": sum(counts.values())} for split, counts in account.counts.items()]
    return _listed("splits", "What may be trained on, chosen with and judged by.", rows)


def _listed(name: str, said: str, rows: list[dict[str, Any]]) -> dict[str, Any]:
    fields = [_field(name, "name", "Its name."), _field(name, "photos", "How many photos.", kind="sc:Integer")]
    return {
        "@type": "cr:RecordSet",
        "@id": name,
        "name": name,
        "description": said,
        "key": {"@id": f"{name}/name"},
        "field": fields,
        "data": rows,
    }


def _field(of: str, name: str, said: str, source: dict[str, Any] | None = None, kind: str = "sc:Text") -> dict[str, Any]:
    made = {"@type": "cr:Field", "@id": f"{of}/{name}", "name": f"{of}/{name}", "description": said, "dataType": kind}
    return made | ({"source": source} if source else {})


def _collection(account: Account) -> str:
    rows = (
        f"{each.photos} by {each.source} under {each.licence}, consent {each.consent or 'none'}" for each in account.origins
    )
    return "; ".join(rows) or "unknown"


def address_of(name: str) -> str:
    """Creative Commons' own address of its licence, as schema.org wants one; any other name as it is."""
    if name.startswith("CC-"):
        kind, _, version = name.removeprefix("CC-").lower().rpartition("-")
        return f"https://creativecommons.org/licenses/{kind}/{version}/"
    return name
