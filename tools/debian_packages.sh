#!/bin/sh
# Install the Debian packages that tests and benchmark use, those alone that are missing, and only as root.
#
# What is installed here is not needed to run Rundlet. No service is started: dockerd is run by the tests
# themselves, on its own data root. Without root, or without apt, it says what will be skipped.
set -eu

missing=""
# need COMMAND PACKAGE...: the first of the packages that the machine's Debian knows.
need() {
    command=$1
    shift
    command -v "$command" >/dev/null 2>&1 && return
    for package in "$@"; do
        if apt-cache show "$package" >/dev/null 2>&1; then
            case " $missing " in
                *" $package "*) ;;
                *) missing="$missing $package" ;;
            esac
            return
        fi
    done
    missing="$missing $1"
}

collect() {
    missing=""
    # The dynamic busybox is of no use in an empty image.
    dpkg-query -W -f '${Status}' busybox-static 2>/dev/null | grep -q 'ok installed' || missing="$missing busybox-static"
    need docker docker-cli docker.io
    need dockerd docker.io
    need skopeo skopeo
    need umoci umoci
    need setcap libcap2-bin
    need bzip2 bzip2
    need xz xz-utils
    need zstd zstd
}

if ! command -v dpkg-query >/dev/null 2>&1; then
    echo "debian_packages: this is no Debian: tests that need docker.io, busybox-static, skopeo or umoci" \
         "are skipped unless they are installed"
    exit 0
fi
collect
[ -n "$missing" ] || exit 0
if [ "$(id -u)" != 0 ]; then
    echo "debian_packages: not root: tests that need$missing are skipped"
    exit 0
fi

echo "debian_packages: the tests use these Debian packages, which are missing:$missing"
apt-get update -qq
collect # now with a package list: docker-cli is a package of its own from Debian 13 on
# Debian's policy hook: installing must start no service on this machine.
policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    trap 'exit 1' INT TERM
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
# shellcheck disable=SC2086 # a list of words
DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends $missing >/dev/null
