"""Many dry runs in one process, and what they tell of each rule."""

import json
import re
import subprocess
import sys

NETWORK = ["posologie.records.hub", "posologie.backends.openai_endpoint", "posologie.release.push"]
"""The modules that speak to other machines."""

# Starts Snakemake's dry runs as forks of one process that has imported it: half of the time of each is the import.
# A dry run does not say which rules are local, nor which ones need the network, so they are printed before it.
DRY_RUNS = """
import json, os, sys
import snakemake.api, snakemake.cli, snakemake.rules, snakemake.workflow
import posologie.config.job_specs, posologie.config.table_specs
from posologie.running.code_digest import modules_behind
from posologie.running.planning import command_of

# The words of a rule's message would stand in place of its name, inputs, resources and wildcards.
snakemake.rules.Rule.message = property(lambda rule: None, lambda rule, text: None)

snakemake.cli.get_argument_parser()  # imports the plugins

network, runs = json.load(sys.stdin)
execute = snakemake.workflow.Workflow.execute

def networked(rule):
    command = command_of(rule.shellcmd)
    return command is not None and modules_behind(command[0]) & set(network)

def announced(self, *arguments, **options):
    local, asking = self._localrules, [rule.name for rule in self.rules if networked(rule)]
    lines = "\\n".join(["", "local rules: " + " ".join(local), "networked rules: " + " ".join(asking), ""])
    sys.stdout.flush()
    os.write(1, lines.encode())  # at once: the logger writes to the same file from a thread
    return execute(self, *arguments, **options)

snakemake.workflow.Workflow.execute = announced

for number, arguments in enumerate(runs):
    child = os.fork()
    if child == 0:
        with open(f"dry-run-{number}.log", "w") as log:
            os.dup2(log.fileno(), 1)
            os.dup2(log.fileno(), 2)
        try:
            snakemake.cli.main(arguments)
        except SystemExit as end:
            sys.stdout.flush()
            os._exit(end.code if isinstance(end.code, int) else int(end.code is not None))
        os._exit(0)
    print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


def run_dry(project, runs):
    """Make dry runs in a copy of the project, one for each list of arguments; return exit codes and outputs."""
    done = subprocess.run(
        [sys.executable, "-c", DRY_RUNS],
        input=json.dumps([NETWORK, runs]),
        cwd=project.root,
        env=project.environment(),
        capture_output=True,
        text=True,
        check=True,
    )
    codes = [int(line) for line in done.stdout.split()]
    outputs = [(project.root / f"dry-run-{number}.log").read_text(encoding="utf-8") for number in range(len(runs))]
    return list(zip(codes, outputs, strict=True))


def named_in(output, title):
    """Return the rules that a dry run names in a line with this title."""
    return set(re.search(rf"^{title}: (.*)$", output, re.MULTILINE)[1].split())


def resources_by_rule(output):
    """Return the resources of one job of each rule of a dry run, with its threads and whether the rule is local."""
    jobs, local = {}, named_in(output, "local rules")
    for block in re.split(r"\n(?=(?:local)?rule \S+:\n)", output)[1:]:
        rule = re.match(r"(?:local)?rule (\S+):", block)
        fields = dict(re.findall(r"^    (\w+): (.*)$", block.split("\n\n")[0], flags=re.MULTILINE))
        values = dict(pair.split("=", 1) for pair in fields.get("resources", "").split(", ") if "=" in pair)
        jobs[rule[1]] = {**values, "threads": int(fields.get("threads", 1)), "local": rule[1] in local}
    return jobs
