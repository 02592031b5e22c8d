"""A backbone from the hub, at one commit that the manifest records."""

import shutil
from pathlib import Path
from typing import Any

from huggingface_hub import HfApi, snapshot_download
from huggingface_hub.errors import (
    GatedRepoError,
    HfHubHTTPError,
    LocalEntryNotFoundError,
    OfflineModeIsEnabled,
    RepositoryNotFoundError,
    RevisionNotFoundError,
)

from posologie.commands import run
from posologie.errors import InputError
from posologie.models.install import install
from posologie.models.spec import Backbone

PATTERNS = ("*.json", "*.safetensors", "*.model", "*.txt", "*.jinja", "*.tiktoken")
"""What is taken: no pickled weights, and Python code only where the user trusts it."""


def main(argv: list[str]) -> None:
    """Download a model repository; the token, if any, comes from `HF_TOKEN`."""
    install("posologie.models.hub", __doc__ or "", download, argv)


def download(backbone: Backbone, target: Path) -> dict[str, Any]:
    """Download the files of one commit of `backbone.hub` into `target`, and return the manifest's facts."""
    name = str(backbone.hub)
    patterns = [*PATTERNS, "*.py"] if backbone.trust_remote_code else list(PATTERNS)
    try:
        commit = HfApi().model_info(name, revision=backbone.revision).sha
        if commit is None:
            raise InputError(f"hub = '{name}': the hub names no commit for '{backbone.revision}'")
        snapshot_download(name, revision=commit, allow_patterns=patterns, local_dir=target)
    except GatedRepoError as error:
        raise InputError(f"hub = '{name}': gated; accept its terms on the hub and set HF_TOKEN") from error
    except RevisionNotFoundError as error:
        expected = f"expected a branch, tag or commit of {name}"
        raise InputError(f"revision = '{backbone.revision}': unknown; {expected}") from error
    except RepositoryNotFoundError as error:
        raise InputError(f"hub = '{name}': no such repository, or a private one and no HF_TOKEN") from error
    except (OfflineModeIsEnabled, LocalEntryNotFoundError) as error:
        raise InputError(f"hub = '{name}': the hub cannot be reached; fetch on a machine with network first") from error
    except (HfHubHTTPError, OSError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"hub = '{name}': download failed ({reason}); run again to go on") from error
    shutil.rmtree(target / ".cache", ignore_errors=True)
    return {
        "kind": "hub",
        "repository": name,
        "requested_revision": backbone.revision,
        "revision": commit,
        "trust_remote_code": backbone.trust_remote_code,
    }


if __name__ == "__main__":
    run(main)
