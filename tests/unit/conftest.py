"""Settings of all unit tests."""

from hypothesis import settings

# A machine that is busy with other tests stands still now and then, which is no property of the code.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")
