#!/bin/sh
# check.sh: every check there is, a line of result for each, and a summary. What a check printed is
# in build/check/NAME.log; what repeats only that check is said when it fails.
#
# SOAK is the number of connections for each pool (50000), FUZZ the seconds of fuzzing (60).
set -u
cd "$(dirname "$0")/.." || exit

build=${BUILD:-build}
logs=$build/check
mkdir -p "$logs"
passed=0 failed=0 began=$(date +%s)
sanitize='-O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all'

# check NAME COMMAND: runs it and says how it went.
check() {
    start=$(date +%s)
    if sh -c "$2" >"$logs/$1.log" 2>&1 </dev/null; then
        result=ok
        passed=$((passed + 1))
    else
        result=FAILED
        failed=$((failed + 1))
    fi
    printf '%-8s%-16s%5d s   %s\n' "$result" "$1" $(($(date +%s) - start)) \
        "$(grep -v '^$' "$logs/$1.log" | tail -n 1 | cut -c1-100)"
    if [ $result = FAILED ]; then
        grep -E '^not ok|^ERROR|^# again|Failed test|warning:|error:' "$logs/$1.log" |
            head -n 20 | sed 's/^/        /'
        echo "        all of it: $logs/$1.log"
        echo "        again:     $2"
    fi
}

check lint 'make lint'
check test 'make -j2 build tests CPPFLAGS=-Werror && make test'
check sanitize-gcc "make -j2 build tests test CC=gcc BUILD=$build/sanitize-gcc CFLAGS='$sanitize'"
check sanitize-clang "make -j2 build tests test CC=clang BUILD=$build/sanitize-clang CFLAGS='$sanitize'"
check portable 'make portable'
check exercises 'make -j2 build && make check-exercises'
check valgrind 'make valgrind'
check coverage 'make coverage'
check model 'make model'
check report 'tests/report/report.py'
check slides "make slides && python3 tests/slides.py $build/slides"
# After slides: the commands of the texts, make slides among them, run where there is no network.
check texts 'make -j2 build && tests/texts/check.sh'
check fuzz "make fuzz FUZZ=${FUZZ:-60}"
check mutants 'make mutants'
check soak "make soak SOAK=${SOAK:-50000}"

echo
echo "$passed passed, $failed failed"
seconds=$(($(date +%s) - began))
echo "in $((seconds / 60)) min $((seconds % 60)) s"
[ $failed -eq 0 ]
