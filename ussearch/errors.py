"""Errors that a user can cause, as opposed to defects of the program."""


class UserError(Exception):
    """Something the user gave cannot be used.

    The message is one sentence that names what was given, what was expected and the hint. The command
    line prints it without a traceback and exits with status 2.
    """
