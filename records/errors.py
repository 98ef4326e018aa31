"""The one exception for what a user can cause."""


class UserError(Exception):
    """A mistake in what the user gave: paths, files, flags.

    The message is one line that names the thing, its value and the remedy. Command lines print it
    to standard error and leave with exit code 2, without a traceback.
    """
