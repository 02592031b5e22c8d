"""The study's configuration, composed from the specs of the stages. No stage imports it."""
