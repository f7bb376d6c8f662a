#!/bin/sh
# setup.sh TOOL ...             sees to it that the tools are there; installs what is missing
# setup.sh --alone TOOL ...     the same, and whoever is asked is asked for nothing else
# setup.sh --optional TOOL ...  the same, but asks nobody; says in a sentence what will be missing
# setup.sh --check              what `make check` needs is to be there
# setup.sh --list               prints what is there, what is missing, and the one line for root; or installs it
# setup.sh --line MANAGER       prints that line for a machine that has nothing; the README shows it
#
# With the package manager that is found (apt-get, dnf, pacman, apk), as root or through sudo where
# sudo can ask. Prints the command before it runs it; with DEPS=ask prints it and stops. Nobody is asked
# twice, neither for a password nor to be root: what somebody is asked for is all that is missing.
# shellcheck disable=SC2046,SC2086 # lists of words
# shellcheck disable=SC2016 # a command for another shell
set -u

# What reading, measuring and the exercises need; what they can do without; what the project needs
# besides; and what looking after the course does.
required='cc git python3 gnuplot cmocka prove strace gdb ss nc pgrep man make'
optional='apache2 xinetd socat'
project='curl ab llhttp'
maintenance='c++ clang clang-format clang-tidy cppcheck shellcheck valgrind gcovr spin libfuzzer'
maintenance="$maintenance chromium tidy npm codespell po4a musl-gcc gcc-multilib sphinx epubcheck"

found_daemon() ( # in a folder that Debian does not put into everybody's PATH
    PATH=$PATH:${SBIN-/usr/sbin:/sbin}
    command -v "$1" >/dev/null
)

is_musl() { # where this is the C library, nobody needs a second one, and has none for 32 bits
    case $(cc -dumpmachine 2>/dev/null) in
    *musl*) ;;
    *) false ;;
    esac
}

found() {
    case $1 in
    cmocka) command -v pkg-config >/dev/null && pkg-config --exists cmocka ;;
    libfuzzer) echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' |
        clang -fsanitize=fuzzer,address -w -x c - -o /dev/null 2>/dev/null ;;
    apache2) found_daemon apache2 || found_daemon httpd ;;
    xinetd) found_daemon xinetd ;;
    gcc-multilib) is_musl || [ "$(uname -m)" != x86_64 ] || echo 'int main(void) { return 0; }' |
        cc -m32 -x c - -o /dev/null 2>/dev/null ;;
    musl-gcc) is_musl || command -v musl-gcc >/dev/null ;;
    sphinx) command -v sphinx-build >/dev/null && for python in /usr/bin/python3 python3; do
        $python -c 'import sphinx, myst_parser, furo, sphinx_copybutton' 2>/dev/null && break
    done ;;
    epubcheck) [ -f /usr/share/java/epubcheck.jar ] || command -v epubcheck >/dev/null ;;
    llhttp) [ -f /usr/share/llhttp/llhttp.c ] || { command -v pkg-config >/dev/null && pkg-config --exists libllhttp; } ;;
    chromium) command -v chromium >/dev/null || found chromium-browser || found google-chrome ;;
    *) command -v "$1" >/dev/null ;;
    esac
}

# The servers of others are there to be measured, never to run as services of the system. So of Apache
# only the program is installed, and xinetd without what Debian would start it by, now and at each boot.
no_service() { # NAME: options for apt-get
    for file in /etc/init.d/"$1" /lib/systemd/system/"$1".service /usr/lib/systemd/system/"$1".service; do
        printf -- '-o Dpkg::Options::=--path-exclude=%s ' "$file"
    done
}

package() { # TOOL MANAGER: the packages that bring the tool
    case $1:$2 in
    apache2:apt-get) echo apache2-bin ;;
    apache2:dnf) echo httpd ;;
    apache2:pacman) echo apache ;;
    xinetd:apt-get) echo "$(no_service xinetd)xinetd" ;;
    cc:apt-get) echo gcc libc6-dev ;;
    cc:dnf) echo gcc glibc-devel ;;
    cc:apk) echo gcc musl-dev linux-headers ;;
    cc:*) echo gcc ;;
    gcc:*) package cc "$2" ;;
    c++:apt-get | c++:apk) echo g++ ;;
    c++:dnf) echo gcc-c++ ;;
    c++:pacman) echo gcc ;;
    gnuplot:apt-get) echo gnuplot-nox ;;
    gnuplot:dnf) echo gnuplot-minimal ;;
    cmocka:apt-get) echo libcmocka-dev pkg-config ;;
    cmocka:dnf) echo libcmocka-devel pkgconf-pkg-config ;;
    cmocka:pacman) echo cmocka pkgconf ;;
    cmocka:apk) echo cmocka-dev pkgconf ;;
    libfuzzer:apt-get) echo clang libclang-rt-dev ;;
    libfuzzer:*) echo clang compiler-rt ;;
    gcc-multilib:dnf) echo glibc-devel.i686 libgcc.i686 ;;
    gcc-multilib:pacman) echo lib32-glibc lib32-gcc-libs ;;
    musl-gcc:apt-get) echo musl-tools ;;
    musl-gcc:pacman) echo musl ;;
    prove:dnf) echo perl-Test-Harness ;;
    prove:apk) echo perl-utils ;;
    prove:*) echo perl ;;
    python3:pacman) echo python ;;
    ss:dnf) echo iproute ;;
    ss:*) echo iproute2 ;;
    nc:apt-get) echo netcat-openbsd ;;
    nc:dnf) echo netcat ;;
    nc:pacman) echo openbsd-netcat ;;
    nc:apk) echo netcat-openbsd ;;
    pgrep:dnf | pgrep:pacman) echo procps-ng ;;
    pgrep:*) echo procps ;;
    man:apt-get) echo man-db manpages-dev ;;
    man:apk) echo mandoc man-pages ;;
    man:*) echo man-db man-pages ;;
    tidy:apk) echo tidyhtml ;;
    sphinx:apt-get) echo python3-sphinx python3-myst-parser furo python3-sphinx-copybutton ;;
    sphinx:dnf) echo python3-sphinx python3-myst-parser python3-furo python3-sphinx-copybutton ;;
    sphinx:pacman) echo python-sphinx python-myst-parser python-sphinx-furo python-sphinx-copybutton ;;
    sphinx:apk) echo py3-sphinx py3-myst-parser py3-furo py3-sphinx-copybutton ;;
    epubcheck:apt-get) echo epubcheck default-jre-headless ;;
    ab:dnf) echo httpd-tools ;;
    ab:pacman) echo apache ;;
    ab:*) echo apache2-utils ;;
    # Debian has it as a library since version 13; before, as C sources in a package for Node.js. The command finds out.
    llhttp:apt-get) echo '$(apt-cache pkgnames libllhttp-dev | grep . || echo node-llhttp) pkg-config' ;;
    llhttp:dnf) echo llhttp-devel pkgconf-pkg-config ;;
    llhttp:pacman) echo llhttp pkgconf ;;
    llhttp:apk) echo llhttp-dev pkgconf ;;
    *) echo "$1" ;;
    esac
}

# In lines of at most 80 columns: a label, and words beside it.
row() { # COLUMNS LABEL WORD ...
    columns=$1 line=$(printf '%-*s' "$1" "$2")
    shift 2
    for word; do
        if [ $((${#line} + ${#word})) -gt 79 ]; then
            echo "$line"
            line=$(printf '%*s' "$columns" '')
        fi
        line="$line $word"
    done
    echo "$line"
}

to_copy() { # WORD ...: a command, in lines of at most 80 columns that a shell takes for one
    line=
    for word; do
        if [ -n "$line" ] && [ $((${#line} + ${#word})) -gt 76 ]; then
            echo "$line \\"
            line='   '
        fi
        line="$line${line:+ }$word"
    done
    echo "$line"
}

say() { # WORDS [COMMAND]: in one line, but for a terminal
    if [ -t 1 ]; then
        row 6 setup: $1
        [ $# -eq 1 ] || to_copy $2
    else
        echo "setup: $1${2+ $2}"
    fi
}

stop() { # WORDS [COMMAND]
    say "$@" >&2
    exit 1
}

missing() { # TOOL ...: those that are
    for tool; do
        found "$tool" || printf ' %s' "$tool"
    done
}

find_manager() {
    for candidate in apt-get dnf pacman apk; do
        if command -v $candidate >/dev/null; then
            echo $candidate
            return
        fi
    done
}

command_for() { # MANAGER TOOL ...: what installs them
    for_manager=$1 packages=
    shift
    for tool; do
        packages="$packages $(package "$tool" "$for_manager")"
    done
    case $for_manager in
    apt-get) echo "apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends$packages" ;;
    dnf) echo "dnf install -y$packages" ;;
    pacman) echo "pacman -Sy --noconfirm --needed$packages" ;;
    apk) echo "apk add$packages" ;;
    esac
}

# How we come to be root: "root", when we are; "sudo", which will not ask; "password", for which it will; or "none".
way_to_root() {
    if [ "$(id -u)" -eq 0 ]; then
        echo root
    elif ! command -v sudo >/dev/null; then
        echo none
    elif sudo -n true 2>/dev/null; then # it has a ticket, or no password is set
        echo sudo
    elif [ -t 0 ]; then
        echo password
    else
        echo none
    fi
}

# Of what a command prints, a terminal shows the last line, and all of it is shown when it fails.
run() { # COMMAND
    {
        sh -c "$1" 2>&1 </dev/null
        echo "setup: status $?"
    } | {
        log=
        while IFS= read -r line; do
            case $line in 'setup: status '*) break ;; esac
            log="$log$line
"
            [ ! -t 2 ] || printf '\r\033[K%.79s' "setup: $line" >&2
        done
        [ ! -t 2 ] || printf '\r\033[K' >&2
        [ "$line" = 'setup: status 0' ] || { printf '%s' "$log" >&2 && false; }
    }
}

install() { # TOOL ...
    [ -n "$manager" ] || stop "missing: $*; no package manager that I know; install them and try again"
    command=$(command_for "$manager" "$@")
    [ "$way" != none ] || stop "missing: $*; run this as root and try again:" "$command"
    [ "$way" = root ] || command="sudo sh -c '$command'"
    [ "${DEPS-}" != ask ] || stop "missing: $*; run this and try again:" "$command"
    say "missing: $*; running:" "$command"
    run "$command" || stop 'this failed:' "$command"
    for tool; do
        found "$tool" || stop "$tool is still missing after:" "$command"
    done
}

list() {
    absent=$(missing $required) there=
    for tool in $required; do
        case " $absent " in *" $tool "*) ;; *) there="$there $tool" ;; esac
    done
    row 11 'there:' $there
    row 11 'missing:' ${absent:-nothing}
    absent=$(missing $optional)
    [ -z "$absent" ] || row 11 'optional:' $absent '(for make peers and cost)'
    absent=$(missing $project)
    [ -z "$absent" ] || row 11 'project:' $absent '(for make project)'
    absent=$(missing $maintenance)
    [ -z "$absent" ] || row 11 'for others:' $absent '(for make check, its parts, and slides)'
}

# What installs, and how: looked for only when it is needed.
look_around() {
    manager=$(find_manager)
    way=$(way_to_root)
}

alone=
case ${1-} in
--alone)
    alone=yes
    shift
    ;;
--line)
    command_for "$2" $required
    exit
    ;;
--list)
    list
    look_around
    absent=$(missing $required)
    if [ -n "$absent" ] && { [ "$way" = none ] || [ "${DEPS-}" = ask ]; } && [ -n "$manager" ]; then
        printf '\nAs root:\n\n' && to_copy $(command_for "$manager" $absent)
    elif [ -n "$absent" ]; then
        install $absent
    fi
    absent=$(missing $optional)
    if [ -n "$absent" ] && [ -n "$manager" ]; then
        printf '\nThe optional ones, as root:\n\n' && to_copy $(command_for "$manager" $absent)
    fi
    exit
    ;;
--optional)
    shift
    [ -z "$(missing "$@")" ] || look_around
    for tool in $(missing "$@"); do
        case ${DEPS-}$way in root | sudo) (install "$tool") 2>/dev/null ;; esac
    done
    absent=$(missing "$@")
    [ -z "$absent" ] || echo "setup: goes on without$absent (optional: see make setup)" >&2
    exit 0
    ;;
--check)
    set -- $required $project $maintenance
    ;;
esac

absent=$(missing "$@")
[ -n "$absent" ] || exit 0
look_around
if [ -z "$alone" ] && { [ "$way" = none ] || [ "$way" = password ] || [ "${DEPS-}" = ask ]; }; then
    all=$required more=
    for tool in $absent; do
        case " $maintenance " in *" $tool "*) all="$required $maintenance" ;; esac
    done
    for tool in $(missing $all); do
        case "$absent " in *" $tool "*) ;; *) more="$more $tool" ;; esac
    done
    absent="$more $absent"
fi
install $absent
