#!/bin/sh
# diff.sh NN: what chapter NN changed, line by line, in the modules of the chapter with a server before it; and
# which modules are new.
set -eu

servers=$(printf '%s\n' chapters/[0-9]*/server.c)
here=$(echo "$servers" | grep "^chapters/$1-" || true)
before=$(echo "$servers" | grep -B1 "^chapters/$1-" | grep -v "^chapters/$1-" || true)
if [ -z "$before" ]; then
    echo "diff: chapter $1 has $([ "$here" ] && echo the first server || echo no server);" \
        "say one of: $(echo "$servers" | sed '1d; s|chapters/\([0-9]*\).*|\1|' | xargs)" >&2
    exit 2
fi
here=${here%/*} before=${before%/*}

new=
for module in "$here"/*.[ch] "$here"/*.py; do
    name=${module##*/}
    if [ "$name" = show.py ] || [ ! -f "$module" ]; then
        continue
    elif [ -f "$before/$name" ]; then
        diff -U2 --label "$before/$name" --label "$module" "$before/$name" "$module" || [ $? -eq 1 ]
    else
        new="$new$(printf 'new: %s, %s lines' "$module" "$(grep -c '' "$module")")
"
    fi
done
printf '%s' "$new"
