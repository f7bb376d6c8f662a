#!/bin/sh
# fuzz.sh [SECONDS] [BUILD_DIR]: fuzzes for so many seconds in all (60), a quarter for each target.
#
# Builds the targets with clang, libFuzzer, ASan and UBSan in BUILD_DIR/fuzz (build/fuzz at the top
# of the tree), runs each from its committed corpus, and prints TAP. New inputs stay in
# BUILD_DIR/fuzz/new. The inputs of a crash are kept, and the command is printed that repeats it.
set -u

seconds=${1:-60}
case $seconds in
'' | *[!0-9]*)
    echo "usage: fuzz.sh [SECONDS] [BUILD_DIR]" >&2
    exit 2
    ;;
esac

root=$(CDPATH='' cd -- "$(dirname -- "$0")/../.." && pwd) || exit 1
build=${2:-$root/build}
mkdir -p "$build/fuzz" || exit 1
build=$(CDPATH='' cd -- "$build/fuzz" && pwd) || exit 1
cd "$root" || exit 1

clang=${CLANG:-clang}
sanitizers=fuzzer,address,undefined
each=$((seconds / 4))
[ $each -gt 0 ] || each=1 # 0 would be: for ever

echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' \
    >"$build/probe.c"
if ! "$clang" -fsanitize=$sanitizers "$build/probe.c" -o "$build/probe" 2>"$build/probe.log"; then
    echo "fuzz.sh: needs clang with libFuzzer (Debian: clang libclang-rt-dev); \
$clang -fsanitize=$sanitizers fails, see $build/probe.log" >&2
    exit 1
fi

compile() { # TARGET SOURCE|OPTION ...
    target=$1
    shift
    "$clang" -std=c17 -D_GNU_SOURCE -Icommon -Icommon/load -Ichapters/03-descriptor-passing \
        -Ichapters/04-prefork-select -Ichapters/07-one-queue -Wall -Wextra -Wpedantic -Wshadow -Wconversion -O1 -g \
        -fsanitize=$sanitizers -fno-sanitize-recover=all \
        "tests/fuzz/$target.c" "$@" -lm -o "$build/$target"
}

# What a target replaces stands in its source; here is only what the linker must be told.
build_target() { # TARGET
    case $1 in
    read_fd)
        compile read_fd chapters/03-descriptor-passing/fdpass.c -Wl,--wrap=recvmsg,--wrap=close
        ;;
    pool)
        compile pool chapters/03-descriptor-passing/fdpass.c common/log.c
        ;;
    queue)
        compile queue chapters/03-descriptor-passing/fdpass.c chapters/04-prefork-select/workers.c \
            common/log.c common/process.c common/procstat.c
        ;;
    cmdline)
        compile cmdline common/arguments.c common/cmdline.c common/listener.c common/log.c \
            common/output.c common/process.c common/load/options.c \
            -Wl,--wrap=exit,--wrap=errx,--wrap=getrlimit
        ;;
    esac
}

# libFuzzer writes to the first corpus and only reads the others. A run that takes seconds waits for
# something, and no target may: that is a failure, too.
fuzz() { # TARGET
    crashes=$build/crashes/$1
    mkdir -p "$build/new/$1" "$crashes"
    "$build/$1" -max_total_time=$each -max_len=512 -timeout=60 -print_final_stats=1 \
        -artifact_prefix="$crashes/" "$build/new/$1" "tests/fuzz/corpus/$1" \
        >"$build/$1.log" 2>&1
}

say_failure() { # TARGET
    # Of the stack only what is ours, not libFuzzer's.
    sed -n -e '/not so:\|runtime error:\|ERROR:\|SUMMARY:/s/^/# /p' \
        -e '/^ *#[0-9][0-9]* .*\/\(chapters\|common\|fuzz\)\/.*\.c:/s/^/# /p' \
        "$build/$1.log" | head -n 30
    file=$(sed -n 's/.*Test unit written to //p' "$build/$1.log" | tail -n 1)
    echo "# the whole report: $build/$1.log"
    if [ -n "$file" ]; then
        echo "# input:  $file"
        echo "# repeat: '$build/$1' -timeout=60 '$file'"
    fi
}

echo 1..4
number=0 failed=0
for target in read_fd pool queue cmdline; do
    number=$((number + 1))
    if ! build_target "$target"; then
        echo "not ok $number - $target: does not compile"
        failed=1
    elif fuzz "$target"; then
        runs=$(sed -n 's/^stat::number_of_executed_units: *//p' "$build/$target.log")
        echo "ok $number - $target: $runs runs"
    else
        echo "not ok $number - $target"
        say_failure "$target"
        failed=1
    fi
done
exit $failed
