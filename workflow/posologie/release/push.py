"""Push a trained model to the hub, when asked to.

    python -m posologie.release.push --spec PushSpec --files F… [--manifest M] --receipt OUT.json

With `--manifest` the model's files that it lists are pushed too, after a check. A pushed adapter names its backbone on
the hub, which its configuration here does not.

The token comes from the environment (`HF_TOKEN`) or from the hub's own login, never from a configuration.
"""

import json
import logging
from pathlib import Path

import httpx2
import huggingface_hub
from huggingface_hub.errors import HfHubHTTPError

from posologie.models.store import checked_folder, read_manifest
from posologie.records.files import read_json, sha256_of_file, write_json
from posologie.release.spec import PushSpec
from posologie.running import commands
from posologie.running.errors import InputError

log = logging.getLogger(__name__)


def main(argv: list[str]) -> None:
    """Push files to a repository of the hub in one commit."""
    arguments = commands.parser("posologie.release.push", __doc__ or "")
    arguments.add_argument("--files", required=True, nargs="+", type=Path, help="files, pushed under their own names")
    arguments.add_argument("--manifest", type=Path, help="manifest of a merged model, whose files are pushed too")
    arguments.add_argument("--receipt", required=True, type=Path, help="what was pushed where, as JSON")
    options = arguments.parse_args(argv)
    spec = PushSpec.from_json(options.spec)
    files = list(options.files)
    if options.manifest is not None:
        folder = checked_folder(options.manifest)
        files += [folder / name for name in sorted(read_manifest(options.manifest)["files"])]
    commit = push(spec, files)
    pushed = {path.name: sha256_of_file(path) for path in files}
    write_json(
        options.receipt, {"repository": spec.repository, "revision": spec.revision, "commit": commit, "files": pushed}
    )
    log.info("%s: %d files pushed as %s", spec.repository, len(files), commit)


def push(spec: PushSpec, files: list[Path]) -> str:
    """Push files in one commit, make the repository if there is none, and return the commit's hash.

    Raises:
        InputError: if a file is missing, two have one name, there is no token, or the hub refuses.
    """
    names = [path.name for path in files]
    for path in files:
        if not path.is_file():
            raise InputError(f"{path}: no such file")
        if names.count(path.name) > 1:
            raise InputError(f"{path}: two files are named {path.name}; expected distinct names")
    if huggingface_hub.get_token() is None:
        raise InputError(f"push to {spec.repository}: no token; set HF_TOKEN to one that may write there")
    hub = huggingface_hub.HfApi()
    try:
        hub.create_repo(spec.repository, private=spec.private, exist_ok=True)
        operations = [huggingface_hub.CommitOperationAdd(path.name, _content(path, spec.base)) for path in files]
        commit = hub.create_commit(spec.repository, operations, commit_message=spec.message, revision=spec.revision)
    except HfHubHTTPError as error:
        status = error.response.status_code
        reason = {
            401: "the token is not valid",
            403: "the token may not write there",
            404: "no such repository or branch",
        }
        raise InputError(
            f"push to {spec.repository}: the hub answered {status} ({reason.get(status, 'refused')})"
        ) from error
    except (httpx2.HTTPError, OSError) as error:
        raise InputError(f"push to {spec.repository}: the hub cannot be reached ({type(error).__name__})") from error
    return str(commit.oid)


def _content(path: Path, base: str | None) -> str | bytes:
    """Return what is pushed: the file, but an adapter's configuration with the backbone's name on the hub."""
    if path.name != "adapter_config.json" or base is None:
        return str(path)
    return (json.dumps({**read_json(path), "base_model_name_or_path": base}, sort_keys=True, indent=1) + "\n").encode()


if __name__ == "__main__":
    commands.run(main)
