#!/bin/sh
# coverage.sh [FILE ...]: what the tests reach of chapters/ and common/, but for these files, as text and HTML. Fails below 95 % of
# the lines or 85 % of the branches.
#
# The forked processes end by _exit, which writes no counters: in this build it is exit. With gnu17
# instead of c17 gcc also writes them before exec. What a process had counted when a signal ended
# it is lost all the same. common/exercises is left out: in the sandbox no process can write its counters.
set -eu
cd "$(dirname "$0")/.."

left_out=
for file; do
    left_out="$left_out --exclude $file"
done

build=${BUILD:-build}/coverage
umask 0 # some tests run a server as another user, who has to write its counters, too
find "$build" -name '*.gcda' -delete 2>/dev/null || true
make -j2 BUILD="$build" CC="${CC:-gcc}" CFLAGS='-std=gnu17 -O0 -g --coverage' CPPFLAGS='-D_exit=exit' build tests
# Without the exercises' sandbox, since what runs in it may not write its counters, and without what starts nothing of these.
make -s BUILD="$build" CC="${CC:-gcc}" CFLAGS='-std=gnu17 -O0 -g --coverage' CPPFLAGS='-D_exit=exit' exercise_tests= source_tests= test
mkdir -p "$build/html"
# shellcheck disable=SC2086 # options, a word each
gcovr --root . $left_out --filter 'chapters/' --filter 'common/' --exclude 'common/exercises/' --exclude 'common/peers/' \
    --exclude 'common/lab/' --exclude 'common/report/' --exclude-unreachable-branches \
    --html-details "$build/html/index.html" --txt "$build/coverage.txt" --print-summary \
    --fail-under-line 95 --fail-under-branch 85 "$build"
cat "$build/coverage.txt"
echo "as a page: $build/html/index.html"
