"""Every error that Headrace raises on purpose.

    HeadraceError
    |-- ConfigError (ValueError)         a setting is wrong, or cannot work with this input
    |-- MissingInputError                an input file, directory or artifact is not there
    |-- CorruptInputError                an input's bytes are not what its format demands
    |-- TooManyDropsError                more records were quarantined than the limit allows
    |-- StoreError                       the artifact store cannot be used (permission, space)
    |   `-- IncompleteArtifactError      a directory has no manifest, or one that does not hold
    |-- ConversionError                  a checkpoint or export cannot be converted faithfully
    |   `-- ParityError                  it was converted, and the proof failed
    |-- TrainingError                    training cannot go on (loss is not finite, ...)
    |   `-- TrainingStoppedError         stopped on request after saving; run again to go on
    |-- ProcessFailedError               a child program ended with an error
    |   |-- WorkerLostError              it was killed from outside; worth another try
    |   `-- OutOfMemoryError             it was killed for want of memory
    `-- ServingError                     the Triton server or its model does not do its work
        `-- ServerUnavailableError       it could not be reached in time; worth another try

A message is one line: what was expected, what was found, where (file, record, offset), and the
next move. `is_retryable` is the one place that says which errors a scheduler may try again.
"""

from __future__ import annotations

import errno
import socket

_PASSING_ERRNOS = {
    errno.ENETDOWN, errno.ENETUNREACH, errno.ENETRESET, errno.EHOSTDOWN, errno.EHOSTUNREACH,
    errno.ESTALE, errno.EREMOTEIO, socket.EAI_AGAIN,
}  # fmt: skip
"""The network, or a file system behind it, was away."""


class HeadraceError(Exception):
    """Base of the tree; the command line prints its message as one line, without a traceback."""


class ConfigError(HeadraceError, ValueError):
    """A setting is wrong, or cannot work with the input it was given."""


class MissingInputError(HeadraceError):
    """An input file, directory or artifact is not there."""


class CorruptInputError(HeadraceError):
    """An input's bytes are not what its format demands."""


class TooManyDropsError(HeadraceError):
    """More records were quarantined than the stage's limit allows."""


class StoreError(HeadraceError):
    """The artifact store cannot be used as asked."""


class IncompleteArtifactError(StoreError):
    """A directory holds no finished artifact: its manifest is missing or does not hold."""


class ConversionError(HeadraceError):
    """A checkpoint or an export cannot be converted faithfully."""


class ParityError(ConversionError):
    """A conversion was made, and the proof that it is right failed."""


class TrainingError(HeadraceError):
    """Training cannot go on."""


class TrainingStoppedError(TrainingError):
    """Training was asked to stop and saved a checkpoint; running again goes on from there."""


class ProcessFailedError(HeadraceError):
    """A child program ended with an error."""


class WorkerLostError(ProcessFailedError):
    """A process that did the work is gone through no fault of the work; another try may succeed."""


class OutOfMemoryError(ProcessFailedError):
    """The system killed a process because there was no memory left."""


class ServingError(HeadraceError):
    """The Triton server or a model in it does not do its work."""


class ServerUnavailableError(ServingError):
    """A server could not be reached in time; another try may succeed."""


def is_retryable(error: BaseException) -> bool:
    """Whether a stage that failed with `error` is worth running again by itself.

    Bad settings, bad data, a failed proof, a non-finite loss or lack of memory stay wrong however
    often they are tried. What depends on the moment (a server not answering or being started again,
    a broken connection, a network file system that was away, a lost worker) may pass.
    """
    if isinstance(error, ServerUnavailableError | WorkerLostError):
        return True
    if isinstance(error, HeadraceError):
        return False
    if isinstance(error, ConnectionError | TimeoutError):
        return True
    return isinstance(error, OSError) and error.errno in _PASSING_ERRNOS
