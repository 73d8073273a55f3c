"""What can go wrong with the local stack, each as one sentence for the person at the keyboard."""


class StackError(Exception):
    """A sentence that says what is wrong and what to do; the command prints it and exits with 1."""
