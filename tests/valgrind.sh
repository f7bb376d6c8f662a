#!/bin/sh
# valgrind.sh [TEST ...]: the suites again, with every program of the course under valgrind. Errors and leaks
# of memory end a program with status 99, which its test sees. Of the descriptors (--track-fds) no
# connection and no channel may be open in a process that ended by itself.
set -eu
cd "$(dirname "$0")/.."

build=${BUILD:-build} logs=${BUILD:-build}/valgrind
rm -rf "$logs"
mkdir -p "$logs"
VALGRIND_LOGS=$(cd "$logs" && pwd)

# Shells and Python are not ours to check. A stack without its inlined functions says enough, and a program
# starts a fifth faster.
TEST_WRAPPER="valgrind --trace-children=yes --trace-children-skip=*/python*,*/env,*/sh,*/bin/*,*-test-*"
TEST_WRAPPER="$TEST_WRAPPER --track-fds=yes --leak-check=full --error-exitcode=99 --vgdb=no --read-inline-info=no"
TEST_WRAPPER="$TEST_WRAPPER --trace-signals=yes --log-file=%q{VALGRIND_LOGS}/%p"
export VALGRIND_LOGS TEST_WRAPPER CMOCKA_MESSAGE_OUTPUT=TAP TEST_SECONDS=900

# The suites of every server in C, but for those whose calls valgrind 3.19 does not know: of one that is another's program with arguments, what goes wrong around it.
# And the tests of programs.
if [ $# -eq 0 ]; then
    names=$(awk -F '\t' 'NR > 1 && $6 != "script" && $7 !~ /numbers/ { print "faults-" $1 } NR > 1 && $4 == "" { print "contract-" $1 }' \
        "$build/servers.tsv")
    for name in $names; do
        set -- "$@" "$build/tests/servers/$name"
    done
    for test in tests/common/load/load.c tests/chapters/*/*.c; do
        test=${test%.c}
        [ ! -x "$build/${test#tests/}" ] || set -- "$@" "$build/$test"
    done
fi

# Half of the time in which a program starts, valgrind reads the symbols of libc, which its stacks can do without. In a
# mount namespace, where that may be made, they are not there; those of the loader, which it must have, are.
id=$(readelf -n "$(cc -print-file-name=libc.so.6)" | sed -n 's|.*Build ID: \(..\)|\1/|p')
symbols=/usr/lib/debug/.build-id/$id.debug
if [ -f "$symbols" ] && unshare --mount mount --bind /dev/null "$symbols" 2>/dev/null; then
    # shellcheck disable=SC2016 # for another shell
    unshare --mount sh -euc 'mount --bind /dev/null "$0"; exec "$@"' "$symbols" prove --exec '' -j4 --failures "$@"
else
    prove --exec '' -j4 --failures "$@"
fi

# This is for servers and workers ("worker" by name); the programs that only show something leave it to exit. A log
# has, for each descriptor that is open at the end, a line "Open ..." and the calls that
# opened it, or "<inherited from parent>". A process that a signal ended has to be passed over; one that it sent to itself,
# as a child does whose parent had ended before it could ask for one (fork_child), only --trace-signals tells.
servers=$(awk -F '\t' 'NR > 1 { sub(".*/", "", $3); printf "%s\\|", $3 }' "$build/servers.tsv")worker
find "$logs" -type f | while read -r log; do
    grep -q -e 'Process terminating' -e 'being killed with SIGKILL' "$log" || ! grep -q "Command: .*/\\($servers\\)" "$log" || awk -v log_name="$log" '
        /Open (file|AF)/ { opened = $0 }
        /inherited from parent/ { opened = "" }
        opened && /(accept4|recvmsg|socketpair) \(/ { print log_name ": " opened; print "   " $0; opened = "" }
    ' "$log"
done >"$logs.open"
if [ -s "$logs.open" ]; then
    echo "valgrind: descriptors left open by processes that ended by themselves:" >&2
    head -40 "$logs.open" >&2
    exit 1
fi
echo "valgrind: $(find "$logs" -type f | wc -l) processes, no error, no leak, no connection or channel left open"
