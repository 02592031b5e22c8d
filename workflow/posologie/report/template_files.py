"""The page's own files: template, style and scripts. No code to Python: their hash is a parameter of the rule."""

import hashlib
from importlib.resources import files


def read_template(name: str) -> str:
    """Return the text of one of the page's files."""
    return (files("posologie.report") / "templates" / name).read_text(encoding="utf-8")


def templates_digest() -> str:
    """Return 16 hexadecimal digits over all of the page's files."""
    digest = hashlib.sha256()
    for file in sorted((files("posologie.report") / "templates").iterdir(), key=lambda file: file.name):
        if file.is_file() and not file.name.startswith("."):
            digest.update(f"{file.name}\0{file.read_text(encoding='utf-8')}\0".encode())
    return digest.hexdigest()[:16]
