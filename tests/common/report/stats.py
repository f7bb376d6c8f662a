#!/usr/bin/env python3
"""Test of common/report/stats.py: what the rounds of a measurement allow to say."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import stats  # noqa: E402


def test_a_spread_is_median_and_range():
    tap.equal(stats.spread([3.0]), "3 (3-3)")
    tap.equal(stats.spread([10, 1, 4]), "4 (1-10)")
    tap.equal(stats.spread([1, 2, 3, 10], "{:.1f}"), "2.5 (1.0-10.0)")


def test_percentiles_are_those_of_load():
    ordered = list(range(1, 101))
    tap.equal([stats.percentile(ordered, percent) for percent in (0, 1, 50, 50.5, 99, 99.9, 100)], [1, 1, 50, 51, 99, 100, 100])
    tap.equal(stats.percentile([7], 50), 7)


def test_ratios_are_taken_round_by_round():
    tap.equal(stats.ratios([2, 9], [1, 3]), [2, 3])


def test_a_difference_is_claimed_when_all_rounds_agree():
    tap.equal(stats.verdict([0.50, 0.55, 0.52]), "")
    tap.equal(stats.verdict([1.01, 1.02, 1.01]), "")


def test_no_difference_is_claimed_when_the_rounds_lie_on_both_sides_of_1():
    tap.equal(stats.verdict([0.99, 1.01]), "same")
    tap.equal(stats.verdict([1.0, 1.2]), "same")
    tap.equal(stats.verdict([0.8, 1.0]), "same")


def test_of_rounds_that_are_far_apart_only_the_direction_is_told():
    tap.equal(stats.verdict([0.50, 0.70]), "")
    tap.equal(stats.verdict([0.50, 0.71]), "rough")
    tap.equal(stats.verdict([10, 15]), "rough")


def test_rounds_that_are_far_apart_and_do_not_agree_tell_nothing():
    tap.equal(stats.verdict([0.9, 1.2]), "same")
    tap.equal(stats.verdict([0.8, 1.2]), "noisy")
    tap.equal(stats.verdict([1.0, 1.5]), "noisy")


def test_the_marks_are_explained_where_they_occur():
    rows = [["a", stats.ratio_text([0.9, 1.1])], ["b", stats.ratio_text([1, 2])], ["c", stats.ratio_text([3, 3])],
            ["d", stats.ratio_text([2, 3])]]
    tap.equal([row[1][0] for row in rows], ["≈", "?", "3", "~"])
    tap.equal([note[0] for note in stats.mark_notes(rows)], ["~", "≈", "?"])
    tap.equal([note[0] for note in stats.mark_notes(rows[:2])], ["≈", "?"])
    tap.equal(stats.mark_notes(rows[2:3]), [])


def test_large_ratios_have_fewer_decimals():
    tap.equal(stats.ratio_text([9.5, 9.994]), "9.75 (9.50-9.99)")
    tap.equal(stats.ratio_text([9.5, 12]), "10.8 (9.5-12.0)")


def test_ratios_of_several_cases_are_one_statement():
    def said(*cases):
        return stats.in_words(dict(enumerate(cases)), "case {}".format)

    tap.equal(said([0.25, 0.26, 0.27], [0.20, 0.22, 0.24]), "less, 0.22 to 0.26 of it")
    tap.equal(said([0.5, 0.9, 0.9]), "less, 0.90 of it")  # far apart, on one side
    tap.equal(said([1.1, 1.2], [2.0, 2.0]), "more, 1.15 to 2.00 of it")
    tap.equal(said([0.5, 0.5], [0.9, 1.1]), "less or no difference seen, 0.50 to 1.00 of it")
    tap.equal(said([0.5, 0.5], [0.5, 1.2], [0.6, 0.6]),
              "less, 0.50 to 0.60 of it (too noisy to say with case 1)")
    tap.equal(said([0.5, 1.2]), "too noisy to say")


def test_the_warning_names_the_noisy_and_the_command():
    tap.equal(stats.noise_warning({"A / B": [1, 1.1]}, "make it"), "")
    warning = stats.noise_warning({"A / B": [2, 3], "C / B": [1, 2]}, "make it")
    assert "1 of 2 ratios" in warning and "C / B" in warning and "A / B" not in warning, warning
    assert warning.endswith("make it"), warning


tap.run(vars())
