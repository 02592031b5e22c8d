"""What the documentation shows: its files, its fenced blocks, its commands."""

import re
from dataclasses import dataclass

from studies import REPOSITORY

GUIDES = ("README.md", "CONTRIBUTING.md", "CHANGELOG.md", "docs", "config", "results", "profiles", "resources", "envs")

PROGRAMS = ("snakemake", "make", "posologie", "pytest", "generate-slurm-partition-config")


@dataclass(frozen=True)
class Block:
    """A fenced block: where it stands, its language, its text, and the file that it shows (`<!-- file: … -->`)."""

    place: str
    language: str
    text: str
    file: str


def guides():
    """Return the Markdown files of the project, without generated and hidden folders."""
    pages = [REPOSITORY / name for name in GUIDES if name.endswith(".md")]
    for folder in (name for name in GUIDES if not name.endswith(".md")):
        pages += sorted((REPOSITORY / folder).glob("**/*.md" if folder in ("docs", "resources") else "*.md"))
    return [path for path in pages if "prompts" not in path.parts]


def blocks():
    fence = re.compile(r"(?:^<!-- file: (\S+) -->\n)?^```(\w*)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
    for path in guides():
        text = path.read_text(encoding="utf-8")
        for match in fence.finditer(text):
            line = text[: match.start()].count("\n") + 1
            yield Block(f"{path.relative_to(REPOSITORY)}:{line}", match[2], match[3], match[1] or "")


def commands():
    """Return every command of the documentation with its place: lines of shell blocks, and commands in the text."""
    examples = []
    for block in blocks():
        if block.language in ("bash", "console", "sh"):
            joined = block.text.replace("\\\n", " ")
            lines = [line.removeprefix("$ ").split("  # ")[0].strip() for line in joined.splitlines()]
            examples += [(block.place, line) for line in lines if line and not line.startswith("#")]
    for path in guides():
        text = re.sub(r"^```.*?^```$", "", path.read_text(encoding="utf-8"), flags=re.MULTILINE | re.DOTALL)
        for span in re.findall(r"`([^`\n]+)`", text):
            if span.split()[0] in PROGRAMS and "…" not in span and "{" not in span:
                examples.append((str(path.relative_to(REPOSITORY)), span))
    return list({command: (place, command) for place, command in examples}.values())
