"""What the rounds of a measurement allow to say: medians, ranges, ratios, and whether they can be believed."""
import statistics


def median(values):
    return statistics.median(values)


def spread(values, form="{:.0f}"):
    """Median and range, as text: "70 (68-75)"."""
    low, middle, high = (form.format(f(values)) for f in (min, median, max))
    return f"{middle} ({low}-{high})"


def ratios(values, base):
    """Round by round: what was measured one after the other is compared."""
    return [a / b for a, b in zip(values, base)]


WIDE = 1.4  # the differences that this course is about are larger


def verdict(by_round):
    """What the ratios of the rounds allow to say: "", "rough", "same" or "noisy".

    The machine's ups and downs last longer than a run, and mostly cancel out in the ratio of two runs
    that are neighbours. What does not cancel out is seen in how far apart the rounds' ratios are:

                                       highest up to 40 % above lowest    further apart
        all on the same side of 1      "": a difference, and its size     "rough": a difference
        on both sides of 1             "same": no difference is seen      "noisy": nothing

    The side matters because, were there no difference, each round would fall to either with even chance,
    and all N to the same with chance 2/2^N: for five rounds in one of 16 comparisons. So where all
    rounds agree there mostly is a difference, and where they do not, none is claimed.
    """
    low, high = min(by_round), max(by_round)
    agree = not low <= 1 <= high
    if high > WIDE * low:
        return "rough" if agree else "noisy"
    return "" if agree else "same"


MARKS = {"rough": "~ ", "same": "≈ ", "noisy": "? ", "": ""}


def ratio_text(by_round):
    """Verdict, median and range, as text: "0.52 (0.50-0.55)", "≈ 1.01 (0.98-1.03)", "? 0.92 (0.73-1.21)"."""
    return MARKS[verdict(by_round)] + spread(by_round, "{:.2f}" if max(by_round) < 10 else "{:.1f}")


def in_words(by_case, name):
    """What the ratios of several cases allow to say together: "less, 0.22 to 0.27 of it".

    BY_CASE has for each case the ratios of its rounds; NAME gives a case its name.
    """
    told, sides, noisy = [], set(), []
    for case, by_round in by_case.items():
        middle, what = median(by_round), verdict(by_round)
        if what == "noisy":
            noisy.append(name(case))
        else:
            told.append(middle)
            sides.add("no difference seen" if what == "same" else "less" if middle < 1 else "more")
    if not told:
        return "too noisy to say"
    low, high = f"{min(told):.2f}", f"{max(told):.2f}"
    said = f"{' or '.join(sorted(sides))}, {low if low == high else f'{low} to {high}'} of it"
    return said + (f" (too noisy to say with {', '.join(noisy)})" if noisy else "")


def mark_notes(rows):
    """What the marks mean that occur in the rows of a table, for below it."""
    meaning = {"rough": "~: the rounds agree which of the two is less, but not by how much (over 40 % apart).",
               "same": "≈: the rounds lie on both sides of 1; no difference is seen.",
               "noisy": "?: the rounds lie on both sides of 1 and over 40 % apart; too noisy to conclude from."}
    return [text for what, text in meaning.items()
            if any(str(cell).startswith(MARKS[what]) for row in rows for cell in row)]


def noise_warning(comparisons, command):
    """A line when the machine was too noisy for some comparisons, a dictionary from name to ratios."""
    noisy = [name for name, by_round in comparisons.items() if verdict(by_round) == "noisy"]
    if not noisy:
        return ""
    more = f" and {len(noisy) - 6} more" if len(noisy) > 6 else ""
    return (f"The machine was too noisy to conclude from {len(noisy)} of {len(comparisons)} ratios, marked with ? above: "
            f"{'; '.join(noisy[:6])}{more}. Try again when it is quiet: {command}")


def percentile(ordered, percent):
    """The nearest-rank percentile of a sorted list, as common/load/samples.h defines it."""
    rank = -int(-percent / 100 * len(ordered) // 1)
    return ordered[min(max(rank, 1), len(ordered)) - 1]
