#!/bin/sh
# setup.sh TOOL ... : sees to it that the tools are there; installs what is missing.
#
# With the package manager that is found (apt-get, dnf, pacman, apk), as root or through sudo where
# sudo can ask. Prints the command before it runs it; with DEPS=ask prints it and stops.
set -u

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
    gcc-multilib) is_musl || echo 'int main(void) { return 0; }' |
        cc -m32 -x c - -o /dev/null 2>/dev/null ;;
    musl-gcc) is_musl || command -v musl-gcc >/dev/null ;;
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
    tidy:apk) echo tidyhtml ;;
    *) echo "$1" ;;
    esac
}

stop() {
    echo "setup: $*" >&2
    exit 1
}

missing=
for tool; do
    found "$tool" || missing="$missing $tool"
done
[ -n "$missing" ] || exit 0

manager=
for candidate in apt-get dnf pacman apk; do
    if command -v $candidate >/dev/null; then
        manager=$candidate
        break
    fi
done
[ -n "$manager" ] || stop "missing:$missing; no package manager that I know; install them and try again"

packages=
for tool in $missing; do
    packages="$packages $(package "$tool" $manager)"
done
case $manager in
apt-get) command="apt-get update && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends$packages" ;;
dnf) command="dnf install -y$packages" ;;
pacman) command="pacman -Sy --noconfirm --needed$packages" ;;
apk) command="apk add$packages" ;;
esac

if [ "$(id -u)" -ne 0 ]; then
    # sudo can ask on a terminal, and needs not where it has a ticket or no password is set.
    if command -v sudo >/dev/null && { [ -t 0 ] || sudo -n true 2>/dev/null; }; then
        command="sudo sh -c '$command'"
    else
        stop "missing:$missing; run this as root and try again: $command"
    fi
fi
if [ "${DEPS-}" = ask ]; then
    stop "missing:$missing; run this and try again: $command"
fi

echo "setup: missing:$missing; running: $command"
sh -c "$command" >&2 </dev/null || stop "this failed: $command"
for tool in $missing; do
    found "$tool" || stop "$tool is still missing after: $command"
done
