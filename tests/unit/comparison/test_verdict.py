"""The rule by which a comparison names a width, on made-up runs whose noise and prices are exact."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from comparison_helpers import made_up_summary
from hypothesis import given
from hypothesis import strategies as st

from tf_rnn.comparison import Verdict, decide
from tf_rnn.comparison.ranking import Question, Rival

if TYPE_CHECKING:
    from random import Random

    from tf_rnn.comparison import Summary

# A constant prediction has 1 nat and the best width half of it, so that the margin is 0.005.
NOTHING = 1.0
EQUAL, WORSE = 0.503, 0.5625


def verdict_of(*summaries: Summary, nothing: float = NOTHING, rates: tuple[float, ...] = (0.1,)) -> Verdict:
    widths = tuple(sorted({summary.num_steps for summary in summaries}))
    verdict = decide(summaries, Question("9 tokens", nothing, rates, widths))
    assert verdict is not None
    return verdict


def choice(*summaries: Summary, **question: Any) -> int | None:
    return verdict_of(*summaries, **question).num_steps


RACES = st.dictionaries(
    st.integers(1, 64), st.tuples(st.sampled_from([0.5, EQUAL, WORSE]), st.integers(1, 64)), min_size=2
).filter(lambda race: any(loss == 0.5 for loss, _ in race.values()))


@given(RACES, st.randoms(use_true_random=False))
def test_the_narrowest_of_the_cheapest_of_the_best(
    race: dict[int, tuple[float, int]], random: Random
) -> None:
    """Neither the order of the widths nor the speed of the machine matters."""
    as_good = {width: price for width, (loss, price) in race.items() if loss < WORSE}
    cheap = [width for width, price in as_good.items() if price <= 1.1 * min(as_good.values())]
    for factor in (1, 1024):
        summaries = [
            made_up_summary(width, loss, seconds=price * factor) for width, (loss, price) in race.items()
        ]
        random.shuffle(summaries)
        found = verdict_of(*summaries)
        assert found.num_steps == min(cheap)
        assert sorted(found.equal) == sorted(as_good)
        assert found.seconds == pytest.approx(as_good[min(cheap)] * factor, rel=1e-15)


@given(st.floats(1e-3, 1e3), st.integers(1, 10**12))
def test_a_cheaper_step_alone_does_not_count(milliseconds: float, memory: int) -> None:
    narrow = made_up_summary(4, 0.5, seconds=16)
    narrow.cost.update(step_milliseconds=milliseconds, graph_bytes=memory)
    assert choice(narrow, made_up_summary(8, 0.5, seconds=8)) == 8


def test_prices_that_differ_by_less_than_a_tenth_are_equal() -> None:
    wide = made_up_summary(8, 0.5, seconds=8)
    assert choice(made_up_summary(4, EQUAL, seconds=8.75), wide) == 4
    assert choice(made_up_summary(4, EQUAL, seconds=9), wide) == 8
    reset = made_up_summary(4, 0.5, state="reset", seconds=8)
    assert verdict_of(made_up_summary(4, EQUAL, seconds=8), reset).state == "reset"
    part = verdict_of(made_up_summary(4, 0.5, seconds=2, fraction=0.25))
    assert part.seconds == 8, "the price is that of the whole budget"
    assert [row["which"] for row in part.rows] == ["chosen"], "a single width has no neighbours"
    assert "widest" not in part.sentence


@given(st.integers(-8, 8))
def test_what_all_widths_share_of_a_seed_cancels(shift: int) -> None:
    """Width 4 is worse by 1/16 with every seed, however much seeds differ."""
    shifts = [-shift / 64, 0, shift / 64]
    narrow = made_up_summary(4, [0.5625 + each for each in shifts], seconds=1)
    wide = made_up_summary(8, [0.5 + each for each in shifts], seconds=64)
    found = verdict_of(narrow, wide, nothing=2)
    assert (found.num_steps, found.equal, found.agreement, found.seeds) == (8, [8], 3, 3)


def test_seeds_that_disagree_at_another_width_do_not_excuse_its_loss() -> None:
    erratic = made_up_summary(4, [0.25, 0.8125], resolution=1.0, seconds=1)
    assert choice(erratic, made_up_summary(8, [0.5, 0.5], seconds=64)) == 8


def test_seeds_that_disagree_at_the_best_width_leave_it_open() -> None:
    narrow, wide = made_up_summary(4, [0.875, 0.375], seconds=1), made_up_summary(8, [0.25, 0.75], seconds=64)
    found = verdict_of(narrow, wide, nothing=4)
    assert (found.num_steps, found.loss, found.noise, found.rows) == (None, 0.5, 0.25, [])
    assert found.sentence == (
        "Cannot tell which width to use: num_steps 8 has the lowest loss, 0.5000 nats, and num_steps 4, "
        "which is cheaper, 0.6250, but differences up to 0.2500 may be chance. To tell, train more seeds."
    )


def test_noise_is_that_of_the_mean_and_of_the_data() -> None:
    """A spread of 6/256 over 4 seeds and 4/256 from the tokens: 5/256, just above the margin."""
    best = made_up_summary(8, 0.5, runs=4, spread=6 / 256, resolution=4 / 256, seconds=64)
    assert verdict_of(best).noise == verdict_of(best).margin == 5 / 256
    few = made_up_summary(8, 0.5, runs=1, resolution=4 / 256, seconds=64)
    assert verdict_of(few).noise == 4 / 256
    for worse, named in ((4 / 256, None), (4.01 / 256, 8)):
        assert choice(made_up_summary(4, 0.5 + worse, runs=1, seconds=1), few) == named
    assert (
        "To tell, hold out more data."
        in verdict_of(made_up_summary(4, 0.515, runs=1, seconds=1), few).sentence
    )


def test_one_seed_is_said_to_be_one() -> None:
    found = verdict_of(made_up_summary(4, [0.5], seconds=1), made_up_summary(8, [0.6], seconds=1))
    assert (found.num_steps, found.agreement, found.seeds, found.noise) == (4, 1, 1, 0)
    assert "This is one seed only: train several" in found.sentence


@pytest.mark.parametrize(
    ("pace", "decay", "named"),
    [
        (1 / 12, 0.75, 4),  # would just come level
        (1 / 8, 0.5, 4),  # the same, as half of the pace is left
        (3 / 32, 0.75, None),
        (-1 / 64, 0.75, 4),  # rises, from 0.48
    ],
)
def test_a_width_is_not_named_that_another_overtakes(pace: float, decay: float, named: int | None) -> None:
    leader, wide = made_up_summary(4, 0.5, seconds=1), made_up_summary(8, WORSE, pace, decay, seconds=1)
    found = verdict_of(leader, wide)
    falls = "num_steps 8, now at 0.5625 after 96 updates, still falls by"
    assert (found.num_steps, falls in found.sentence) == (named, named is None), found.sentence


@pytest.mark.parametrize(("rise", "is_told"), [(0.0049, False), (0.0051, True)])
def test_a_width_is_judged_by_its_best_checkpoint(rise: float, is_told: bool) -> None:
    """At the end it is worse than another; by more than the margin, 0.005, that is said."""
    losses = {1 / 4: 0.75, 1 / 2: 0.5, 1.0: 0.5 + rise}
    curve = [{"updates": 96 * part, "valid_loss": loss} for part, loss in losses.items()]
    found = verdict_of(made_up_summary(4, 0.5, curves=[curve] * 3), made_up_summary(8, 0.5625))
    told = "That is the loss of its best checkpoint, after 50% of the training; at the end it is 0.5051: "
    assert (found.num_steps, told in found.sentence) == (4, is_told), found.sentence
    assert ("checkpoint" in found.sentence) == is_told


@pytest.mark.parametrize(("later", "named"), [(0.495, 4), (0.4949, None)])
def test_a_width_is_not_named_that_a_dropped_one_would_overtake(later: float, named: int | None) -> None:
    """By more than the margin, 0.005, after twice the training."""
    dropped = made_up_summary(8, 0.625, fraction=0.5)
    question = Question("9 tokens", NOTHING, (0.1,), (4, 8), rivals=(Rival(dropped, later),))
    found = decide([made_up_summary(4, 0.5)], question)
    told = "num_steps 8, dropped at 0.6250 after 50% of that training, would overtake it with twice as much"
    assert found is not None
    assert (found.num_steps, told in found.sentence) == (named, named is None), found.sentence


def test_a_width_is_not_named_for_its_larger_number_of_updates() -> None:
    """All losses fall by 1/8 with each doubling: the narrower width leads by its number of updates."""
    narrow, wide = made_up_summary(4, 0.5, 1 / 8, 0.75), made_up_summary(8, WORSE, 1 / 8, 0.75)
    found = verdict_of(narrow, wide)
    falls = "falls by 0.1250 with each doubling of the training, and wider graphs had fewer updates"
    assert (found.num_steps, falls in found.sentence) == (None, True), found.sentence
    assert choice(narrow) == 4, "nothing wider is compared"
    ahead = verdict_of(made_up_summary(4, WORSE, 1 / 8, 0.75), made_up_summary(8, 0.5, 1 / 8, 0.75))
    assert ahead.num_steps == 8, "it leads with fewer updates"
    assert "Its loss still falls, by 0.1250 with each doubling" in ahead.sentence


def test_of_curves_that_cross_the_one_that_will_be_lower_is_named() -> None:
    level, falling = made_up_summary(4, 0.5, seconds=1), made_up_summary(8, 0.5, 1 / 16, 1.0, seconds=64)
    assert choice(level, falling) == 8
    assert choice(level, made_up_summary(8, 0.5, seconds=64)) == 4


@pytest.mark.parametrize(
    ("loss", "words"),
    [
        (NOTHING, "nothing was learnt yet. The best loss is 1.0000 nats"),
        (NOTHING - 3 / 64, "the held-out data are too few to tell whether anything was learnt. The best "),
        (NOTHING - 3 / 64 - 2**-30, ""),
    ],
)
def test_nothing_is_named_while_nothing_is_learnt(loss: float, words: str) -> None:
    """The best loss must be more than three standard errors, here 1/64 each, below a constant prediction."""
    best = made_up_summary(4, loss, resolution=1 / 64, seconds=1)
    found = verdict_of(best, made_up_summary(8, loss + 1 / 64, seconds=1))
    assert found.num_steps == (None if words else 4)
    assert words in found.sentence
    assert not words or "differences up to 0.0469 may be chance" in found.sentence
    unlike = verdict_of(made_up_summary(4, [NOTHING - 0.25, NOTHING + 0.125, NOTHING]))
    assert "nothing was learnt yet" in unlike.sentence, "no larger number of held-out data would help"
    equal = verdict_of(made_up_summary(4, 0.0), made_up_summary(8, 0.25), nothing=0.0)
    assert equal.num_steps is None
    assert "since all held-out targets are equal, or there is only one." in equal.sentence


def test_a_width_some_of_whose_runs_diverged_is_not_named() -> None:
    """The runs that did not diverge may well be the best of all."""
    lucky = made_up_summary(8, [0.25], diverged=2)
    found = verdict_of(made_up_summary(4, 0.5), lucky)
    assert (found.num_steps, found.loss) == (4, 0.5)
    assert "the lowest among widths none of whose runs diverged." in found.sentence
    assert [row["difference"] for row in found.rows] == [0, -0.25]
    everywhere = verdict_of(made_up_summary(4, 0.5, diverged=1), made_up_summary(8, [], diverged=3))
    assert "held-out loss 0.5000 nats (1 of 4 runs diverged). The training" in everywhere.sentence


def test_of_one_width_it_is_said_that_nothing_was_compared() -> None:
    found = verdict_of(made_up_summary(4, 0.5, seconds=8))
    assert found.sentence == (
        "Use num_steps 4 with the state carried: held-out loss 0.5000 nats. The training steps for 9 tokens "
        "take 8 s, with 2 MB. No other width was compared."
    )
    states = verdict_of(made_up_summary(4, 0.5), made_up_summary(4, WORSE, state="reset"))
    assert "held-out loss 0.5000 nats, the lowest of all. " in states.sentence
    assert "No other width was compared." in states.sentence


def test_failed_runs_are_named_and_do_not_count() -> None:
    found = verdict_of(made_up_summary(4, 0.5), made_up_summary(8, [0.25, 0.25], failed=1))
    assert found.num_steps == 4
    assert found.sentence.endswith(
        " 1 of 6 runs failed, since their worker process died every time, and are left out "
        "(1 at num_steps 8, carry); the same command tries them again."
    )


@pytest.mark.parametrize(
    "summaries", [[], [made_up_summary(4, [], diverged=3)], [made_up_summary(4, 0.5, cost={})]]
)
def test_without_finished_runs_there_is_no_verdict(summaries: list[Summary]) -> None:
    assert decide(summaries, Question("9 tokens", NOTHING, (0.1,), (4,))) is None


def test_the_answer_in_words() -> None:
    found = verdict_of(
        made_up_summary(2, WORSE, seconds=32),
        made_up_summary(4, EQUAL, seconds=8),
        made_up_summary(8, 0.5, seconds=16),
        made_up_summary(16, 0.5, seconds=8),
        made_up_summary(1, WORSE, state="reset", seconds=1),
    )
    assert found.sentence == (
        "Use num_steps 4 with the state carried: held-out loss 0.5030 nats, as good as the lowest, 0.5000 at "
        "num_steps 8 with the state carried (differences up to 0.0050 count as equal). The training steps "
        "for 9 tokens take 8 s, with 2 MB; as good: num_steps 8 (100% more time), 16 (the same time). "
        "3 of 3 seeds agree, all widths at the learning rate 0.1."
    )
    assert [(row["which"], row["num_steps"], row["seconds"]) for row in found.rows] == [
        ("narrower", 2, 32),
        ("chosen", 4, 8),
        ("wider", 8, 16),
    ]
    assert found.rows[0]["difference"] == WORSE - EQUAL
    assert (found.equal, found.margin, found.noise, found.learning_rate) == ([4, 8, 16], 0.005, 0, 0.1)


def test_remarks_on_the_edges() -> None:
    narrow = made_up_summary(4, WORSE, learning_rate=0.2)
    best = made_up_summary(8, 0.5, learning_rate=0.3)
    found = verdict_of(narrow, best, rates=(0.1, 0.2, 0.3))
    assert (found.num_steps, found.learning_rate) == (8, 0.3)
    for words in (
        "Use num_steps 8 with the state carried, learning rate 0.3: ",
        "each width at the best of its learning rates 0.1, 0.2, 0.3.",
        "It is the widest compared; a wider graph may be better still.",
        "Its learning rate is at the edge of those tried.",
    ):
        assert words in found.sentence
    assert "edge" not in verdict_of(narrow, rates=(0.1, 0.2, 0.3)).sentence
