"""`posologie …`: what a person asks beside Snakemake. It reads what there is and never stands in Snakemake's way."""
