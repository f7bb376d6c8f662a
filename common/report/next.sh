#!/bin/sh
# next.sh NN: what a reader can do after chapter NN has been built, tested and timed.
set -eu

here=$(echo chapters/"$1"-*)
next=$(printf '%s\n' chapters/[0-9]* | sed -n "\|^$here\$|{n;p;}")
echo
echo "Read on in $here/README.md:"
echo "how it works, and how to break it."
if [ -n "$next" ]; then
    number=${next#chapters/}
    echo "Then: make chapter-${number%%-*}"
else
    echo "Then: make compare"
fi
