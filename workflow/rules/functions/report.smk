# What the rules of report.smk are given: inputs, specs, words of the command line, targets.
from posologie.report.spec import Report


from posologie.report.html import templates_digest


def report_spec(wildcards):
    """Return the spec of the page and the figures."""
    return job_specs.report_spec(STUDY, TABLES).canonical_json()


def figures_spec(wildcards):
    """Return the spec of the figures, which show neither the title nor the layout of the page."""
    return job_specs.report_spec(STUDY, TABLES).model_copy(update={"title": "", "report": Report()}).canonical_json()


def all_runs():
    """Return every run record that the report rests on."""
    adapters = [str(Path(path).with_name("run.json")) for path in all_adapters()]
    return adapters + [path.replace(".parquet", ".run.json") for path in all_predictions()]


def all_histories():
    """Return the training history of every adapter."""
    return [str(Path(path).with_name("history.parquet")) for path in all_adapters()]


def all_figures():
    """Return the files of every figure of the study, each for the page (SVG) and for a paper (PDF)."""
    names = job_specs.report_spec(STUDY, TABLES).figures()
    return [f"<results>/figures/{name}.{suffix}" for name in names for suffix in ("svg", "pdf")]


def drawn_figures():
    """Return the outputs of the drawing."""
    return [in_own_report(path, "figure", "Figures") if path.endswith(".svg") else path for path in all_figures()]


def browser_spec(wildcards):
    """Return the spec of the item browser's data."""
    return job_specs.browser_spec(STUDY).canonical_json()


def browsed_backbones():
    """Return the manifest of each model whose chat template wrote prompts that the item browser shows."""
    if not browser_index():
        return []
    folders = dict.fromkeys(form.backbone for form in job_specs.browser_spec(STUDY).forms if form.backbone)
    return [f"<models>/{folder}/manifest.json" for folder in folders]


def trained_shards():
    """Return the training shard of every source that mixes are drawn from."""
    return [f"<results>/shards/{name}/train.parquet" for name in plan.trained_sources(STUDY)]


def training_matches():
    """Return what screening found of every source that mixes are drawn from."""
    return [f"<results>/screened/{name}/train.matches.parquet" for name in plan.trained_sources(STUDY)]


def all_ratings():
    """Return every set of human ratings."""
    return [f"<results>/human/{name}.parquet" for name in STUDY.judging.ratings]


def browser_index():
    """Return the item browser's index, where the study wants one."""
    return ["<results>/report/items/index.js"] if STUDY.report.item_browser and STUDY.suites else []


def report_parts():
    """Return what a study delivers: the page, the item browser's index where it wants one, every table and figure."""
    return ["<results>/report/index.html", *browser_index(), *all_tables(), *all_figures()]


def accepted_changes():
    """Return the file of code changes that were found to change no number, where there is one."""
    path = f"results/{STUDY.study}/accepted.json"
    return [path] if os.path.exists(path) else []
