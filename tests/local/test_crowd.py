"""Many callers at once on the deployed cloud: nobody gets another's answer, and no capture is lost.

`python -m tests.performance.captured_cloud` does the same with 2,000 calls.
"""

from __future__ import annotations

import time
from collections import Counter

from cli.executions import Run
from cli.target import Target

from . import crowd
from .conftest import HOME

CALLS = 200


def test_sixteen_callers_at_once_get_their_own_answers_and_every_call_is_kept_once(
    target: Target, champions: dict[str, Run]
) -> None:
    began = time.monotonic()
    answers = crowd.ask(target, crowd.people(CALLS))
    slowest = max(answer.seconds for answer in answers)
    print(f"{CALLS} calls by {crowd.CALLERS} callers in {time.monotonic() - began:.1f} s, the slowest {slowest:.1f} s")
    assert len({answer.request_id for answer in answers}) == CALLS
    assert len({answer.score for answer in answers}) > CALLS / 2
    assert Counter(crowd.kept(target, answers, HOME)) == Counter(crowd.sent(answers))
