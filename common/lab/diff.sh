#!/bin/sh
# diff.sh NN: what the server of chapter NN changed in that of the chapter with a server before it.
set -eu

case $1 in
04) before=$(echo chapters/01-*/server.c) ;;
05) before=$(echo chapters/04-*/server.c) ;;
*)
    echo "diff: chapter $1 has no server that another one came before; say 04 or 05" >&2
    exit 2
    ;;
esac
after=$(echo chapters/"$1"-*/server.c)
diff -U2 --label "$before" --label "$after" "$before" "$after" || [ $? -eq 1 ]
