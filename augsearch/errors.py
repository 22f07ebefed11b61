"""The errors that are for people: one line each, with the value, the field and what is allowed.

`AugsearchError` and its children end a command with their message alone; anything else that escapes is a
bug of this project and keeps its traceback.
"""


class AugsearchError(Exception):
    """Something that the user can put right; the message says what and how."""


class SettingsError(AugsearchError):
    """A setting in params.yaml that is missing, unknown, of the wrong type or impossible."""


class PolicyError(AugsearchError):
    """A policy, or a policy file, that cannot mean anything."""


class DataError(AugsearchError):
    """A data set that cannot be read or does not hold what it should."""


class CheckpointError(AugsearchError):
    """A checkpoint that cannot be read, or belongs to another training."""


class StoreError(AugsearchError):
    """A store of results that is in use by another run, or cannot be read or written."""


class WorkerError(AugsearchError):
    """A worker that was lost, or could not write what it made: no fault of the training's."""


class TrackingError(AugsearchError):
    """A tracking server or database that cannot be reached, or refuses what is logged."""


class TimeLimitError(AugsearchError):
    """A trial that took longer than it may."""


class SearchError(AugsearchError):
    """A search that cannot go on, such as one whose trials all fail."""
