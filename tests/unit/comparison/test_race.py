"""Who stays in a race of widths and who is dropped, on made-up runs; a constant prediction has 1 nat."""

from __future__ import annotations

import math
from typing import Any

import pytest
from comparison_helpers import made_up_curve, made_up_summary

from tf_rnn.comparison.race import Round, judge
from tf_rnn.comparison.ranking import Question
from tf_rnn.comparison.summary import Summary


def after(fraction: float, *summaries: Summary, is_last: bool = False, lowest: float = 0.0) -> Round:
    """The decisions, which do not depend on the order of the widths."""
    given = [_part(summary, fraction) for summary in summaries]
    question = Question("9 tokens", 1.0, (0.1,), tuple(one.num_steps for one in given), lowest=lowest)
    found, other = (judge(order, question, is_last=is_last) for order in (given, given[::-1]))
    assert (found.kept, found.leader, found.is_over) == (other.kept, other.leader, other.is_over)
    assert [each.summary.num_steps for each in found.standings] == sorted(one.num_steps for one in given)
    return found


def _part(summary: Summary, fraction: float) -> Summary:
    return Summary(**{**vars(summary), "fraction": fraction})


def fates(found: Round) -> dict[int, str]:
    return {each.summary.num_steps: each.fate for each in found.standings if each.fate}


def test_a_width_is_dropped_that_cannot_reach_what_another_has() -> None:
    """Three doublings are to come: at a pace of 1/16, width 2 reaches 0.625 at best, width 4 just 0.5."""
    widths = made_up_summary(2, 0.8125, 1 / 16), made_up_summary(4, 0.6875, 1 / 16), made_up_summary(8, 0.5)
    found = after(1 / 8, *widths)
    assert fates(found) == {2: "dropped: 0.6250 at best, num_steps 8 has 0.5000 already"}
    assert (found.leader, found.kept, found.among_best, found.is_over) == (8, [4, 8], [8], False)
    expected = {each.summary.num_steps: (each.expected, each.at_best) for each in found.standings}
    fall = 7 / 8 / 16  # halving with each of three doublings
    assert expected == {2: (0.8125 - fall, 0.625), 4: (0.6875 - fall, 0.5), 8: (0.5, 0.5)}
    assert found.lines[0] == f"width 2: loss 0.8125, {fates(found)[2]}"
    assert found.lines[2] == "width 8: loss 0.5000, expected 0.5000 in the end (leads)"


def test_at_most_half_stay_those_expected_to_be_best() -> None:
    widths = [made_up_summary(n, 0.5 + n / 64, 1 / 8) for n in (1, 2, 3, 4, 5)]
    found = after(1 / 2, *widths)
    assert (found.kept, found.leader) == ([1, 2, 3], 1)
    assert fates(found) == {
        4: "dropped: 0.5000 expected, num_steps 1 0.4531",
        5: "dropped: 0.5156 expected, num_steps 1 0.4531",
    }


def test_the_one_that_falls_fastest_leads_though_it_is_behind() -> None:
    found = after(1 / 4, made_up_summary(4, 0.5), made_up_summary(8, 0.625, 1 / 8, 0.75))
    assert (found.leader, found.kept, found.among_best) == (8, [4, 8], [8])
    assert not found.is_over


def test_of_equally_good_widths_the_leader_and_the_cheapest_stay() -> None:
    widths = [
        made_up_summary(n, 0.5 + n / 4096, seconds=price) for n, price in ((1, 64), (2, 8), (4, 2), (8, 4))
    ]
    found = after(1 / 2, *widths)
    assert (found.leader, found.kept) == (1, [1, 4])
    assert fates(found) == dict.fromkeys((2, 8), "dropped: others are as good and cheaper")


def test_of_equally_cheap_widths_the_narrower_stay() -> None:
    """Prices that differ by less than 10 % are equal."""
    prices = {1: 99, 2: 21, 4: 20, 8: 19.5}
    widths = [made_up_summary(n, 0.5 + n / 4096, seconds=price) for n, price in prices.items()]
    assert after(1 / 2, *widths).kept == [1, 2]


def test_the_best_so_far_stays_though_others_are_expected_to_be_better() -> None:
    level = made_up_summary(1, 0.5)
    falling = [made_up_summary(n, 0.5 + n / 64, 1 / 4, 0.75) for n in (2, 3, 4)]
    found = after(1 / 2, level, *falling)
    assert (found.leader, found.kept) == (2, [1, 2])


@pytest.mark.parametrize(("lowest", "among_best"), [(0.0, [8]), (0.375, [4, 8])])
def test_nothing_is_expected_below_the_lowest_possible_loss(lowest: float, among_best: list[int]) -> None:
    """Width 8 would fall to 1/8 at its pace, and is expected to fall by 3/16 and 9/64 with two doublings.

    Where 3/8 is the lowest possible, width 4 is as good.
    """
    widths = made_up_summary(4, 0.375), made_up_summary(8, 0.625, 1 / 4, 0.75)
    found = after(1 / 4, *widths, lowest=lowest)
    assert [each.expected for each in found.standings] == [0.375, max(lowest, 0.625 - 3 / 16 - 9 / 64)]
    assert [each.at_best for each in found.standings] == [0.375, max(lowest, 0.125)]
    assert found.among_best == among_best


def test_two_widths_stay_until_the_last_stage() -> None:
    widths = made_up_summary(4, 0.5, 1 / 8, 0.75), made_up_summary(8, 0.625, 1 / 8, 0.75)
    assert after(1 / 2, *widths).kept == [4, 8]
    assert after(1 / 2, *widths).is_over is False
    last = after(1.0, *widths, is_last=True)
    assert last.is_over
    assert fates(last) == {8: "dropped: 0.6250 at best, num_steps 4 has 0.5000 already"}


@pytest.mark.parametrize("losses", [(0.998, 1.5, 2.0, 3.0), (1.0, 1.001, 1.002, 1.003)])
def test_nothing_is_dropped_while_nothing_is_learnt(losses: tuple[float, ...]) -> None:
    """Losses near that of a constant prediction are in an order by chance."""
    widths = [made_up_summary(n, loss, resolution=1 / 1024) for n, loss in enumerate(losses, start=1)]
    found = after(1 / 4, *widths)
    assert (found.kept, found.among_best, found.is_over) == ([1, 2, 3, 4], [], False)
    diverged = after(1 / 4, *widths, made_up_summary(9, [], diverged=3))
    assert fates(diverged) == {9: "dropped: 3 diverged"}
    assert after(1.0, *widths, is_last=True).is_over


def apart(change: float) -> list[list[dict[str, Any]]]:
    """Curves that end at 0.501, one of which falls by a change with the last doubling as another rises."""
    return [made_up_curve(0.501, pace) for pace in (change, 0.0, -change)]


def test_the_race_is_over_early_where_all_are_equal_and_level() -> None:
    level = made_up_summary(4, 0.5), made_up_summary(8, 0.501)
    assert after(1 / 4, *level).is_over
    for other, why in (
        (made_up_summary(8, 0.501, 1 / 64), "it falls"),
        (made_up_summary(8, [0.501], runs=1), "one seed"),
        (made_up_summary(8, 0.501, curves=[[{"updates": 9, "valid_loss": 0.501}]] * 3), "too short a curve"),
        (made_up_summary(8, 0.501, -1 / 64), "it rises"),
        (made_up_summary(8, 0.501, curves=apart(1 / 64)), "seeds disagree about its fall"),
    ):
        assert not after(1 / 4, level[0], other).is_over, why
    worse = after(1 / 4, *level, made_up_summary(16, 0.625))
    assert (worse.kept, worse.is_over) == ([4, 8], True), "only what stays matters"


def test_it_is_over_where_all_that_stay_fall_together_and_slowly() -> None:
    """From 1/2 on, width 4 falls by 1/128 to its end and width 8 by as much: less than 2 % of 0.5."""
    slow = [made_up_summary(n, 0.5 + n / 4096, 1 / 64) for n in (4, 8)]
    assert after(1 / 2, *slow).is_over
    assert not after(1 / 4, *slow).is_over, "3/256 are to come until the end, more than 2 %"
    fast = [made_up_summary(n, 0.5 + n / 4096, 1 / 32) for n in (4, 8)]
    assert not after(1 / 2, *fast).is_over, "1/64 is to come, more than 2 %"


def test_a_curve_that_is_too_short_drops_nobody_but_as_the_worst() -> None:
    short = [
        made_up_summary(n, 0.5 + n / 16, curves=[[{"updates": 9, "valid_loss": 0.5 + n / 16}]] * 3)
        for n in (1, 2, 3)
    ]
    found = after(1 / 8, *short)
    assert fates(found) == {3: "dropped: 0.6875 expected, num_steps 1 0.5625"}
    assert [each.at_best for each in found.standings] == [-math.inf] * 3


def test_widths_that_diverged_are_dropped_and_do_not_lead() -> None:
    lucky = made_up_summary(2, [0.25], diverged=1)
    found = after(1 / 4, made_up_summary(1, [], diverged=2), lucky, made_up_summary(4, 0.5))
    assert (found.leader, found.kept) == (4, [4])
    assert fates(found) == {1: "dropped: 2 diverged", 2: "dropped: 1 diverged"}
    assert found.lines[0] == "width 1: loss –, dropped: 2 diverged"
    lost = after(1 / 4, made_up_summary(1, [], diverged=2), made_up_summary(2, [], diverged=1, failed=1))
    assert (lost.leader, lost.kept, lost.is_over) == (None, [], True)
    assert fates(lost)[2] == "dropped: 1 diverged, 1 failed"


def test_where_runs_of_every_width_diverged_the_others_run_on() -> None:
    widths = [made_up_summary(n, [0.5 + n / 64, 0.5 + n / 64], diverged=1) for n in (1, 2)]
    assert after(1 / 4, *widths, made_up_summary(3, [], diverged=2)).leader == 1
