"""The score as a function of the dose: what a surface is fitted to, what it predicts, and what to train on next."""
