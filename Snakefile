# The study lives in workflow/; an include alone runs nothing, so the default target is here.
include: "workflow/Snakefile"


rule all:
    default_target: True
    input:
        rules.report.input,
