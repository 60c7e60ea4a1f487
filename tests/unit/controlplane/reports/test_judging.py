from __future__ import annotations

import pytest
from unit.controlplane.reports.said import SESSION, head, report
from volery_controlplane.domain.errors import Busy, Invalid, Stale
from volery_controlplane.domain.records import ExecutionHead
from volery_controlplane.domain.reports import is_repeat, judge
from volery_rules.phases import TERMINAL_EXECUTION_PHASES
from voleryidl.worker.v1.worker_service_pb2 import Drain, Park, Release

PARK = Release(park=Park())


def test_the_next_report_of_the_holder_is_accepted() -> None:
    assert judge(head(), report(), SESSION) == head()


def test_a_report_that_was_accepted_before_is_a_repeat() -> None:
    assert is_repeat(head(), report(number=4))
    assert is_repeat(head(), report(number=1))


def test_a_new_report_is_no_repeat() -> None:
    assert not is_repeat(head(), report(number=5))


def test_a_report_of_another_holder_is_no_repeat_whatever_its_number() -> None:
    assert not is_repeat(head(), report(number=4, fencing_token=2))


def test_a_gap_in_the_numbers_is_refused() -> None:
    with pytest.raises(Invalid, match="one is missing"):
        judge(head(), report(number=6), SESSION)


@pytest.mark.parametrize("token", [2, 4])
def test_a_report_with_another_token_is_stale(token: int) -> None:
    with pytest.raises(Stale):
        judge(head(), report(fencing_token=token), SESSION)


def test_the_token_alone_does_not_make_a_holder() -> None:
    with pytest.raises(Stale):
        judge(head(), report(), "another session")


def test_what_nobody_holds_takes_no_reports() -> None:
    with pytest.raises(Stale):
        judge(head(session_id=""), report(), SESSION)


def test_an_execution_that_is_not_there_takes_no_reports() -> None:
    nothing: ExecutionHead | None = None
    with pytest.raises(Stale):
        judge(nothing, report(), SESSION)


@pytest.mark.parametrize("phase", sorted(TERMINAL_EXECUTION_PHASES))
def test_an_execution_that_has_ended_takes_no_reports(phase: int) -> None:
    with pytest.raises(Stale):
        judge(head(phase=phase), report(), SESSION)


def test_staleness_counts_before_a_gap_in_the_numbers() -> None:
    with pytest.raises(Stale):
        judge(head(), report(number=9, fencing_token=2), SESSION)


def test_parking_with_an_unread_inbox_is_refused_and_says_how_far_it_goes() -> None:
    with pytest.raises(Busy) as refusal:
        judge(head(inbox_last=2), report(inbox_position=1, release=PARK), SESSION)
    assert refusal.value.metadata == {"inbox_last": "2"}


def test_parking_with_all_of_the_inbox_acted_on_is_accepted() -> None:
    judge(head(inbox_last=2), report(inbox_position=2, release=PARK), SESSION)


def test_parking_counts_what_an_earlier_holder_acted_on() -> None:
    judge(head(inbox_last=2, inbox_acknowledged=2), report(inbox_position=0, release=PARK), SESSION)


def test_an_unread_inbox_keeps_nobody_from_reporting_or_draining() -> None:
    judge(head(inbox_last=2), report(), SESSION)
    judge(head(inbox_last=2), report(release=Release(drain=Drain())), SESSION)
