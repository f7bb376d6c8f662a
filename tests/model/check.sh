#!/bin/sh
#
# Checks pool.pml, lock.pml and queue.pml with spin: that the protocols keep their properties, and
# that spin finds every fault that can be put in. Says what it found in TAP; any surprise makes the
# exit status 1.
#
#     check.sh [DIRECTORY]
#
# All files go below DIRECTORY (by default $BUILD/model, else build/model at the top of the
# repository), and stay there: each run has its own place, with the trail if there is one.

set -u
export LC_ALL=C # A-Z are these letters

here=$(cd "$(dirname "$0")" && pwd) || exit 1
work=${1:-${BUILD:-$here/../../build}/model}

# A run: a name, what spin must find, the size and the fault, how to look.
#   none     no error: asserts, and what must be true when nothing can go on
#   cycle    an execution without end (a master that spins)
#   other    the assert of this name
# How: safety; cycles (no execution without end); ends (the LTL formula of this name).
short='-DSHORT=1 -DREFUSE=1'
hidden='-DHELP=1 -DTRACE=1'
pool="
rests-no-death       |none|-DC=4 -DD=0 $short -DHANG=1|safety
rests-one-death      |none|-DC=3 -DD=1 $short|safety
rests-two-deaths     |none|-DC=3 -DD=2 -DSHORT=1|safety
rests-hidden         |none|-DC=2 -DD=1 $hidden|safety
rests-closing        |none|-DC=2 -DD=1 -DCLOSE=1 -DHELP=1|safety
rests-hanging        |none|-DC=2 -DD=1 -DHANG=1 -DTRACE=1|safety
ending-no-death      |none|-DENDING -DC=4 -DD=0 $short -DHANG=1|safety
ending-one-death     |none|-DENDING -DC=2 -DD=1 $short|safety
ending-two-deaths    |none|-DENDING -DC=2 -DD=2|safety
ending-hidden        |none|-DENDING -DC=2 -DD=0 $hidden|safety
ending-closing       |none|-DENDING -DC=1 -DD=0 -DCLOSE=1 -DTRACE=1|safety
rests-never-spins    |none|-DC=2 -DD=1 $short|cycles
hidden-never-spins   |none|-DC=1 -DD=0 -DCLOSE=1 $hidden|cycles
hanging-never-spins  |none|-DC=2 -DD=0 -DHANG=1 -DTRACE=1|cycles
ending-never-spins   |none|-DENDING -DC=1 -DD=1 -DHELP=1|cycles
ending-all-end       |none|-DENDING -DC=1 -DD=1 -DHELP=1|ends
STALE_ACCEPT         |accepted_without_idle|-DC=3 -DD=1|safety
OVERLOAD_DROPPED     |accepted_without_idle|-DC=4 -DD=0|safety
DEAD_DROPS           |connection_lost|-DC=2 -DD=1|safety
HANDED_TWICE         |served_twice|-DC=2 -DD=0|safety
COPY_KEPT            |descriptor_left_open|-DC=2 -DD=0|safety
CONNECTION_KEPT      |descriptor_left_open|-DC=2 -DD=1 -DSHORT=1|safety
WORKER_END_KEPT      |descriptor_left_open|-DC=2 -DD=1|safety
SIBLINGS_KEPT        |worker_outlives_master|-DENDING -DC=2 -DD=0|safety
OWN_END_KEPT         |worker_outlives_master|-DENDING -DC=2 -DD=0|safety
SIGPIPE_KILLS        |master_died|-DC=2 -DD=1|safety
NOT_REAPED           |zombie_left|-DC=2 -DD=1|safety
NOT_REPLACED         |worker_missing|-DC=2 -DD=1|safety
SILENT_WORKER        |deadlock|-DC=2 -DD=0|safety
KEPT_FORGOTTEN       |client_forgotten|-DC=2 -DD=0 -DSHORT=1|safety
EOF_IGNORED          |cycle|-DC=2 -DD=0 -DCLOSE=1|cycles
EOF_WATCHED          |cycle|-DC=2 -DD=0 -DTRACE=1 -DCLOSE=1|cycles
EOF_ONLY             |worker_missing|-DC=2 -DD=1 -DHELP=1|safety
CLEARED_LATE         |worker_missing|-DC=2 -DD=2 -DHELP=1|safety
WAITPID_BLOCKS       |deadlock|-DENDING -DC=2 -DD=0 -DTRACE=1|safety
UNREAPABLE_STAYS     |worker_missing|-DC=2 -DD=1 -DTRACE=1|safety
NOT_REAPED_LATER     |zombie_left|-DC=2 -DD=1 -DTRACE=1|safety
NOT_DISMISSED        |worker_missing|-DC=2 -DD=0 -DCLOSE=1|safety
READY_THOUGH_FAILED  |pool_given_up|-DC=2 -DD=1 -DSHORT=1|safety
REPLACEMENT_DECIDES  |pool_given_up|-DC=2 -DD=1 -DREFUSE=1|safety
NO_DEADLINE_LATER    |deadlock|-DC=2 -DD=1 -DHANG=1|safety
LAST_WORDS_LOST      |reason_lost|-DC=2 -DD=1 -DREFUSE=1|safety
"
lock="
lock-one-death       |none|-DC=3 -DD=1|safety
lock-two-deaths      |none|-DC=2 -DD=2 -DSHORT=0|safety
lock-all-held        |none|-DC=3 -DD=0 -DHOLD=3|safety
lock-always-wakes    |none|-DC=3 -DD=1 -DHOLD=2 -DSHORT=0 -DALWAYS_WAKES|safety
lock-never-spins     |none|-DC=1 -DD=1 -DHOLD=0|cycles
SLEEPER_LEFT         |nobody_accepts|-DC=3 -DD=1 -DHOLD=2 -DSHORT=0|safety
HOLDER_STOPS         |nobody_accepts|-DC=2 -DD=0|safety
PLAIN                |nobody_accepts|-DC=2 -DD=1|safety
NOT_CONSISTENT       |two_accept|-DC=2 -DD=1|safety
PENDING_IGNORED      |nobody_accepts|-DC=2 -DD=1|safety
WAITERS_FORGOTTEN    |nobody_accepts|-DC=3 -DD=0 -DHOLD=2|safety
MASTER_UNLOCKS       |two_accept|-DC=2 -DD=1|safety
KEPT_ON_FAILURE      |nobody_accepts|-DC=2 -DD=0|safety
SERVES_LOCKED        |nobody_accepts|-DC=2 -DD=0|safety
UNCHECKED            |served_twice|-DC=2 -DD=0|safety
GREEDY               |connection_lost|-DC=2 -DD=0|safety
NEVER_REPLACED       |worker_missing|-DC=2 -DD=1|safety
TRYLOCK              |cycle|-DC=2 -DD=0|cycles
"
queue="
queue-no-death       |none|-DC=4 -DD=0 -DQ=2 -DHOLD=2|safety
queue-two-deaths     |none|-DC=3 -DD=2|safety
queue-no-room        |none|-DC=3 -DD=1 -DFULL=1|safety
queue-ending         |none|-DENDING -DC=3 -DD=1|safety
queue-never-spins    |none|-DENDING -DC=2 -DD=1|cycles
numbers-rests        |none|-DNUMBERS -DC=3 -DD=1 -DSLOW=1|safety
numbers-ending       |none|-DNUMBERS -DENDING -DC=2 -DD=1 -DSLOW=1|safety
numbers-never-spins  |none|-DNUMBERS -DC=2 -DD=1 -DSLOW=1|cycles
FIRST_END_KEPT       |worker_outlives|-DENDING -DC=1 -DD=0|safety
NO_SIGNAL            |acceptor_outlives|-DENDING -DC=1 -DD=0|safety
GOES_ON_WITHOUT_ROOM |connection_lost|-DC=2 -DD=0 -DFULL=1|safety
CLOSED_BEFORE_SENT   |connection_lost|-DC=1 -DD=0|safety
DROPPED_WHEN_FULL    |connection_lost|-DC=3 -DD=0|safety
COPY_KEPT            |descriptor_left_open|-DC=1 -DD=0|safety
UNBOUNDED            |lost_beyond_the_bound|-DENDING -DC=3 -DD=0|safety
ACCEPTOR_NOT_ENDED   |accepted_at_the_end|-DENDING -DC=1 -DD=0|safety
ACCEPTOR_NOT_REPLACED|client_forgotten|-DC=1 -DD=1|safety
COOKIE_IGNORED       |served_twice|-DNUMBERS -DC=2 -DD=0 -DSLOW=1|safety
NUMBER_ALONE_IS_TOLD |connection_lost|-DNUMBERS -DC=3 -DD=1|safety
QUEUE_SURVIVES       |connection_lost|-DNUMBERS -DC=1 -DD=1|safety
"

# Makes and runs the checker for one line of the list; what it says is left in NAME/out.
run()
{
    name=$1 flags=$2 how=$3 model=$4

    mkdir -p "$work/$name" && cd "$work/$name" && rm -f ./* || return
    case $name in
    [A-Z]*) flags="$flags -D$name" ;; # a fault
    esac
    case $model/$name in
    pool.pml/[a-z]*) optimise=-O1 ;;
    *) optimise=-O0 ;; # over so soon that the compiler would take longer than it saves
    esac
    case $how in
    safety) make='-DNOCLAIM -DSAFETY' look='' ;;
    cycles) make='-DNOCLAIM -DNP' look=-l ;;
    ends)   make='' look='-a -N ends' ;;
    esac
    cp "$here/$model" . # so that no file is written beside the model, and a trail can be replayed here
    {
        # shellcheck disable=SC2086 # flags are words
        spin -a $flags "$model" &&
            ${CC:-cc} -w $optimise -DMEMLIM=2000 $make -o pan pan.c &&
            ./pan -m10000 $look
    } >out 2>&1
    echo "spin -t $flags $model" >replay
}

# Prints what a run found: none, cycle, the name of an assert, or unknown.
found()
{
    violated=$(sed -n 's/^pan:1: assertion violated *!(\([a-z_]*\)).*/\1/p' "$1")
    if [ -n "$violated" ]; then
        echo "$violated"
    elif grep -q '^pan:1: non-progress cycle' "$1"; then
        echo cycle
    elif grep -q 'errors: 0$' "$1" && ! grep -Eq '^pan:1|^error|not completed|too small' "$1"; then
        echo none
    else
        echo unknown
    fi
}

if ! command -v spin >/dev/null; then
    echo 'Bail out! spin is not installed'
    exit 1
fi
mkdir -p "$work" && work=$(cd "$work" && pwd) || exit 1

# Two at a time: one lane takes the odd lines, the other the even ones.
list=$work/runs
{
    printf '%s\n' "$pool" | sed 's/$/|pool.pml/'
    printf '%s\n' "$lock" | sed 's/$/|lock.pml/'
    printf '%s\n' "$queue" | sed 's/$/|queue.pml/'
} | sed '/^|/d; s/ *|/|/' >"$list"
for lane in 1 0; do
    awk -v lane=$lane 'NR % 2 == lane' "$list" |
        while IFS='|' read -r name _ flags how model; do
            (run "$name" "$flags" "$how" "$model" </dev/null)
        done &
done
wait

echo "1..$(wc -l <"$list")"
number=0 status=0
while IFS='|' read -r name expected flags how _; do
    number=$((number + 1))
    out=$work/$name/out
    what=$(found "$out")
    case $expected in
    none) title="$name: $flags, $how" ;;
    *)    title="fault $name is found: $expected" ;;
    esac
    if [ "$what" = "$expected" ]; then
        echo "ok $number - $title"
    else
        echo "not ok $number - $title"
        echo "# found: $what; see $out"
        status=1
    fi
    awk '/states, stored/ { states = $1 }
        /^pan: elapsed time/ { print "# " states " states, " $4 " s" }' "$out"
done <"$list"
exit $status
