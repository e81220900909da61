"""What a user program has to expect. The port's own errors (ConflictError, UnavailableError, ...) pass unchanged."""


class WaitedTooLongError(TimeoutError):
    """It could not be had in the time given. Nothing is left behind."""


class LostError(Exception):
    """What was held is not held any more: stop the work that it protected."""
