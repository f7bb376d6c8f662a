#!/bin/sh
# github.sh SUBMISSION: grades a folder in GitHub Actions; see classroom.yml. Writes the points to the
# summary of the job, and ends with status 1 when points are missing, 2 when a test itself broke.
# EXERCISES, SANITIZE and PARTIAL are those of `make grade`.
set -eu
submission=$(cd "$1" && pwd)
cd "$(dirname "$0")/../../.."

common/setup.sh cc make python3
# Root's sandbox has namespaces and a user of its own, which not every machine allows others.
root=
if [ "${GITHUB_ACTIONS-}" = true ] && [ "$(id -u)" -ne 0 ] && sudo -n true 2>/dev/null; then
    root=sudo
fi
rm -f build/grade/results.json
# What is printed may quote what was handed in, and GitHub takes a line that begins with two colons for a
# command, such as the notice with the points: not until it hears this word again.
word=$(od -An -N16 -tx1 /dev/urandom | tr -d ' \n')
echo "::stop-commands::$word"
status=0
$root env SUBMISSION="$submission" RESULTS= EXERCISES="${EXERCISES-}" SANITIZE="${SANITIZE-}" \
    PARTIAL="${PARTIAL-}" make -s grade 2>&1 || status=$?
echo "::$word::"
common/exercises/autograder/report.py build/grade/results.json || status=$(($? > status ? $? : status))
exit "$status"
