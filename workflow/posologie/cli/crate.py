"""The description of a packaged study as an RO-Crate: what each file is, what made it of what, and the licences.

RO-Crate 1.1 (Soiland-Reyes et al. 2022, doi:10.3233/DS-210053) with the profiles Workflow RO-Crate 1.0 and, of Workflow
Run RO-Crate 0.5 (Leo et al. 2024, doi:10.1371/journal.pone.0309210), Process Run Crate and Workflow Run Crate.
"""

import mimetypes
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from posologie.config.study import Study
from posologie.records.files import sha256_of_file
from posologie.running.installed import __version__
from posologie.running.seals import PACKED, Seal
from posologie.sources.spec import Collection, Source

Entity = dict[str, Any]

METADATA = "ro-crate-metadata.json"
WORKFLOW = "workflow/Snakefile"
STUDY = "study.yaml"
REPORT = "report/index.html"
README = "README.md"
NOT_STATED = "not stated"

_CONTEXT = ["https://w3id.org/ro/crate/1.1/context", "https://w3id.org/ro/terms/workflow-run/context"]
_CRATE = "https://w3id.org/ro/crate/1.1"
_WORKFLOW_CRATE = "https://w3id.org/workflowhub/workflow-ro-crate/1.0"
_PROFILES = {
    "https://w3id.org/ro/wfrun/process/0.5": ("Process Run Crate", "0.5"),
    "https://w3id.org/ro/wfrun/workflow/0.5": ("Workflow Run Crate", "0.5"),
    _WORKFLOW_CRATE: ("Workflow RO-Crate", "1.0"),
}
_BIOSCHEMAS = "https://bioschemas.org/profiles/ComputationalWorkflow/1.0-RELEASE"
_SNAKEMAKE = "https://w3id.org/workflowhub/workflow-ro-crate#snakemake"
_FORMS = {".yaml": "application/yaml", ".lock": "text/plain", ".smk": "text/plain", "": "text/plain"}
_FORMS |= {".md": "text/markdown", ".tex": "application/x-tex", ".parquet": "application/vnd.apache.parquet"}
_WHAT = {
    STUDY: "the study as it was resolved: every option with its value",
    REPORT: "the report; one file that works offline",
    "requirements.lock": "the versions of all packages that the program is tested with",
    "registration.json": "what was fixed before the first training",
    "accepted.json": "changes of code that a person accepted because they change no number",
}


@dataclass(frozen=True)
class Author:
    """A creator of the study: a name and, where known, an ORCID iD or another address."""

    name: str
    address: str | None = None


def metadata(study: Study, folder: Path, seals: Sequence[Seal], *, licence: str, authors: Sequence[Author]) -> Entity:
    """Return the metadata of a crate as JSON-LD.

    Args:
        folder: the crate, with all its files in place but this one.
        seals: those of the packaged study.
        licence: of the crate's own files, as an SPDX identifier or an address.

    Returns:
        The value of `ro-crate-metadata.json`, the same for the same files and seals.
    """
    files = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != METADATA)
    described = [_file(folder, path) for path in files if "seals" not in path.relative_to(folder).parts[:1]]
    sources = list(_sources(study, seals))
    models = list(_models(study))
    started, ended = _times(seals)
    results = [entity["@id"] for entity in described if entity["@id"].startswith(("report/", "tables/"))]
    root = {
        "@id": "./",
        "@type": "Dataset",
        "name": study.title or study.study,
        "description": f"Study {study.study}: study file, report, tables, figures, and the seal of each artifact.",
        "datePublished": ended[:10],
        "license": {"@id": _address(licence)},
        "conformsTo": _references(_PROFILES),
        "mainEntity": {"@id": WORKFLOW},
        "hasPart": [*_references(entity["@id"] for entity in described), {"@id": "seals/"}],
        "mentions": {"@id": "#run"},
        **({"author": _references(_author(author)["@id"] for author in authors)} if authors else {}),
    }
    run = {
        "@id": "#run",
        "@type": "CreateAction",
        "name": f"Run of the study {study.study}",
        "description": "the jobs that made the artifacts of the study, from the first to the last",
        "instrument": {"@id": WORKFLOW},
        "startTime": started,
        "endTime": ended,
        "actionStatus": "http://schema.org/CompletedActionStatus",
        "object": _references([STUDY, *(entity["@id"] for entity in (*sources, *models))]),
        "result": _references(results),
        **({"agent": _references(_author(author)["@id"] for author in authors)} if authors else {}),
    }
    licences = {entity["license"]["@id"] for entity in (root, *sources) if isinstance(entity.get("license"), dict)}
    descriptor = {
        "@id": METADATA,
        "@type": "CreativeWork",
        "about": {"@id": "./"},
        "conformsTo": _references([_CRATE, _WORKFLOW_CRATE]),
    }
    profiles = [
        {"@id": address, "@type": "CreativeWork", "name": name, "version": version}
        for address, (name, version) in _PROFILES.items()
    ]
    folder_of_seals = {
        "@id": "seals/",
        "@type": "Dataset",
        "name": "seals",
        "description": "for each artifact of the study, including those that are not in this crate: its spec, the"
        " code and "
        "the checksums of its inputs and files",
    }
    return {
        "@context": _CONTEXT,
        "@graph": [
            descriptor,
            root,
            run,
            *described,
            folder_of_seals,
            *sources,
            *models,
            *map(_author, authors),
            *(
                {"@id": licence_address, "@type": "CreativeWork", "name": licence_address.rpartition("/")[2]}
                for licence_address in sorted(licences)
            ),
            *_programs(),
            *profiles,
        ],
    }


def is_crate(folder: Path) -> bool:
    """Say whether a folder is a study that `posologie package` wrote."""
    return (folder / METADATA).is_file() and (folder / PACKED).is_dir()


def readme(study: Study) -> str:
    """Return the page that a person opens first: what is in the crate, and the licence of each source."""
    title = study.title or study.study
    rows = [f"| {name} | {_plain(study.licenses.get(name, NOT_STATED))} |" for name, _ in _origins(study)]
    lines = [
        f"# {_plain(title)}",
        "",
        f"A finished study of Posologie {__version__}, as an RO-Crate. Start with [the report]({REPORT}). "
        f"[{STUDY}]({STUDY}) is the study with every option, `tables/` and `figures/` hold its numbers and figures, "
        "and `seals/` says for each artifact what it was made from, by which code, with which checksum.",
        "",
        "To check it with Posologie: `posologie verify --results FOLDER` compares every file and seal, and "
        "`posologie explain FOLDER/tables/mcqa.csv --row mix=…` shows where a number comes from.",
        "",
        "| source | licence |",
        "|---|---|",
        *rows,
    ]
    return "\n".join(lines) + "\n"


def _plain(text: str) -> str:
    """Return a text of the study file as one line that is no markup."""
    return " ".join(re.sub(r"([\\`*_{}\[\]<>|#])", r"\\\1", text).split())


def unlicensed(crate: Mapping[str, Any]) -> list[str]:
    """Return the names of the sources whose licence is not stated."""
    return [entity["name"] for entity in crate["@graph"] if entity.get("license") == NOT_STATED]


def _file(folder: Path, path: Path) -> Entity:
    name = path.relative_to(folder).as_posix()
    form = _FORMS.get(path.suffix) or mimetypes.guess_type(path.name)[0] or "application/octet-stream"
    entity: Entity = {
        "@id": name,
        "@type": "File",
        "name": name,
        "encodingFormat": form,
        "contentSize": str(path.stat().st_size),
        "sha256": sha256_of_file(path),
    }
    if name == README:
        entity["about"] = {"@id": "./"}
    if name in _WHAT:
        entity["description"] = _WHAT[name]
    if name == WORKFLOW:
        entity |= {
            "@type": ["File", "SoftwareSourceCode", "ComputationalWorkflow"],
            "name": f"Posologie {__version__}",
            "version": __version__,
            "conformsTo": {"@id": _BIOSCHEMAS},
            "programmingLanguage": {"@id": _SNAKEMAKE},
            "softwareRequirements": {"@id": "#posologie"},
            "license": {"@id": _address("MIT")},
        }
    return entity


def _origins(study: Study) -> list[tuple[str, Source | Collection]]:
    return [*study.collections.items(), *study.sources.items()]


def _sources(study: Study, seals: Iterable[Seal]) -> Iterable[Entity]:
    """Yield each source and collection: where it is from, under which licence, and the checksums of its files."""
    read: dict[str, dict[str, str]] = {}
    for seal in seals:
        parts = seal.path.parts
        for place in ("shards", "documents"):
            if place in parts:
                name = parts[parts.index(place) + 1].split(".")[0]
                own = {path: checksum for path, checksum in seal.inputs.items() if not path.startswith("results/")}
                read.setdefault(name, {}).update(
                    {path: own[path] for path in own if "resources/languages/" not in path}
                )
    for name, source in _origins(study):
        maker = source.made if isinstance(source, Source) else None
        hub = f"data set {source.hub}, revision {source.revision}"
        origin = hub if source.hub else f"files of {source.path}"
        identifiers = [f"{Path(file).name} sha256:{checksum}" for file, checksum in sorted(read.get(name, {}).items())]
        yield {
            "@id": f"#source-{name}",
            "@type": "CreativeWork",
            "name": name,
            "description": f"made in this study: {maker}" if maker else origin,
            "license": {"@id": _address(study.licenses[name])} if name in study.licenses else NOT_STATED,
            **({"identifier": identifiers} if identifiers else {}),
            **({"version": source.revision} if source.hub else {}),
        }


def _models(study: Study) -> Iterable[Entity]:
    for name, origin in {**study.backbones, **study.local_models}.items():
        described = origin.hub or origin.folder or origin.gguf_package or "made from scratch"
        yield {"@id": f"#model-{name}", "@type": "CreativeWork", "name": name, "description": f"model: {described}"}


def _times(seals: Sequence[Seal]) -> tuple[str, str]:
    """Return when the first artifact was begun and the last one done, as ISO 8601."""
    begun = [datetime.fromisoformat(seal.made["started"]) for seal in seals if seal.made.get("started")]
    done = [
        datetime.fromisoformat(seal.made["started"]) + timedelta(seconds=float(seal.made.get("seconds") or 0))
        for seal in seals
        if seal.made.get("started")
    ]
    return min(begun).isoformat(timespec="seconds"), max(done).isoformat(timespec="seconds")


def _programs() -> list[Entity]:
    return [
        {
            "@id": "#posologie",
            "@type": "SoftwareApplication",
            "name": "Posologie",
            "softwareVersion": __version__,
            "description": "the package whose commands the rules of the workflow call",
        },
        {
            "@id": _SNAKEMAKE,
            "@type": "ComputerLanguage",
            "name": "Snakemake",
            "identifier": {"@id": "https://doi.org/10.1093/bioinformatics/bts480"},
            "url": {"@id": "https://snakemake.readthedocs.io"},
        },
    ]


def _author(author: Author) -> Entity:
    return {"@id": author.address or f"#author-{author.name.replace(' ', '-')}", "@type": "Person", "name": author.name}


def _references(addresses: Iterable[str]) -> list[Entity]:
    return [{"@id": address} for address in addresses]


def _address(licence: str) -> str:
    """Return the address of a licence: its own, or the one of its SPDX identifier."""
    return licence if "://" in licence else f"https://spdx.org/licenses/{licence}"
