"""A tiny model to train, and jobs that train it."""

from training_jobs import backbone, job  # noqa: F401 - fixtures
