#!/usr/bin/env python3
"""Tests of knee.py, omission.py and accuracy.py: what they decide and compute. Prints TAP."""
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
import tap  # noqa: E402

sys.path.insert(0, str(tap.ROOT / "common/report"))
import accuracy  # noqa: E402
import knee  # noqa: E402
import omission  # noqa: E402


def find(capacity):
    """Searches the knee of a server that keeps up with so many connections a second; gives it and the tries."""
    search, tried = knee.search(), []
    try:
        step = next(search)
        while True:
            tried.append(knee.rate_of(step))
            step = search.send(knee.rate_of(step) <= capacity)
    except StopIteration as found:
        return found.value if found.value is None else knee.rate_of(found.value), tried


def row(**values):
    return {"round": 1, "server": "01", "asked": 2000.0, "rate": 2000, "due": 2000, "ok": 2000, "connections": 2000, "seconds": 1.0,
            "load_us": 100, "p50_us": 300, "p99_us": 900} | values


def test_the_knee_is_found_within_a_fine_step():
    for capacity in (1, 2, 17, 500, 1999, 2000, 2001, 2799, 2800, 5000, 20000, 333333):
        best, tried = find(capacity)
        assert best <= capacity, (capacity, best)
        # Rates are whole numbers: low ones are further apart than their steps.
        assert best * knee.FACTOR >= capacity - 1, (capacity, best)
        assert len(tried) == len(set(tried)) or capacity < 100, tried
        assert best in tried


def test_the_rate_rises_until_the_server_falls_behind():
    _, tried = find(6000)
    first_too_much = next(i for i, rate in enumerate(tried) if rate > 6000)
    assert tried[0] == knee.FIRST
    assert tried[:first_too_much + 1] == sorted(tried[:first_too_much + 1])
    assert all(rate < tried[first_too_much] for rate in tried[first_too_much + 1:])
    assert len(tried) == first_too_much + 1 + 3


def test_a_server_that_keeps_up_with_nothing_ends_the_search():
    best, tried = find(0)
    assert best is None
    assert tried == sorted(tried, reverse=True)


def test_the_search_ends_at_what_load_can_do():
    best, tried = find(10**9)
    assert max(tried) <= 10**6
    assert best <= 10**6 and best == max(tried)


def test_rates_are_whole_and_the_same_in_each_round():
    assert find(6000)[1] == find(6000)[1]
    assert knee.rate_of(0) == knee.FIRST
    assert knee.rate_of(knee.FINE) == round(1.4 * knee.FIRST)


def test_keeping_up_is_95_percent_of_what_was_due_and_no_loss():
    assert knee.keeps_up(row())
    assert knee.keeps_up(row(rate=1900))
    assert not knee.keeps_up(row(rate=1899.9))
    assert knee.keeps_up(row(rate=1850, due=1940)), "chance made fewer due than were asked for"
    assert not knee.keeps_up(row(ok=1999))


def test_load_s_share_of_a_cpu_is_told():
    assert abs(knee.busy(row(load_us=100, connections=2000, seconds=1.0)) - 0.2) < 1e-9
    assert abs(knee.busy(row(load_us=50, connections=20000, seconds=2.0)) - 0.5) < 1e-9


def test_latencies_are_compared_at_a_rate_that_all_have_borne():
    def rows(*rates):
        return [row(server=server, asked=float(rate)) for server in ("01", "04") for rate in rates]

    assert knee.common_rate(rows(2000, 2800, 3920, 3500), {"01": [3500, 3400], "04": [9000, 9100]}) == 2800
    assert knee.common_rate(rows(2000, 2800), {"01": [2000], "04": [9000]}) == 2000
    assert knee.common_rate(rows(1429), {"01": [1429], "04": [9000]}) is None


def test_a_curve_has_the_median_of_each_rate_in_order():
    rows = [row(round=1, asked=2800.0, p50_us=5), row(round=2, asked=2800.0, p50_us=5), row(round=1, p50_us=1),
            row(round=2, p50_us=3), row(round=3, p50_us=2), row(round=3, server="04", p50_us=99)]
    assert [line[:2] for line in knee.curve(rows, "01")] == [["2000", "2.0"], ["2800", "5.0"]]
    rows.append(row(round=2, p50_us=1.5))  # of two tries in a round the better
    assert [line[:2] for line in knee.curve(rows, "01")] == [["2000", "1.5"], ["2800", "5.0"]]


def test_a_curve_has_the_rates_that_most_rounds_have_tried():
    rows = [row(round=number) for number in (1, 2, 3)]
    rows += [row(round=number, asked=2800.0) for number in (1, 1, 3)] + [row(round=1, asked=3920.0)] * 3
    assert [line[0] for line in knee.curve(rows, "01")] == ["2000", "2800"]


def test_milliseconds_are_read_at_a_glance():
    assert [omission.ms(us) for us in (78.4, 1234, 9999, 172000)] == ["0.08", "1.23", "10.00", "172"]
    assert omission.spread([3000, 1000, 2000]) == "2.00 (1.00-3.00)"


def test_differences_are_relative_to_what_was_given():
    given = [2000.0] * 99 + [50000.0]
    assert accuracy.differences([(given, given)] * 3) == [0] * len(accuracy.PERCENTS)
    runs = [([factor * value for value in given], given) for factor in (1.01, 1.5, 1.02)]
    assert all(abs(difference - 0.02) < 1e-9 for difference in accuracy.differences(runs)), "the median of the rounds"


tap.run(vars())
