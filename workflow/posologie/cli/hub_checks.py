"""What `posologie check` asks the hub: what is still to be fetched, and which branches have moved."""

import os
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from posologie.cli.checks import OK, PROBLEM, WARNING, Finding, backbones_of
from posologie.config.study import Study
from posologie.records import layout
from posologie.records.files import read_json
from posologie.sources.spec import Collection, Source


@dataclass(frozen=True)
class _OnHub:
    """Something that a study takes from the hub, and the manifest that it has once it is fetched."""

    kind: str
    key: str
    repository: str
    revision: str
    manifest: Path

    def fetched_commit(self) -> str | None:
        """Return the commit that was fetched, or None."""
        return read_json(self.manifest).get("revision") if self.manifest.is_file() else None


def _on_hub(study: Study) -> Iterator[_OnHub]:
    described: dict[str, Source | Collection] = {
        **{f"sources.{name}": source for name, source in study.sources.items()},
        **{f"collections.{name}": collection for name, collection in study.collections.items()},
    }
    for key, entry in described.items():
        if entry.hub is not None:
            manifest = Path(study.roots.datasets, layout.downloaded(entry.hub, entry.revision), "manifest.json")
            yield _OnHub("dataset", key, entry.hub, entry.revision, manifest)
    for key, backbone in backbones_of(study).items():
        if backbone.hub is not None:
            manifest = Path(study.roots.models, backbone.folder_name(), "manifest.json")
            yield _OnHub("model", key, backbone.hub, backbone.revision, manifest)


def hub(study: Study) -> Iterator[Finding]:
    """Ask the hub for what is not fetched yet, whether it fits on the disk, and whether fetched branches have moved."""
    from posologie.records.hub import is_commit  # its libraries take long to import

    needed = 0
    missing = False
    for repository in _on_hub(study):
        commit = repository.fetched_commit()
        if commit is None:
            missing = True
            finding, size = _ask_hub(repository.kind, repository.key, repository.repository, repository.revision)
            needed += size
            yield finding
        elif not is_commit(repository.revision):
            yield _moved(repository, commit)
    if not missing:
        yield Finding(OK, "nothing has to be fetched")
        return
    free = shutil.disk_usage(".").free
    if needed > free:
        yield Finding(PROBLEM, f"{needed / 1e9:,.1f} GB to fetch, {free / 1e9:,.1f} GB free")


def _moved(repository: _OnHub, commit: str) -> Finding:
    """Return whether a branch or tag is still at the commit that was fetched."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    api = HfApi(token=os.environ.get("HF_TOKEN") or False)
    named = f"{repository.key}.revision = '{repository.revision}'"
    pinned = f"write `revision: {commit}` to keep it"
    try:
        now = api.repo_info(
            repository.repository, repo_type=repository.kind, revision=repository.revision, timeout=20
        ).sha
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        unknown = f"the hub does not say whether it has moved ({type(error).__name__})"
        return Finding(WARNING, f"{named}: fetched at commit {commit[:12]}; {unknown}")
    if now == commit:
        return Finding(OK, f"{named}: still at commit {commit[:12]}, which was fetched")
    return Finding(
        WARNING,
        f"{named}: moved to commit {(now or '?')[:12]} since commit {commit[:12]} was fetched; the study uses the"
        f" latter; {pinned}, or delete {repository.manifest} to take the new one",
    )


def _ask_hub(kind: str, key: str, repository: str, revision: str) -> tuple[Finding, int]:
    """Return what the hub says of a repository, and its size in bytes."""
    import httpx2
    from huggingface_hub import HfApi
    from huggingface_hub.errors import GatedRepoError, HfHubHTTPError, RepositoryNotFoundError, RevisionNotFoundError

    api = HfApi(token=os.environ.get("HF_TOKEN") or False)
    named = f"{key}.hub = '{repository}'"
    try:
        info = api.repo_info(repository, repo_type=kind, revision=revision, files_metadata=True, timeout=20)
    except GatedRepoError:
        return Finding(PROBLEM, f"{named}: gated; accept its terms on the hub and set HF_TOKEN"), 0
    except RevisionNotFoundError:
        return Finding(PROBLEM, f"{named}: has no revision '{revision}'"), 0
    except RepositoryNotFoundError:
        return Finding(PROBLEM, f"{named}: no such {kind}, or it is private and HF_TOKEN is not set"), 0
    except (HfHubHTTPError, httpx2.HTTPError, OSError) as error:
        problem = f"{named}: the hub cannot be reached ({type(error).__name__}); without a network, add --offline"
        return Finding(PROBLEM, problem), 0
    size = sum(file.size or 0 for file in info.siblings or [])
    return Finding(OK, f"{named}: {size / 1e9:,.1f} GB, commit {(info.sha or '?')[:12]}"), size
