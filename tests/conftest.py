"""Settings of all tests: property tests are the same in every run, and none depends on the speed of the machine."""

from hypothesis import settings

settings.register_profile("wigwag", deadline=None, derandomize=True, database=None)
settings.load_profile("wigwag")
