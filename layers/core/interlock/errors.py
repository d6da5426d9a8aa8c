"""Every error Interlock raises on purpose, as one tree.

    InterlockError
    ├── InputError                  what somebody gave us is wrong                        400
    │   ├── InvalidSettings         cdk.json, environment variables
    │   ├── InvalidSpec             model.yaml
    │   ├── InvalidContract         contract.yaml
    │   ├── InvalidUpload           an upload that belongs to no model, or cannot be read at all
    │   ├── InvalidRequest          an HTTP request
    │   │   ├── PayloadTooLarge                                                           413
    │   │   └── UnsupportedContent  wrong content type                                    415
    │   ├── NotPermitted            a token without the scope                            403
    │   ├── QuotaExceeded           a caller has asked as often as is allowed a day      429
    │   ├── UnknownModel                                                                  404
    │   └── UnknownVersion                                                                404
    ├── Conflict                    right in itself, but not now                          409
    │   ├── AlreadyClaimed          the same event came before
    │   ├── LeaseHeld               another training of this model is running
    │   ├── RevisionChanged         the live release changed since it was read
    │   ├── NothingNew              a training on data that has been trained on already
    │   └── NotServing              no version of the model serves yet
    ├── TrainingFailed              the job ended without a model                         500
    │   ├── TrainingTimedOut
    │   └── TrainingStopped
    ├── ModelFailed                 the served model crashes or answers no number         500
    ├── Refused                     a check said no                                       422
    │   └── ProbeFailed             the new release answers wrongly
    ├── IntegrityError              stored bytes are not what was recorded                500
    │   ├── ChecksumMismatch
    │   └── LedgerBroken
    └── Unavailable                 somebody else's fault, worth a retry                  503
        ├── Throttled
        └── DependencyUnavailable

Class names are an interface: state machines retry and catch by them, the HTTP door maps them to a status,
the command prints `headline` above the message and `remedy` below it.
"""

from __future__ import annotations

import json
from typing import Any, ClassVar


class InterlockError(Exception):
    """Base of all; `message` says what is wrong and where, `remedy` what to do."""

    headline: ClassVar[str] = "Something went wrong"
    remedy: ClassVar[str] = "Run `interlock logs` and read the last lines."
    http_status: ClassVar[int] = 500
    exit_code: ClassVar[int] = 1

    def __init__(self, message: str, *, remedy: str | None = None) -> None:
        """Make the error.

        Args:
            message: what is wrong and where, in one sentence.
            remedy: what to do, when it can be said better than the class does.
        """
        super().__init__(message)
        self.message = message
        self.next_step = remedy or self.remedy


class InputError(InterlockError):
    """What somebody gave us is wrong."""

    headline = "The input is not usable"
    remedy = "Correct the input and send it again."
    http_status = 400
    exit_code = 2


class InvalidSettings(InputError):
    """A setting of the deployment or of a function is missing or wrong."""

    headline = "A setting is wrong"
    remedy = "Correct it in cdk.json (context) and deploy again."


class InvalidSpec(InputError):
    """model.yaml is wrong."""

    headline = "model.yaml is not usable"
    remedy = "Correct the named setting in model.yaml and deploy again."


class InvalidContract(InputError):
    """contract.yaml is wrong, or asks for something that is not enforced."""

    headline = "contract.yaml is not usable"
    remedy = "Correct the named part of contract.yaml and deploy again."


class InvalidUpload(InputError):
    """An upload that belongs to no model or cannot be read at all."""

    headline = "The upload cannot be read"
    remedy = "Upload CSV, JSON Lines or Parquet, plain, gzip or zstd, under incoming/<model>/."


class InvalidRequest(InputError):
    """An HTTP request that does not follow the protocol or the model's signature.

    `fields` names single values: row, column and message of each.
    """

    fields: list[dict[str, Any]] = []

    headline = "The request is not valid"
    remedy = "Read the model's metadata (GET /v2/models/<model>) and send the inputs it names."


class PayloadTooLarge(InvalidRequest):
    """More bytes or rows than one request may hold."""

    headline = "The request is too large"
    remedy = "Split the rows over several requests."
    http_status = 413


class UnsupportedContent(InvalidRequest):
    """A body that is not JSON."""

    headline = "The content type is not supported"
    remedy = "Send application/json."
    http_status = 415


class NotPermitted(InputError):
    """A caller's token does not hold the scope that this needs."""

    headline = "The token does not allow this"
    remedy = "Ask whoever issues the tokens for the named scope."
    http_status = 403


class QuotaExceeded(InputError):
    """A caller has asked as often as one may in a day; `seconds` until the next day."""

    headline = "The day's calls are used up"
    remedy = "Wait as long as Retry-After says, or ask for many rows in one call: a call counts once."
    http_status = 429

    def __init__(self, message: str, seconds: int) -> None:
        """Make the error."""
        super().__init__(message)
        self.seconds = seconds


class UnknownModel(InputError):
    """No such model is deployed."""

    headline = "There is no such model"
    remedy = "List the deployed models with `interlock status`."
    http_status = 404


class UnknownVersion(InputError):
    """No such version of the model is being served."""

    headline = "There is no such version"
    remedy = "Ask GET /v2/models/<model> for the versions that are served."
    http_status = 404


class Conflict(InterlockError):
    """Right in itself, but not now."""

    headline = "Not now"
    remedy = "Look at `interlock status` and try again."
    http_status = 409
    exit_code = 3


class AlreadyClaimed(Conflict):
    """The same event was taken before; nothing is done twice."""

    headline = "Already taken"
    remedy = "Nothing to do: the first event is being worked on or is done."


class LeaseHeld(Conflict):
    """Another training of this model is running; the request waits for its end."""

    headline = "A training is running"
    remedy = "Nothing to do: the next training takes what arrived meanwhile."


class RevisionChanged(Conflict):
    """The live release was changed by somebody else since it was read."""

    headline = "The release has changed meanwhile"
    remedy = "Look at `interlock status` and decide again."


class NothingNew(Conflict):
    """A training was asked for on exactly the data the champion was trained on."""

    headline = "Nothing new to train on"
    remedy = "Upload newer labelled data: more training on the same rows cannot help against drift."


class NotServing(Conflict):
    """No version of the model serves yet, so that there is no traffic to check."""

    headline = "Nothing serves yet"
    remedy = "Nothing to do: the check begins with the first release."


class TrainingFailed(InterlockError):
    """The training job ended without a model; the message is the job's own reason."""

    headline = "The training failed"
    remedy = "Read the job's log with `interlock logs --job <name>`, correct the cause, `interlock retry <run>`."
    exit_code = 4


class TrainingTimedOut(TrainingFailed):
    """The job ran into its time limit."""

    headline = "The training took too long"
    remedy = "Raise training.max_minutes in model.yaml or train on less."


class TrainingStopped(TrainingFailed):
    """Somebody stopped the job."""

    headline = "The training was stopped"


class ModelFailed(InterlockError):
    """The served model's own fault: it crashes, or its answer is not a number."""

    headline = "The model fails on this request"
    remedy = "Read the serving function's log with `interlock logs serve`; `interlock rollback` takes the version back."


class Refused(InterlockError):
    """A check said no."""

    headline = "Refused by a check"
    remedy = "Read the named report."
    http_status = 422
    exit_code = 5


class ProbeFailed(Refused):
    """The new release does not answer as its evaluation did; the old one was put back."""

    headline = "The new release answers wrongly"
    remedy = "Read the serving function's log with `interlock logs serve`."


class IntegrityError(InterlockError):
    """Stored bytes are not what was recorded."""

    headline = "Stored data has been altered"
    remedy = "Find out who changed it (`interlock history`); restore the recorded object version."
    exit_code = 6


class ChecksumMismatch(IntegrityError):
    """An object's sha256 differs from the recorded one; it is not used."""


class LedgerBroken(IntegrityError):
    """An entry of the ledger does not continue the hash of the one before it."""

    headline = "The ledger's chain is broken"


class Unavailable(InterlockError):
    """Somebody else's fault and worth a retry."""

    headline = "A service is not available"
    remedy = "Try again; if it stays, look at `interlock doctor`."
    http_status = 503
    exit_code = 7


class Throttled(Unavailable):
    """A service asked us to slow down."""


class DependencyUnavailable(Unavailable):
    """A service did not answer, or answered with a fault of its own."""


def reason(cause: str | None) -> str:
    """The message of an error as Step Functions hands it on: Lambda's JSON, or plain text."""
    try:
        return str(json.loads(cause or "")["errorMessage"])
    except (ValueError, KeyError, TypeError):
        return cause or "no cause was given"
