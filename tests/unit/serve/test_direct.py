"""Reading without boto3: botocore's own signatures are the judge, a server on the loopback address the service."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl, unquote, urlsplit

import pytest
from botocore.auth import S3SigV4Auth, SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials as Judges
from hypothesis import given
from hypothesis import strategies as st

from interlock.aws.direct import Direct
from interlock.aws.sigv4 import Credentials, escaped, query_string, signed
from interlock.errors import ChecksumMismatch, DependencyUnavailable, Throttled
from interlock.records import ObjectRef
from tests.door import Door, served

AT = datetime(2026, 3, 1, 12, 30, 45, tzinfo=UTC)


@given(
    service=st.sampled_from(["s3", "dynamodb", "execute-api"]),
    method=st.sampled_from(["GET", "POST"]),
    # A path of dots or doubled slashes would be another resource; S3 alone has keys like that.
    key=st.lists(st.text(st.characters(codec="utf-8", exclude_characters="/"), min_size=1, max_size=8), max_size=3)
    .filter(lambda parts: not {".", ".."} & set(parts)),
    query=st.dictionaries(st.text("abcXYZ-_ &=/+ä", min_size=1, max_size=6), st.text(max_size=8), max_size=3),
    headers=st.dictionaries(st.sampled_from(["content-type", "x-amz-target"]), st.text("abc  /;=-", max_size=9)),
    body=st.binary(max_size=20),
    token=st.one_of(st.none(), st.just("a/session+token==")),
)  # fmt: skip
def test_signatures_are_botocores(
    service: str,
    method: str,
    key: list[str],
    query: dict[str, str],
    headers: dict[str, str],
    body: bytes,
    token: str | None,
) -> None:
    path = escaped("/" + "/".join(key))
    sent = {**headers, "host": "example.amazonaws.com"}
    who = Credentials("AKIDEXAMPLE", "secret/key", token)
    got = signed(method, path, query, sent, body, who, "eu-west-1", service, "20260301T123045Z")

    tail = f"?{query_string(query)}" if query else ""
    request = AWSRequest(method, f"https://example.amazonaws.com{path}{tail}", data=body, headers=sent)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("botocore.auth.get_current_datetime", lambda: AT.replace(tzinfo=None))
        judge = S3SigV4Auth if service == "s3" else SigV4Auth
        judge(Judges(who.key, who.secret, who.token), service, "eu-west-1").add_auth(request)
    wanted = {name.lower(): value for name, value in request.headers.items()}
    assert got["authorization"] == wanted["authorization"]
    assert got.get("x-amz-security-token") == wanted.get("x-amz-security-token")


class Service:
    """Answers from a list; keeps what it was asked."""

    url: str

    def __init__(self) -> None:
        self.answers: list[tuple[int, bytes] | None] = []
        self.asked: list[tuple[str, str, dict[str, str], bytes]] = []
        outer = self

        class Answers(Door):
            def answer(self) -> None:
                headers = {name.lower(): value for name, value in self.headers.items()}
                outer.asked.append((self.command, self.path, headers, self.came()))
                answer = outer.answers.pop(0)
                if answer is None:
                    self.close_connection = True
                    return
                self.say(*answer)

        self.door = Answers


@pytest.fixture
def service(monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    found = Service()
    with served(found.door) as found.url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", found.url)
        for name, value in (("REGION", "eu-west-1"), ("ACCESS_KEY_ID", "AKID"), ("SECRET_ACCESS_KEY", "s")):
            monkeypatch.setenv(f"AWS_{name}", value)
        yield found


def direct(pauses: list[float] | None = None, clock: Callable[[], float] = AT.timestamp) -> Direct:
    return Direct("state", sleep=(pauses if pauses is not None else []).append, clock=clock)


def ref(body: bytes, key: str = "models/a b/ü.onnx") -> ObjectRef:
    return ObjectRef(bucket="bucket", key=key, version="v+1", sha256=hashlib.sha256(body).hexdigest(), size=len(body))


def item(text: str) -> bytes:
    return json.dumps({"Item": {"document": {"S": text}}}).encode()


def test_an_item_is_read_consistently_by_its_key(service: Service) -> None:
    service.answers = [(200, item('{"a": 1}')), (200, b"{}")]
    reader = direct()
    assert reader.document("model#a", "live") == b'{"a": 1}'
    assert reader.document("model#b", "live") is None
    method, path, headers, body = service.asked[0]
    assert (method, path, headers["x-amz-target"]) == ("POST", "/", "DynamoDB_20120810.GetItem")
    key = {"pk": {"S": "model#a"}, "sk": {"S": "live"}}
    assert json.loads(body) == {"TableName": "state", "Key": key, "ConsistentRead": True}
    assert headers["x-amz-date"] == "20260301T123045Z"


def test_a_call_is_counted_unless_the_limit_is_reached(service: Service) -> None:
    failed = b'{"__type": "com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException"}'
    service.answers = [(200, b"{}"), (400, failed), (400, b'{"__type": "ResourceNotFoundException"}')]
    writer = direct()
    assert writer.count("quota", "me#1", 5, 99)
    _, _, headers, body = service.asked[0]
    assert headers["x-amz-target"] == "DynamoDB_20120810.UpdateItem"
    assert (json.loads(body)["TableName"], json.loads(body)["Key"]) == ("quota", {"caller": {"S": "me#1"}})
    assert not writer.count("quota", "me#1", 5, 99)
    with pytest.raises(DependencyUnavailable, match="ResourceNotFound"):
        writer.count("quota", "me#1", 5, 99)


def test_an_object_is_read_by_its_version_and_its_bytes_are_checked(service: Service) -> None:
    service.answers = [(200, b"model"), (200, b"altered"), (404, b"<Code>NoSuchVersion</Code>")]
    reader = direct()
    assert reader.get(ref(b"model")) == b"model"
    _, path, headers, _ = service.asked[0]
    parts = urlsplit(path)
    assert unquote(parts.path) == "/bucket/models/a b/ü.onnx"
    assert parse_qsl(parts.query) == [("versionId", "v+1")]
    assert headers["authorization"].startswith("AWS4-HMAC-SHA256 Credential=AKID/20260301/eu-west-1/s3/")
    with pytest.raises(ChecksumMismatch, match="is not the recorded"):
        reader.get(ref(b"model"))
    with pytest.raises(ChecksumMismatch, match="is gone"):
        reader.get(ref(b"model"))


@pytest.mark.parametrize(
    "first", [(500, b"oh"), (400, b'{"__type": "ThrottlingException"}'), (503, b"<Code>SlowDown</Code>"), None]
)
def test_throttles_faults_and_broken_connections_are_tried_again(
    service: Service, first: tuple[int, bytes] | None
) -> None:
    service.answers = [first, first, (200, item("x"))]
    pauses: list[float] = []
    assert direct(pauses).document("model#a", "live") == b"x"
    assert len(pauses) == 2
    assert all(0 <= pause <= 0.2 for pause in pauses)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        ((500, b"oh"), DependencyUnavailable),
        ((400, b'{"__type": "ThrottlingException"}'), Throttled),
        (None, DependencyUnavailable),
    ],
)
def test_what_stays_is_told_in_our_words(
    service: Service, answer: tuple[int, bytes] | None, error: type[Exception]
) -> None:
    service.answers = [answer] * 3
    with pytest.raises(error):
        direct().document("model#a", "live")
    assert len(service.asked) == 3


def test_a_missing_right_is_not_tried_again(service: Service) -> None:
    service.answers = [(400, b'{"__type": "AccessDeniedException"}'), (403, b"<Code>AccessDenied</Code>")]
    reader = direct()
    with pytest.raises(DependencyUnavailable, match="AccessDenied"):
        reader.document("model#a", "live")
    with pytest.raises(DependencyUnavailable, match="AccessDenied"):
        reader.get(ref(b"model"))
    assert len(service.asked) == 2


def test_after_a_restore_credentials_come_from_their_address_until_they_end(
    service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_CONTAINER_CREDENTIALS_FULL_URI", f"{service.url}/credentials?x=1")
    monkeypatch.setenv("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token")
    given = {"AccessKeyId": "ASIA1", "SecretAccessKey": "s", "Token": "t", "Expiration": "2026-03-01T13:00:00Z"}
    later = given | {"AccessKeyId": "ASIA2", "Expiration": "2026-03-01T19:00:00Z"}
    service.answers = [
        (200, json.dumps(given).encode()),
        *[(200, b"{}")] * 2,
        (200, json.dumps(later).encode()),
        (200, b"{}"),
    ]
    now = [AT.timestamp()]
    reader = direct(clock=lambda: now[0])
    reader.document("a", "live")
    reader.document("a", "live")
    now[0] += 1600
    reader.document("a", "live")
    assert [path for _, path, _, _ in service.asked] == ["/credentials?x=1", "/", "/", "/credentials?x=1", "/"]
    assert service.asked[0][2]["authorization"] == "token"
    assert "Credential=ASIA1/" in service.asked[2][2]["authorization"]
    assert "Credential=ASIA2/" in service.asked[4][2]["authorization"]
    assert service.asked[4][2]["x-amz-security-token"] == "t"


@pytest.mark.parametrize(
    ("region", "bucket", "wanted"),
    [
        ("eu-west-1", None, ("https://dynamodb.eu-west-1.amazonaws.com", "")),
        ("cn-north-1", None, ("https://dynamodb.cn-north-1.amazonaws.com.cn", "")),
        ("eu-west-1", "models", ("https://models.s3.eu-west-1.amazonaws.com", "")),
        ("eu-west-1", "my.models", ("https://s3.eu-west-1.amazonaws.com", "/my.models")),
    ],
)
def test_aws_s_own_endpoints(
    monkeypatch: pytest.MonkeyPatch, region: str, bucket: str | None, wanted: tuple[str, str]
) -> None:
    monkeypatch.setenv("AWS_REGION", region)
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    assert direct()._endpoint("s3" if bucket else "dynamodb", bucket) == wanted


def test_a_cold_start_loads_neither_boto3_nor_pydantic() -> None:
    """Nor anything else that would take longer than opening the model."""
    import subprocess
    import sys

    slow = {"boto3", "botocore", "pydantic", "aws_lambda_powertools", "jinja2"}
    program = f"import sys, serve.infer; print(sorted({slow} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True, cwd="functions",
        env={"PYTHONPATH": "../layers/core"},
    )  # fmt: skip
    assert done.stdout.strip() == "[]"
