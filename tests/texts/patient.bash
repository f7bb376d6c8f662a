# For the shells of commands.py. Half a second, of which the texts say `sleep 0.5`, is enough where nothing else runs;
# beside a whole check it may not be. What happens by itself in the background, (sleep 0.5; kill ...) &, keeps its time.
sleep() {
    case $BASHPID:$1 in
    "$$":0.* | "$$":1) for _ in 1 2 3 4; do command sleep "$1"; done ;;
    *) command sleep "$@" ;;
    esac
}

# Nor may the second in which strace is to find a process at work.
timeout() {
    case $1:$2 in
    [0-9]:strace) command timeout $((4 * $1)) "${@:2}" ;;
    *) command timeout "$@" ;;
    esac
}
