"""Every error that EdgeMI raises on purpose.

EdgeMIError                exit code 2
├── ConfigError            a value given by the caller is out of range or unknown
├── SignalError            samples that cannot be an ECG in millivolts at the stated rate
├── RecordError            a record on disk that cannot be read as what it claims to be
├── StoreError             a window store that is damaged, of another kind, or too small
├── CheckpointError        a checkpoint that is damaged, of another kind, or not finite
├── BundleError            a bundle that is damaged, of another schema, or changed since it was written
│   └── SignatureError     a bundle that is not signed by the key that was demanded
├── DownloadError          a server that cannot be reached, or does not give what it lists
├── OutputError            a place that cannot be written, or that already holds something
├── PatchError             the link to a patch cannot go on
│   ├── DeviceNotFound     no such patch, or no radio to look with
│   └── FrameError         bytes of a patch that are no frame of its profile; counted, not fatal
├── MissingDependency      an optional package is needed and not installed
└── CheckFailed            exit code 1: the work was done and a check on its result failed
    ├── ExportDisagreement runners that must agree do not
    ├── DamagedData        files are missing or are not those that their list names
    ├── DoesNotFit         a model needs more flash or RAM than its target allows
    └── GoldenMismatch     a runner does not reproduce the bundle's golden outputs

Messages say what was found, what was expected and what to do.
"""

from __future__ import annotations


class EdgeMIError(Exception):
    """Root of all errors that a caller of EdgeMI may want to act on."""

    exit_code = 2


class ConfigError(EdgeMIError):
    """A value given by the caller is out of range or unknown."""


class SignalError(EdgeMIError):
    """Samples that cannot be an ECG in millivolts at the stated rate."""


class RecordError(EdgeMIError):
    """A record on disk that cannot be read as what it claims to be."""


class StoreError(EdgeMIError):
    """A window store that is damaged, of another kind, or too small for its use."""


class CheckpointError(EdgeMIError):
    """A checkpoint that is damaged, of another kind, or not finite."""


class BundleError(EdgeMIError):
    """A bundle that is damaged, of another schema, or changed since it was written."""


class SignatureError(BundleError):
    """A bundle that is not signed, not by the key that was demanded, or changed since it was signed."""


class DownloadError(EdgeMIError):
    """A server that cannot be reached, or does not give what it lists."""


class OutputError(EdgeMIError):
    """A place that cannot be written, or that already holds something."""


class PatchError(EdgeMIError):
    """The link to a patch cannot go on."""


class DeviceNotFound(PatchError):
    """No such patch in reach, or no radio to look with."""


class FrameError(PatchError):
    """Bytes of a patch that are no frame of its profile."""


class MissingDependency(EdgeMIError):
    """An optional package is needed and not installed.

    `module` is the import name, `extra` the extra of edge-mi that brings it.
    """

    def __init__(self, module: str, *, extra: str) -> None:
        super().__init__(f"{module} is not installed: pip install '.[{extra}]' (in the folder of EdgeMI)")
        self.module = module
        self.extra = extra


class CheckFailed(EdgeMIError):
    """The work was done and a check on its result failed."""

    exit_code = 1


class ExportDisagreement(CheckFailed):
    """Runners that must agree on the exported files do not; `table` says, layer by layer, where it broke."""

    def __init__(self, message: str, *, table: str | None = None) -> None:
        super().__init__(message)
        self.table = table


class DamagedData(CheckFailed):
    """Files are missing, or are not those that their list names."""


class DoesNotFit(CheckFailed):
    """A model needs more flash or RAM than its target allows."""


class GoldenMismatch(CheckFailed):
    """A runner does not reproduce the golden outputs of the bundle."""
