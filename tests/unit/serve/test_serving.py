"""What serves: the surface, releases and captures. The protocol's own rules are in test_request.py."""

from __future__ import annotations

import json
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import msgspec
import numpy as np
import pytest

import serve.operations
from interlock.errors import DependencyUnavailable, UnknownModel
from interlock.records import LiveRelease
from serve.captures import lines
from serve.live import Live
from serve.loaded import Memory
from serve.protocol.response import interpret
from serve.protocol.routes import Operation, UnknownPath, route
from serve.stored import live_release, served_model
from tests.unit.release.world import sigmoid
from tests.unit.serve.world import World, call, document


@pytest.fixture
def world(monkeypatch: pytest.MonkeyPatch) -> World:
    found = World()
    found.serve(monkeypatch)
    return found


def test_the_whole_surface_answers(world: World) -> None:
    assert call("GET", "/v2")[1] == {"name": "interlock", "version": "0.1.0", "extensions": []}
    assert call("GET", "/v2/health/live")[1] == {"live": True}
    assert call("GET", "/v2/health/ready")[1] == {"live": True, "ready": True}
    assert call("GET", "/v2/models/flats/ready")[1] == {"name": "flats", "ready": True}
    assert call("GET", "/v2/models/flats/versions/3")[1]["platform"] == "onnx_onnxv1"
    status, answer, headers = call("POST", "/v2/models/flats/versions/3/infer", document([1.0], ["north"], id="mine"))
    assert (status, answer["id"], answer["model_version"]) == (200, "mine", "3")
    assert headers["x-interlock-revision"] == "1"
    assert answer["parameters"] == {"revision": 1, "request_id": "request-1"}


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/", 404),
        ("GET", "/v3", 404),
        ("GET", "/v2/models/flats/infer", 404),
        ("POST", "/v2/models/flats", 404),
        ("GET", "/v2/models/nobody", 404),
        ("GET", "/v2/models/flats/versions/4", 404),
        ("GET", "/v2/models/flats/versions/latest", 404),
    ],
)
def test_what_does_not_exist_is_answered_in_the_error_form(world: World, method: str, path: str, status: int) -> None:
    got, answer, _ = call(method, path, {})
    assert got == status
    assert answer["error"]


def test_another_content_type_is_refused(world: World) -> None:
    status, answer, _ = call("POST", "/v2/models/flats/infer", b"x", **{"content-type": "text/csv"})
    assert status == 415
    assert "text/csv" in answer["error"]


def test_an_unexpected_fault_is_a_500_without_details(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: Any) -> None:
        raise RuntimeError("a secret detail")

    monkeypatch.setattr(serve.operations, "answered", broken)
    status, answer, _ = call("POST", "/v2/models/flats/infer", document([1], ["x"]))
    assert status == 500
    assert "secret" not in answer["error"]


def test_a_release_is_read_again_after_five_seconds(world: World) -> None:
    assert world.live.release("flats").revision == 1
    world.release(2)
    world.now = 4.9
    assert world.live.release("flats").revision == 1
    world.now = 5.0
    assert world.live.release("flats").revision == 2


def test_the_last_release_serves_on_when_it_cannot_be_read(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    assert world.live.release("flats").revision == 1

    def down(*_: Any) -> None:
        raise DependencyUnavailable("the table does not answer")

    monkeypatch.setattr(world, "document", down)
    world.now = 60
    assert world.live.release("flats").revision == 1
    assert world.unreadable == 1


def test_nothing_serves_before_the_first_release() -> None:
    world = World()
    world.state.items.clear()
    with pytest.raises(UnknownModel):
        Live(world, Memory(1), world.count).release("flats")


def test_a_first_release_serves_at_once_also_where_it_was_probed(world: World) -> None:
    world.release(1, probing=True)
    assert world.live.version(world.live.release("flats"), 3).served.version == 3
    with pytest.raises(UnknownModel):
        world.loaded()
    world.release(2)
    assert world.loaded().served.version == 3


def test_altered_bytes_are_not_loaded() -> None:
    from interlock.errors import ChecksumMismatch

    world = World()
    wrong = world.served.onnx.model_copy(update={"sha256": "0" * 64})
    body = world.served.model_copy(update={"onnx": wrong}).to_json().encode()
    world.candidate = world.candidate.model_copy(update={"served": world.objects.put("served.json", body)})
    world.release(2)
    with pytest.raises(ChecksumMismatch):
        world.loaded()


def test_a_restricted_value_is_captured_as_its_bin(world: World) -> None:
    loaded = world.loaded()
    request = loaded.read(json.dumps(document([1, 2, 3], ["south", "atlantis", None])).encode())
    answer = interpret(np.array([[0.5, 0.5]] * 3), loaded.signature)
    (line,) = lines(request, answer, loaded.served, 7, "r", "2026-01-01T00:00:00+00:00")
    found = json.loads(line)
    assert found["inputs"] == {"size": [1.0, 2.0, 3.0], "place": [1, 2, None]}
    assert (found["first_row"], found["revision"], found["labels"]) == (0, 7, ["no"] * 3)
    assert b"south" not in line


def test_paths_name_operations() -> None:
    assert route("GET", "/v2/") == route("GET", "/v2")
    assert route("POST", "/v2/models/a/versions/12/infer").version == 12
    assert route("GET", "/v2/models/a").operation is Operation.MODEL
    with pytest.raises(UnknownPath):
        route("DELETE", "/v2/models/a")


def test_a_long_capture_is_cut_into_lines_that_fit_a_log_event(world: World) -> None:
    loaded, sizes = world.loaded(), [number / 7 for number in range(10_000)]
    inputs = tuple(
        item if item.name == "size" else msgspec.structs.replace(item, restricted=False)
        for item in loaded.served.inputs
    )
    request = loaded.read(json.dumps(document(sizes, ["ä" * 60] * 10_000)).encode())
    answer = interpret(np.array([[0.5, 0.5]] * 10_000), loaded.signature)
    served = msgspec.structs.replace(loaded.served, inputs=inputs)
    found = list(lines(request, answer, served, 7, "r", "2026-01-01T00:00:00+00:00"))
    assert max(map(len, found)) < 262_144
    cut = [json.loads(line) for line in found]
    assert [size for line in cut for size in line["inputs"]["size"]] == sizes
    assert [line["first_row"] for line in cut] == list(np.cumsum([0, *(len(line["scores"]) for line in cut[:-1])]))


def test_what_serving_reads_of_the_records_is_what_was_written() -> None:
    """`serve.stored` says again, for speed, what `interlock.records` defines."""
    world = World()
    release = world.state.get(LiveRelease, "model#flats", "live")
    assert release is not None
    for whole, read_back in (
        (release, live_release(release.to_json().encode())),
        (world.served, served_model(world.served.to_json().encode())),
    ):
        wanted, got = json.loads(whole.to_json()), msgspec.to_builtins(read_back)
        assert _common(wanted, got) == got


def _common(whole: Any, part: Any) -> Any:
    """The whole, cut down to the part's fields."""
    if isinstance(part, dict):
        return {name: _common(whole[name], value) for name, value in part.items()}
    if isinstance(part, list | tuple):
        return type(part)(_common(one, other) for one, other in zip(whole, part, strict=True))
    return whole


def test_a_record_of_a_later_schema_is_not_guessed_at() -> None:
    from interlock.errors import IntegrityError

    for read_one in (live_release, served_model):
        with pytest.raises(IntegrityError):
            read_one(b'{"schema_version": 2}')


def test_the_least_recently_used_version_goes_when_memory_is_short() -> None:
    world = World()
    one = world.loaded()
    memory, opened = Memory(3 * one.size), []
    for key in ("a", "b", "c", "a", "d", "a", "b"):
        if memory.get(key) is None:
            opened.append(key)
            memory.put(key, one)
    assert opened == ["a", "b", "c", "d", "b"]
    assert len(memory) == 3
    alone = Memory(1)
    assert alone.put("larger than allowed", one) is alone.get("larger than allowed") is one


def test_a_blocked_log_costs_no_answer_and_the_loss_is_counted_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Blocked:
        """A pipe that nobody reads any more, and later somebody does."""

        def __init__(self) -> None:
            self.broken, self.lines, self.buffer = True, b"", self

        def write(self, text: bytes) -> None:
            if self.broken:
                raise BrokenPipeError
            self.lines += text

        def flush(self) -> None:
            pass

    pipe = Blocked()
    monkeypatch.setattr("sys.stdout", pipe)
    for _ in range(3):
        assert call("POST", "/v2/models/flats/infer", document([1.0], ["north"]))[0] == 200
    pipe.broken = False
    assert call("POST", "/v2/models/flats/infer", document([1.0], ["north"]))[0] == 200
    told = [json.loads(line) for line in pipe.lines.splitlines()]
    assert told[0]["LinesLost"] == 3
    assert told[0]["_aws"]["CloudWatchMetrics"][0]["Metrics"] == [{"Name": "LinesLost"}]
    assert [line["interlock"] for line in told[1:]] == ["capture"]


def test_sixteen_callers_at_once_each_get_their_own_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    """One instance serves one call at a time on Lambda; a server of threads would share all that this one shares."""
    World(sigmoid()).serve(monkeypatch)

    def ask(number: int) -> tuple[str, float]:
        sent = document([number / 50], ["north" if number % 2 else "south"], id=str(number))
        status, answer, _ = call("POST", "/v2/models/flats/infer", sent)
        assert status == 200
        return answer["id"], answer["outputs"][1]["data"][0]

    numbers = [*range(200)]
    alone = [ask(number) for number in numbers]
    assert len({score for _, score in alone}) > 150
    with ThreadPoolExecutor(16) as callers:
        assert list(callers.map(ask, numbers * 4)) == alone * 4
