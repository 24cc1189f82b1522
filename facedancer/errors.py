"""The one exception whose text is meant for the user of a program."""


class InputError(ValueError):
    """A bad flag, file or folder; the text says what is wrong and what to do.

    A program prints it as one line and ends with exit status 1 (`facedancer.cli`).
    Library code raises it for anything that a user's input can cause.
    """
