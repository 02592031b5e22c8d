"""Puts the workflow around the package (rules, resources, studies, profiles) into a wheel; see also pyproject.toml."""

import shutil
from pathlib import Path

from setuptools import setup
from setuptools.command.build_py import build_py

SHIPPED = ("Snakefile", "config", "envs", "profiles", "resources", "workflow/Snakefile", "workflow/report",
           "workflow/rules", "workflow/schemas")  # fmt: skip


class BuildWithProject(build_py):
    """Copies the project's files to `posologie/project`, where `posologie.running.installed` finds them."""

    def run(self) -> None:
        """Build the package, then copy; an editable installation uses the checkout itself."""
        super().run()
        if self.editable_mode:
            return
        target = Path(self.build_lib) / "posologie" / "project"
        shutil.rmtree(target, ignore_errors=True)
        for name in SHIPPED:
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            if Path(name).is_dir():
                shutil.copytree(name, target / name, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy2(name, target / name)


setup(cmdclass={"build_py": BuildWithProject})
