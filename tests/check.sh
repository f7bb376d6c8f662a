#!/bin/sh
# check.sh [ROW ...]: every check there is, or those that are named; a line of result for each as it
# ends, with its time and the processor time in it, and a summary. What a check printed is in
# build/check/NAME.log; what repeats only that check is said when it fails.
#
# All is built and tested first. Of the rest there are as many rows at work as the machine has
# processors, and two more, since most wait half of their time; JOBS=1 runs one after the other.
#
# SOAK is the number of connections for each pool (50000), FUZZ the seconds of fuzzing (60). TESTED
# is a file with what `make test` has printed for this very build: then it is not run again. LONGEST
# is the time that a row may take, in seconds (2400): one that hangs is to be told by its name.
set -u
cd "$(dirname "$0")/.." || exit

build=${BUILD:-build}
logs=$build/check
columns=${COLUMNS:-$(stty size 2>/dev/null </dev/tty | cut -d ' ' -f 2)}
[ "${columns:-0}" -gt 60 ] || columns=80
longest=${LONGEST:-2400}
export MINE="$logs/mine" # the marks and measurements of whoever runs this stay as they are
sanitize='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all'
# Left out: those that build and judge exercises, with flags of their own, and those that start nothing that is built.
unsanitized='source_tests= exercise_tests=tests/exercises/supervise.t'
if [ -n "${TESTED-}" ]; then
    test="cat '$TESTED' && tail -n 1 '$TESTED' | grep -qx 'Result: PASS' && echo 'by make test, before this: Result: PASS'"
else
    test='make test'
fi

# Rows: a name, and its command. Those of the first list run one after the other.
first="
build           make -j2 build tests && make slides
test            $test
"
# The longest first, so that no processor is idle at the end. Slides are looked at in a copy: the
# commands of the texts, make slides among them, run at the same time.
rest="
valgrind        make valgrind
mutants         make mutants
texts           MAKE_TEST=$logs/test.log tests/texts/check.sh
exercises       make check-exercises
sanitize-gcc    export TEST_SECONDS=900; for goal in '-j2 build tests' test; do make \$goal CC=gcc BUILD=$build/sanitize-gcc CFLAGS='$sanitize' $unsanitized || exit; done
sanitize-clang  export TEST_SECONDS=900; for goal in '-j2 build tests' test; do make \$goal CC=clang BUILD=$build/sanitize-clang CFLAGS='$sanitize' $unsanitized || exit; done
width           tests/texts/width.py
book            make -s $build/book/node_modules && common/book/book.py && tests/book/book.py
lint            make lint
model           make model
coverage        make coverage
fuzz            make fuzz FUZZ=${FUZZ:-60}
slides          rm -rf $logs/decks && mkdir $logs/decks && cp $build/slides/*.html $build/slides/*.pdf $logs/decks && tests/slides.py $logs/decks && for each in tests/slides/*.py; do \$each || exit; done
report          tests/report/report.py
soak            make soak SOAK=${SOAK:-50000}
project         make check-project
portable        make portable
facts           make facts
"

# What tells, of all that a failed row has printed: a test and its reason, in TAP and in cmocka's, nested ones too.
telling='^(# )*not ok|^#   |ERROR|[Ee]rror:|warning:|^# again|differs:|Failed test|Dubious|said "|did not|could not'

names() { # ROWS: their names, with a blank behind each
    echo "$1" | awk 'NF { printf "%s ", $1 }'
}

fitted() { # lines, indented, that fit the terminal
    fold -s -w $((columns - 8)) | sed 's/^/        /'
}

# Runs a row and says how it went, in one piece. Returns 0 in any case: xargs is to go on.
check() { # ROW
    log=$logs/$1.log command=$(echo "$first$rest" | sed -n "s/^$1  *//p") start=$(date +%s) result=ok
    timeout -k 30 "$longest" sh -c "$command" >"$log" 2>&1 </dev/null || result=FAILED
    [ $(($(date +%s) - start)) -lt "$longest" ] || echo "ERROR: not over after $longest s" >>"$log"
    times >"$logs/$1.times" # by this shell: one behind a pipe would tell of no children
    cpu=$(awk -F '[ms ]+' 'NR == 2 { printf "%d", 60 * ($1 + $3) + $2 + $4 }' "$logs/$1.times")
    said=$(printf '%-8s%-16s%5d s, %4d s of CPU' $result "$1" $(($(date +%s) - start)) "$cpu")
    last=$(grep -v '^$' "$log" | tail -n 1 | cut -c1-200)
    if [ $((${#said} + ${#last})) -lt $((columns - 3)) ]; then
        said="$said   $last"
    else
        said="$said
$(echo "$last" | fitted)"
    fi
    if [ $result = FAILED ]; then
        said="$said
$(grep -E "$telling" "$log" | cut -c1-300 | head -n 40 | fitted)
        all of it: $log
        again:     tests/check.sh $1"
    fi
    printf '%s\n' "$said"
    echo $result >"$logs/$1.result"
}

case ${1-} in
--row)
    check "$2"
    exit
    ;;
esac

all=$(names "$first$rest")
for row; do
    case " $all" in
    *" $row "*) ;;
    *)
        echo "check.sh: there is no row $row; say some of: $all" >&2
        exit 2
        ;;
    esac
done
# shellcheck disable=SC2086 # a list of words
[ $# -gt 0 ] || set -- $all
began=$(date +%s)
mkdir -p "$logs"
rm -f "$logs"/*.result
trap 'exit 1' HUP INT TERM

for row in $(names "$first"); do
    case " $* " in *" $row "*) "$0" --row "$row" ;; esac
done
for row in $(names "$rest"); do
    case " $* " in *" $row "*) echo "$row" ;; esac
done | xargs -r -P "${JOBS:-$(($(nproc) + 2))}" -n 1 "$0" --row

passed=$(cat "$logs"/*.result | grep -cx ok)
failed=$(($# - passed))
seconds=$(($(date +%s) - began))
echo
echo "$passed passed, $failed failed"
echo "in $((seconds / 60)) min $((seconds % 60)) s"
[ $failed -eq 0 ]
