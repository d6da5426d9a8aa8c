"""The deployed API does what its own description says, whatever it is asked (`INTERLOCK_LONG=1` asks far more)."""

from __future__ import annotations

import json
import os
from collections import Counter
from typing import Any
from urllib.parse import urlsplit

import requests
import schemathesis
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from hypothesis import HealthCheck, settings
from requests.auth import AuthBase
from schemathesis import Case
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    positive_data_acceptance,
    response_schema_conformance,
    status_code_conformance,
)

from cli.executions import Run
from cli.target import Target

from .conftest import ROOT

ASKED: Counter[str] = Counter()
LONG = bool(os.environ.get("INTERLOCK_LONG"))


class Signed(AuthBase):
    """Signs whatever is about to be sent, for the API's own host at the loopback address."""

    def __init__(self, target: Target) -> None:
        self._signer = SigV4Auth(target.session.get_credentials(), "execute-api", target.session.region_name)
        self._url = target.outputs["ApiUrl"].rstrip("/")

    def __call__(self, asked: requests.PreparedRequest) -> requests.PreparedRequest:
        headers = {"host": urlsplit(self._url).netloc}
        request = AWSRequest(asked.method, self._url + asked.path_url, data=asked.body or b"", headers=headers)
        self._signer.add_auth(request)
        asked.headers.update(dict(request.headers.items()))
        return asked


def schema() -> Any:
    """The committed description of the census model's API."""
    document = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
    # Who may call is signed for below.
    del document["security"]
    found = schemathesis.openapi.from_dict(document)
    # What a version is asked by its number, the same function answers by the same rules.
    return found if LONG else found.exclude(path_regex="/versions/.*/infer$")


SCHEMA = schema()


def test_what_is_deployed_says_of_itself_what_is_committed(target: Target, champions: dict[str, Run]) -> None:
    committed = json.loads((ROOT / "docs/openapi.json").read_text("utf-8"))
    deployed = json.loads(target.call("GET", "/openapi.json")[1])
    assert {path: deployed["paths"][path] for path in committed["paths"]} == committed["paths"]
    schemas = deployed["components"]["schemas"]
    assert {name: schemas[name] for name in committed["components"]["schemas"]} == committed["components"]["schemas"]


@SCHEMA.parametrize()
@settings(max_examples=100 if LONG else 4, deadline=None, suppress_health_check=list(HealthCheck), derandomize=not LONG)
def test_every_answer_is_one_that_is_described(case: Case, target: Target, champions: dict[str, Run]) -> None:
    checks = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
    if case.path.endswith("/predict"):
        # Shapes and data of tensors, and text that must be CSV, are more than a schema can say.
        checks += [negative_data_rejection, positive_data_acceptance]
    base = f"http://127.0.0.1:{urlsplit(target.outputs['ApiUrl']).port}"
    case.call_and_validate(base_url=base, auth=Signed(target), checks=checks)
    ASKED[case.operation.label] += 1


def test_every_operation_was_asked(target: Target, champions: dict[str, Run]) -> None:
    print(f"{ASKED.total()} calls: {dict(ASKED)}")
    assert set(ASKED) == {item.ok().label for item in SCHEMA.get_all_operations()}
