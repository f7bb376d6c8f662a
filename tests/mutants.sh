#!/bin/sh
# mutants.sh [PATTERN]: tests the tests. Brings each fault of tests/mutants back into a copy of the
# tree, and sees that the tests named in its patch find it. PATTERN is of names, such as 'S11*'.
#
# The named tests run once on the tree as it is, where they must pass: else they prove nothing.
# A mutant is killed when each of them fails: it is reported as not ok, or its program is ended by a
# signal (SIGALRM: it hung).
set -u
cd "$(dirname "$0")/.." || exit
root=$PWD
case ${BUILD:-build} in
/*) work=$BUILD/mutants ;;
*) work=$root/${BUILD:-build}/mutants ;;
esac
# A test waits no longer than this for what must happen, and then fails.
export TEST_PATIENCE="${TEST_PATIENCE:-10}" TEST_SECONDS="${TEST_SECONDS:-40}"
export CMOCKA_MESSAGE_OUTPUT=TAP
export CFLAGS=-O0 # most of the work here is the compiler's; no mutant needs more of it
unset CDPATH MAKEFLAGS MAKELEVEL MFLAGS CPPFLAGS GIT_DIR GIT_WORK_TREE

tests_of() { # PATCH: "PROGRAM TEST" a line
    sed -n '/^diff /q; s/^Seen by: //p' "$1"
}

build() { # DIRECTORY [OPTION|PROGRAM] ...: builds there all programs, and these test programs
    (cd "$1" && shift && make -s BUILD=build build "$@") >"$1/make.log" 2>&1
}

# Runs one test of a directory; says how it failed if its program did not. Returns 0 when it
# passed, 1 when it failed, 2 when it did not run. What it prints goes to a file: at the other end of
# a pipe we would wait for whatever a mutant leaves behind, which holds it too.
try() { # DIRECTORY PROGRAM TEST
    output=$1/output.$$
    (cd "$1" && TEST_ONLY=$3 exec timeout -k 5 $((2 * TEST_SECONDS)) "build/$2") >"$output" 2>/dev/null
    status=$?
    if [ "$status" -eq 124 ]; then
        echo " (it hung, and was deaf to the alarm)"
        return 1
    elif [ "$status" -gt 128 ]; then
        signal=$(kill -l "$status")
        [ "$signal" = ALRM ] && echo " (it hung)" || echo " (ended by SIG$signal)"
        return 1
    elif grep -q "^not ok [0-9]* - $3\$" "$output"; then
        return 1
    elif [ "$status" -eq 0 ] && grep -q "^ok [0-9]* - $3\$" "$output"; then
        return 0
    fi
    return 2
}

# ---- one test without, one mutant with its fault: what xargs starts; mutants mostly wait ------

check_original() { # "PROGRAM TEST": prints it if it does not pass
    # shellcheck disable=SC2086 # two words
    try "$work/original" $1 >/dev/null || echo "$1"
}

check_mutant() { # NAME: prints a line of TAP without its number
    copy=$work/$1 patch=$root/tests/mutants/$1.patch killers='' survived=''

    rm -rf "$copy"
    cp -a "$work/original" "$copy"
    tests_of "$patch" >"$copy/tests.list"
    if [ "$(cat "$copy/tests.list")" = compiler ]; then # which must not complain anyway
        find "$copy/chapters" "$copy/common" -name '*.c' -exec touch {} +
        build "$copy" CPPFLAGS=-Werror || survived=', for without it the compiler complains as well'
    fi
    # Without GIT_DIR git would find the repository around the copy, and patch nothing.
    if ! reason=$(cd "$copy" && GIT_DIR=/dev/null git apply "$patch" 2>&1); then
        survived=", for its patch does not apply: $(printf %s "$reason" | tr '\n' ' ')"
    elif [ -z "$survived" ]; then
        rm -f "$copy/build/tests/support.o" # it holds the path of the sources
        # shellcheck disable=SC2046 # a list of files
        if [ "$(cat "$copy/tests.list")" = compiler ]; then
            build "$copy" CPPFLAGS=-Werror && survived=' the compiler' || killers=' by the compiler'
        elif ! build "$copy" $(sed 's|^|build/|; s| .*||' "$copy/tests.list" | sort -u); then
            survived=', for it does not build'
        else
            while read -r program test; do
                if grep -qx "$program $test" "$work/failed.list"; then
                    survived=", for without it ${program##*/} $test fails as well"
                    break
                fi
                how=$(try "$copy" "$program" "$test")
                case $? in
                1) killers="$killers${killers:+, and} by ${program##*/} $test$how" ;;
                *) survived="$survived${survived:+, and} ${program##*/} $test" ;;
                esac
            done <"$copy/tests.list"
        fi
    fi
    rm -rf "$copy"
    if [ -z "$survived" ]; then
        echo "ok - $1: killed$killers"
    else
        printf 'not ok - %s: survived%s\n# again: tests/mutants.sh %s\n' "$1" "$survived" "$1"
    fi
}

case ${1-} in
--original) check_original "$2" && exit ;;
--mutant) check_mutant "$2" && exit ;;
esac

# ---- all of them -----------------------------------------------------------------------------

# shellcheck disable=SC2046,SC2086 # a pattern, and names without blanks
set -- $(cd tests/mutants && ls ${1:-*}.patch)
[ $# -gt 0 ] || exit 2

trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
rm -rf "$work"
mkdir -p "$work/original"
# What is built and tested, and no more, since each mutant has a copy of it.
git ls-files --cached --others --exclude-standard -- Makefile README.md common chapters tests ':!*/*.md' ':!*.svg' \
    ':!common/book' ':!tests/exercises' ':!tests/fuzz' ':!tests/mutants' |
    while read -r file; do [ ! -e "$file" ] || echo "$file"; done |
    tar -cf - -T - | tar -xf - -C "$work/original"

for patch; do
    tests_of "tests/mutants/$patch"
done | grep -v '^compiler$' | sort -u >"$work/tests.list"
# shellcheck disable=SC2046 # a list of files
if ! build "$work/original" -j2 $(sed 's|^|build/|; s| .*||' "$work/tests.list" | sort -u); then
    sed 's/^/# /' "$work/original/make.log"
    echo "Bail out! the tree does not build without a mutant"
    exit 1
fi
tr '\n' '\0' <"$work/tests.list" |
    xargs -0 -r -P2 -n1 "$root/tests/mutants.sh" --original >"$work/failed.list"

echo "1..$#"
printf '%s\n' "$@" | sed 's/\.patch$//' |
    xargs -P4 -n1 "$root/tests/mutants.sh" --mutant |
    { # line by line, as each mutant ends
        done=0 survived=0
        while IFS= read -r line; do
            case $line in
            'ok'*) line="ok $((done += 1))${line#ok}" ;;
            'not ok'*) line="not ok $((done += 1))${line#not ok}" survived=1 ;;
            esac
            printf '%s\n' "$line"
        done
        [ $survived -eq 0 ] && [ $done -eq $# ]
    }
