#!/bin/sh
# lint.sh: warnings of both compilers, clang-format, clang-tidy, cppcheck, shellcheck; all are errors.
set -eu
cd "$(dirname "$0")/.."

build=${BUILD:-build}/lint
headers="-Icommon -Icommon/load $(printf -- '-I%s ' chapters/[0-9]*) -isystem /usr/share/include/llhttp" # of Debian 12
sources=$(find chapters common solutions -name '*.c') # starters have faults that clang-tidy sees
c_files=$(find chapters common exercises solutions tests -name '*.[ch]')
scripts=$(find common tests .ci -name '*.sh' -o -path .ci/run -o -name run_autograder)

echo "lint: names and places"
tests/rooms.py
echo "lint: gcc and clang, with the warnings of common/build.mk as errors"
for compiler in gcc clang; do
    make -s -j2 BUILD="$build/$compiler" CC=$compiler CPPFLAGS=-Werror build tests >/dev/null
done
echo "lint: clang-format"
# shellcheck disable=SC2086 # lists of files and options, here and below
clang-format --dry-run -Werror $c_files
echo "lint: clang-tidy"
# shellcheck disable=SC2086,SC2016
printf '%s\n' $sources | xargs -P2 -n4 sh -c '
    out=$(clang-tidy --quiet "$@" -- -std=c17 -D_GNU_SOURCE '"$headers"' 2>/dev/null) ||
    { echo "$out"; exit 1; }' clang-tidy
echo "lint: cppcheck"
# redundantContinue: a loop whose body is empty says so. shadowFunction: a local called usage.
# shellcheck disable=SC2086
cppcheck --quiet --std=c11 --enable=warning,style,performance,portability --error-exitcode=1 \
    --inline-suppr --suppress=missingIncludeSystem --suppress=redundantContinue \
    --suppress=shadowFunction --suppress=normalCheckLevelMaxBranches -D_GNU_SOURCE $headers $sources
echo "lint: shellcheck"
# shellcheck disable=SC2086
shellcheck $scripts
echo "lint: python"
python3 - <<'PYTHON'
import ast, pathlib
for folder in "common", "chapters", "exercises", "slides", "solutions", "tests":
    for path in [*pathlib.Path(folder).rglob("*.py"), *pathlib.Path(folder).rglob("*.t")]:
        ast.parse(path.read_text(), str(path))
PYTHON
echo "lint: clean"
