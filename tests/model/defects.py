"""Defects to be planted, one at a time, to see that the machines find them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from model.inline_database import InlineDatabase
from volery_controlplane.domain import reports
from volery_controlplane.domain.errors import Stale
from volery_controlplane.domain.records import FoldedReport
from volery_controlplane.services import waves
from volery_controlplane.store.executions import SqlExecutionStore
from volery_dataplane.domain import restoring, tree
from volery_dataplane.domain.attempts import Attempts
from volery_dataplane.domain.scopes import MapScope
from volery_dataplane.domain.tree import Tree
from volery_dataplane.domain.walk import Walk
from volery_dataplane.worker.lease import Lease
from volery_dataplane.worker.worker import Worker

Plant = Callable[[pytest.MonkeyPatch], None]


# --- in the walk ---------------------------------------------------------------------------------


def a_node_starts_before_all_its_inputs_are_there(patch: pytest.MonkeyPatch) -> None:
    ended = Tree.child_ended

    def early(self: Tree, scope: Any, child: int, *rest: Any) -> None:
        if not isinstance(scope, MapScope) and scope.plan.nodes[child].downstream:
            for after in scope.plan.nodes[child].downstream:
                scope.waiting[after] = min(scope.waiting[after], 1)
        ended(self, scope, child, *rest)

    patch.setattr(Tree, "child_ended", early)


def what_is_skipped_is_told_as_failed(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(tree, "SKIPPED", tree.FAILED)


def a_late_end_is_taken_for_the_next_attempts(patch: pytest.MonkeyPatch) -> None:
    def any_attempt(self: Walk, path: str, attempt: int) -> Any:
        run = self._tree.runs.get(path)
        return None if run is None or path in self._tree.ledger.starts else run

    patch.setattr(Walk, "_out", any_attempt)


def a_takeover_forgets_how_often_tasks_have_failed(patch: pytest.MonkeyPatch) -> None:
    place = restoring._place
    patch.setattr(
        restoring,
        "_place",
        lambda tree, scopes, standing: place(tree, scopes, replace(standing, user_failures=0)),
    )


def a_takeover_forgets_what_was_under_way(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Walk, "in_flight", property(lambda self: []))


def a_map_begins_more_items_than_it_may(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MapScope, "admissible", property(lambda self: self.counts[tree.UNREACHED]))


def the_timers_of_resting_nodes_are_lost(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Walk, "next_timer", property(lambda self: None))
    patch.setattr(Walk, "timer", lambda self, now: None)


def what_was_answered_by_the_cache_runs_all_the_same(patch: pytest.MonkeyPatch) -> None:
    answered = Attempts.answered

    def missed(self: Attempts, run: Any, answer: Any, now: int) -> None:
        answered(self, run, replace(answer, status=2), now)

    patch.setattr(Attempts, "answered", missed)


WALK: Sequence[Plant] = (
    a_node_starts_before_all_its_inputs_are_there,
    what_is_skipped_is_told_as_failed,
    a_late_end_is_taken_for_the_next_attempts,
    a_takeover_forgets_how_often_tasks_have_failed,
    a_takeover_forgets_what_was_under_way,
    a_map_begins_more_items_than_it_may,
    the_timers_of_resting_nodes_are_lost,
    what_was_answered_by_the_cache_runs_all_the_same,
)


# --- in the protocol -----------------------------------------------------------------------------


def the_fence_is_not_checked(patch: pytest.MonkeyPatch) -> None:
    """Whoever reports is believed, whatever token it has."""
    judge = reports.judge

    def believed(head: Any, report: Any, session_id: str) -> Any:
        if head is None:
            raise Stale("gone")
        report.number = head.last_report + 1
        report.fencing_token = head.fencing_token
        return judge(replace(head, session_id=session_id), report, session_id)

    patch.setattr(waves, "judge", believed)


def a_repeat_is_applied_twice(patch: pytest.MonkeyPatch) -> None:
    judge = reports.judge

    def again(head: Any, report: Any, session_id: str) -> Any:
        if head is not None and report.fencing_token == head.fencing_token:
            report.number = head.last_report + 1
        return judge(head, report, session_id)

    patch.setattr(waves, "is_repeat", lambda head, report: False)
    patch.setattr(waves, "judge", again)


def attempts_are_launched_before_they_are_committed(patch: pytest.MonkeyPatch) -> None:
    report = Worker._report

    def early(self: Worker, walking: Any, now: int) -> Any:
        made = report(self, walking, now)
        if walking.sent is not None and walking.wave is not None:
            self._launch(walking, walking.wave)
            walking.wave = replace(walking.wave, starts=[])
        return made

    patch.setattr(Worker, "_report", early)


def a_row_of_the_inbox_is_dropped(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(SqlExecutionStore, "inbox", lambda self, key, after: [])


def a_commit_tells_nobody(patch: pytest.MonkeyPatch) -> None:
    """What is committed ends with its caller."""

    async def with_its_caller(self: InlineDatabase, intention: Any, then: Any = None) -> Any:
        result = await self._transact(intention)
        if then is not None:
            then(result)
        return result

    patch.setattr(InlineDatabase, "transact", with_its_caller)


def a_batch_without_answer_is_forgotten(patch: pytest.MonkeyPatch) -> None:
    """It is not said again on the next stream."""
    welcomed = Worker._welcomed

    def forgetful(self: Worker, welcome: Any) -> None:
        self._in_flight = None
        welcomed(self, welcome)

    patch.setattr(Worker, "_welcomed", forgetful)


def a_worker_believes_in_its_lease_for_ever(patch: pytest.MonkeyPatch) -> None:
    """By itself it does no harm, since the fence holds; together with no fence it does."""
    patch.setattr(Lease, "expired", lambda self, now: False)
    the_fence_is_not_checked(patch)


def the_journal_has_gaps(patch: pytest.MonkeyPatch) -> None:
    apply = SqlExecutionStore.apply

    def skipping(self: SqlExecutionStore, folded: Sequence[FoldedReport]) -> None:
        apply(
            self,
            [
                replace(item, first_sequence=item.first_sequence + 1, last_sequence=item.last_sequence + 1)
                for item in folded
            ],
        )

    patch.setattr(SqlExecutionStore, "apply", skipping)


PROTOCOL: Sequence[Plant] = (
    the_fence_is_not_checked,
    a_repeat_is_applied_twice,
    attempts_are_launched_before_they_are_committed,
    a_row_of_the_inbox_is_dropped,
    a_commit_tells_nobody,
    a_batch_without_answer_is_forgotten,
    a_worker_believes_in_its_lease_for_ever,
    the_journal_has_gaps,
    a_map_begins_more_items_than_it_may,
    what_is_skipped_is_told_as_failed,
)


# --- where attempts outlive workers --------------------------------------------------------------


def what_runs_is_not_looked_for_by_the_next_holder(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(Walk, "_adopt", lambda self: None)


ADOPTING = [what_runs_is_not_looked_for_by_the_next_holder]
