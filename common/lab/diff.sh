#!/bin/sh
# diff.sh NN: what the server of chapter NN changed in that of the chapter with a server before it.
set -eu

# shellcheck disable=SC2046 # two words: no name of a folder has a space
set -- "$1" $(printf '%s\n' chapters/[0-9]*/server.c | grep -B1 "^chapters/$1-")
if [ $# -ne 3 ]; then
    echo "diff: chapter $1 has no server that another one came before; say one of:" \
        "$(printf '%s\n' chapters/[0-9]*/server.c | sed '1d; s|chapters/\([0-9]*\).*|\1|' | xargs)" >&2
    exit 2
fi
diff -U2 --label "$2" --label "$3" "$2" "$3" || [ $? -eq 1 ]
