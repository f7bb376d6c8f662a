#!/bin/sh
# check.sh: what the texts say. Excerpts are equal to their source, schedules add up, links inside the
# repository lead somewhere, pictures have a text, words are spelled, and every command does what it is
# shown to do. A translation is what is made of the page and its catalogue, with the same commands, which run once.
#
# MAKE_TEST is a file with what `make test` has printed for this build, when it has run already. Then of the suites
# that `make chapter-NN` runs one is enough, the contract of the chapter's first server, to see it run.
set -eu
cd "$(dirname "$0")/../.."

# What the commands measure and mark as done is nobody's.
export MINE="${MINE-build/check/mine}"
texts=$(git ls-files '*.md' 2>/dev/null || find . -name '*.md' -not -path './build/*' -not -path './mine/*')
english=$(echo "$texts" | grep -v '\.[a-z][a-z]\.md$')
echo "texts: excerpts"
# shellcheck disable=SC2086 # a list, here and below
common/text/excerpt.py --check $texts
echo "texts: schedules"
slides/schedule.py --check
echo "texts: links and pictures"
# shellcheck disable=SC2086
tests/texts/links.py $texts
echo "texts: translations"
common/book/translate.py --check
echo "texts: spelling"
# shellcheck disable=SC2086
codespell $english
git ls-files '*.[ch]' '*.py' '*.sh' '*.mk' '*.gift' 2>/dev/null | xargs -r codespell
echo "texts: commands"
printed=$(mktemp -d)
trap 'rm -rf "$printed"' EXIT
trap 'exit 1' HUP INT TERM
export TEST_PRINTED="$printed"
if [ -n "${MAKE_TEST-}" ]; then
    cp "$MAKE_TEST" "$printed/make test"
    build=${BUILD:-build}
    # A blank in a value is escaped there: it is how make reads its options.
    MAKEFLAGS=$(awk -F '\t' -v "at=$build/tests/servers/contract-" '
        NR > 1 && !seen[$2]++ { list = list (list ? "\\ " : "") at $1 }
        END { print "server_tests=" list }' "$build/servers.tsv")
    export MAKEFLAGS
fi
# Side by side, since they mostly wait: each is in a network of its own. Two build the same exercise.
# shellcheck disable=SC2086
prove -j3 --rules='seq=exercises/{README,01-1-zombies/README}.md' --rules='par=**' \
    --exec 'python3 tests/texts/commands.py' $english
echo "texts: as they say"
