#!/bin/sh
# portable.sh [musl|m32]: the programs built for another C library (musl), and for 32 bits, under
# the suites of the usual build, which start them through TEST_PROGRAMS.
#
# The suites themselves stay as they are: cmocka is there for the machine's own C library only.
set -eu
cd "$(dirname "$0")/.."

build=${BUILD:-build}
# Those that start a program of the build, but for what looks at it from within this C library, and for
# naive, which shows what padding to 64 bits does.
suites=$(grep -l '\<built(' tests/common/*/*.c tests/chapters/*/*.c |
    grep -v -e /trace/ -e /report/ -e /naive | sed 's/\.c$//')
make -s -j2 BUILD="$build" build >/dev/null
names=$(awk -F '\t' 'NR > 1 && $6 != "script" { print $1 }' "$build/servers.tsv")
for server in $names; do
    suites="$suites tests/servers/contract-$server"
done
suites=$(for suite in $suites; do echo "$build/$suite"; done)
export CMOCKA_MESSAGE_OUTPUT=TAP

try() { # NAME COMPILER [OPTION ...]: builds the programs so, and runs the suites on them
    programs=$build/portable/$1
    shift
    echo "portable: the programs by $*"
    make -s -j2 BUILD="$programs" CC="$1" CPPFLAGS="-Werror ${2-}" build >/dev/null
    # shellcheck disable=SC2086 # a list
    TEST_PROGRAMS=$(cd "$programs" && pwd) prove --exec '' -j4 --failures $suites
}

try_musl() {
    try musl musl-gcc
}

try_m32() {
    try m32 'cc -m32' -Wno-psabi
}

# shellcheck disable=SC2086 # a list
make -s -j2 BUILD="$build" build $suites >/dev/null
case $(cc -dumpmachine) in
*musl*) targets= ;; # all tests are tests of it, and there is no other
x86_64*) targets='musl m32' ;;
*) targets=musl ;;
esac
for target in ${1-$targets}; do
    "try_$target"
done
echo "portable: the promises hold (${1-$targets})"
