"""The one exception for bad input, and how a command ends with it."""


class InputError(Exception):
    """Input that a person can mend: a file, a row, a key or a value.

    The message is one line that names what was found, where, and what was expected. A command that ends with it prints
    that line and nothing else, and exits with status 2.
    """
