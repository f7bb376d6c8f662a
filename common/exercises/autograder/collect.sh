#!/bin/sh
# collect.sh ROSTER FOLDER: what a class has handed in as repositories, for `make grade-all`; see class.yml.
#
# ROSTER has a repository a line, as owner/name; # begins a comment. Each is cloned, without its history, to
# FOLDER/owner_name. One that cannot be had is named on stderr, and has an empty folder, so that it is not forgotten;
# status 1 then.
#
# TOKEN is one that may read them, if they are private. SITE is another place than https://github.com.
set -u
[ $# -eq 2 ] || {
    sed -n '2,9s/^# \{0,1\}//p' "$0" >&2
    exit 2
}
roster=$1 folder=$2 status=0
export GIT_TERMINAL_PROMPT=0
if [ -n "${TOKEN-}" ]; then # in the environment, where no other user can read it
    export GIT_CONFIG_COUNT=1 GIT_CONFIG_KEY_0="http.${SITE:-https://github.com}/.extraheader"
    GIT_CONFIG_VALUE_0="Authorization: Basic $(printf 'x-access-token:%s' "$TOKEN" | base64 | tr -d '\n')"
    export GIT_CONFIG_VALUE_0
fi
mkdir -p "$folder" || exit 2
while read -r repository _; do
    case $repository in
    '' | '#'*) continue ;;
    *[!A-Za-z0-9_./-]* | */*/* | -* | .* | */.* | */-* | */ | /*) named=no ;;
    */*) named=yes ;;
    *) named=no ;;
    esac
    if [ "$named" = no ]; then
        echo "collect.sh: $roster: not of the form owner/name: $repository" >&2
        status=1
        continue
    fi
    target=$folder/$(echo "$repository" | tr / _)
    rm -rf "$target"
    if ! git clone -q --depth 1 --no-tags --single-branch "${SITE:-https://github.com}/$repository" "$target" \
        </dev/null; then
        echo "collect.sh: $repository: not cloned" >&2
        mkdir -p "$target"
        status=1
    fi
done <"$roster"
exit $status
