#!/bin/sh
# bare.sh SUITE [COMMAND]: the course on a Debian (bookworm, trixie, ...) that has nothing: a new tree by
# debootstrap, in it the steps of .devcontainer/Dockerfile, and then as its user, on a terminal of 80 columns,
# COMMAND, by default what the README begins with. As root; MIRROR is where packages come from. The tree stays in
# build/bare, and is begun anew each time; nothing runs or is mounted any more when this ends.
set -eu
cd "$(dirname "$0")/.."

suite=${1:?bare.sh SUITE [COMMAND]} command=${2:-make test && make compare}
tree=$(mkdir -p "${BUILD:-build}/bare" && cd "${BUILD:-build}/bare" && pwd)/$suite
[ "$(id -u)" -eq 0 ] || { echo "bare.sh: only root can make a tree and change into it" >&2 && exit 1; }
common/setup.sh debootstrap script

# In namespaces of its own, which take processes and mounts with them. The proxy, if there is one, is known, and the
# certificates by which npm knows it.
inside() { # COMMAND
    # shellcheck disable=SC2016 # for the shell in there
    unshare --mount --pid --fork --kill-child sh -euc '
        mount -t proc proc "$1/proc"
        mount --rbind /dev "$1/dev"
        mount --rbind /sys "$1/sys"
        env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root TERM=xterm ${http_proxy+"http_proxy=$http_proxy"} \
            ${https_proxy+"https_proxy=$https_proxy"} ${NODE_EXTRA_CA_CERTS+NODE_EXTRA_CA_CERTS=/etc/npm.pem} \
            chroot "$1" sh -euc "$2"' sh "$tree" "$1"
}

rm -rf --one-file-system "$tree"
# shellcheck disable=SC2086 # a mirror, or nothing
debootstrap --variant=minbase "$suite" "$tree" ${MIRROR-} >"$tree.log" 2>&1 || { cat "$tree.log" >&2 && exit 1; }
cp /etc/resolv.conf "$tree/etc/"
[ -z "${NODE_EXTRA_CA_CERTS-}" ] || install -m 644 "$NODE_EXTRA_CA_CERTS" "$tree/etc/npm.pem"
cp /etc/apt/apt.conf.d/* "$tree/etc/apt/apt.conf.d/"

# The steps of the image, from the Dockerfile as it stands: lines that end in \ go on.
sed -e :a -e '/\\$/N; s/\\\n *//; ta' .devcontainer/Dockerfile | while read -r word rest; do
    case $word in
    COPY) cp "${rest% *}" "$tree${rest#* }" ;;
    RUN) inside "$rest" || exit ;;
    'FROM' | '#'* | '') ;;
    *) echo "bare.sh: what does $word in the Dockerfile?" >&2 && exit 1 ;;
    esac
done
git clone -q . "$tree/home/learner/course"
inside "chown -R learner: /home/learner
    su -w http_proxy,https_proxy,NODE_EXTRA_CA_CERTS - learner -c 'cd course && script -qec \"stty cols 80 rows 24; $command\" /dev/null'"
