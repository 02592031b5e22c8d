"""Copy the versions of requirements.lock into pyproject.toml, where `uv sync` finds them: `python envs/uv.py`."""

from pathlib import Path

ENVS = Path(__file__).resolve().parent
PROJECT = ENVS.parent / "pyproject.toml"
MARK = "# From here on written by envs/uv.py (`make lock`).\n"
FILES_ONLY = ("num2words",)
"""Like models.in, installed without what they ask for: README.md, "What `pip check` reports"."""


def project_for_uv(text: str) -> str:
    """Return the text of pyproject.toml with the part for uv renewed.

    The group `dev`, which uv installs unless told otherwise, is what the development needs, and the models. Their own
    dependencies are declared to be none, as the lock leaves them out.
    """
    locked = dict(line.split("==") for line in _lines("requirements.lock"))
    models = _lines("models.in")
    wanted = _lines("requirements.in", behind="# development") + models
    parts = [
        text.partition(MARK)[0].rstrip() + "\n\n" + MARK + "[dependency-groups]\n" + _array("dev", wanted),
        "[tool.uv]\n" + _array("constraint-dependencies", [f"{name}=={version}" for name, version in locked.items()]),
        *(
            f'[[tool.uv.dependency-metadata]]\nname = "{name}"\nversion = "{locked[name]}"\nrequires-dist = []\n'
            for name in (*models, *FILES_ONLY)
        ),
    ]
    return "\n".join(parts)


def _array(name: str, values: list[str]) -> str:
    return f"{name} = [\n" + "".join(f'  "{value}",\n' for value in values) + "]\n"


def _lines(name: str, behind: str = "") -> list[str]:
    """Return the packages that a file lists behind a mark."""
    text = (ENVS / name).read_text(encoding="utf-8")
    lines = text[text.index(behind) + len(behind) :].splitlines()[bool(behind) :]
    return [line for line in lines if line and not line.startswith("#")]


if __name__ == "__main__":
    PROJECT.write_text(project_for_uv(PROJECT.read_text(encoding="utf-8")), encoding="utf-8")
