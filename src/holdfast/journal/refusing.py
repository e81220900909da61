"""What the operator has to settle before a journal can be used."""


class JournalRefusedError(Exception):
    """The journal cannot be used as it is, and waiting will not change that. The message says what to do."""
