#!/bin/sh
# Installs the Debian packages that building, testing and measuring relay take.  Only what is missing is
# installed; with nothing missing it asks for no rights and touches no network.
#
#   deploy/deps.sh [--check] [build|test|bench|package|image|manifests|all]...     default: build
#   all        what `make check` and the packages take; not image and manifests, which prove what is for other machines
#   --check    only name what is missing; exit status 1 if there is anything
set -eu

usage='usage: deploy/deps.sh [--check] [build|test|bench|package|image|manifests|all]...'

# One line per package: its name, then the cheapest proof that what it brings is there, whoever installed it.
build_packages='
build-essential     have gcc && have make && have ar && test -f /usr/include/stdlib.h
pkg-config          have pkg-config
android-libboringssl-dev boringssl
liburing-dev        library liburing
libconfuse-dev      library libconfuse
libevent-dev        library libevent_core && library libevent_extra
libncurses-dev      library ncursesw
libprotobuf-c-dev   library libprotobuf-c
libsqlite3-dev      library sqlite3
protobuf-c-compiler have protoc-c
scdoc               have scdoc
perl                perl -MTime::HiRes -MIO::Socket::UNIX -MFile::Temp -MPOSIX -e 1
'
test_packages='
libcriterion-dev    library criterion
libgcrypt20-dev     library libgcrypt
clang               have clang
libclang-rt-14-dev  runtime fuzzer
clang-format        have clang-format
clang-tidy          have clang-tidy
prometheus          have promtool
socat               have socat
openssl             have openssl
libio-socket-ssl-perl perl -MIO::Socket::SSL -e 1
chiark-utils-bin    have prefork-interp
libio-fdpass-perl   perl -MIO::FDPass -e 1
chiark-scripts      perl -MProc::Prefork::Interp -e 1
systemd             have systemd-analyze
logrotate           system logrotate
'
bench_packages='
haproxy             system haproxy
nginx               system nginx
libnginx-mod-stream test -f /usr/lib/nginx/modules/ngx_stream_module.so
nutcracker          system nutcracker
linux-perf          perf --version
valgrind            have valgrind
gnuplot-nox         have gnuplot
'

package_packages='
debhelper           have dh
fakeroot            have fakeroot
lintian             have lintian
mmdebstrap          have mmdebstrap
systemd-container   have systemd-nspawn
'
# Without docker, which is taken where it is.
image_packages='
podman              have podman
podman-compose      have podman-compose
buildah             have buildah
runc                system runc
netavark            test -x /usr/lib/podman/netavark || test -d /usr/lib/cni
mmdebstrap          have mmdebstrap
ca-certificates     test -f /etc/ssl/certs/ca-certificates.crt
'
manifests_packages='
npm                 have npm
'

have() {
	command -v "$1" >/dev/null 2>&1
}

# Servers live where an ordinary user's shell does not look.
system() {
	have "$1" || test -x "/usr/sbin/$1"
}

library() {
	have pkg-config && pkg-config --exists "$1"
}

# No .pc file says where it is.
boringssl() {
	test -f /usr/include/android/openssl/sha.h && test -f "/usr/lib/$(gcc -print-multiarch)/android/libcrypto.so"
}

runtime() {
	have clang && test -f "$(clang -print-file-name="libclang_rt.$1-$(uname -m).a")"
}

missing() {
	printf '%s\n' "$1" | while read -r package proof; do
		test -z "$package" || (eval "$proof") >/dev/null 2>&1 || printf '%s ' "$package"
	done
}

check=no
wanted=$build_packages
for word in "$@"; do
	case $word in
	--check) check=yes ;;
	build) ;;
	test) wanted=$wanted$test_packages ;;
	bench) wanted=$wanted$bench_packages ;;
	package) wanted=$wanted$package_packages ;;
	image) wanted=$wanted$image_packages ;;
	manifests) wanted=$wanted$manifests_packages ;;
	all) wanted=$wanted$test_packages$bench_packages$package_packages ;;
	-h | --help)
		printf '%s\n' "$usage"
		exit 0
		;;
	*)
		printf '%s\n' "$usage" >&2
		exit 64
		;;
	esac
done

lacking=$(missing "$wanted")
if test -z "$lacking"; then
	exit 0
fi
if test $check = yes; then
	printf 'missing Debian packages: %s\n' "$lacking"
	exit 1
fi

as_root=
if test "$(id -u)" != 0; then
	as_root='sudo -n'
	if ! sudo -n true 2>/dev/null; then
		as_root=none
	fi
fi
if test "$as_root" = none || ! have apt-get; then
	printf 'deploy/deps.sh: these Debian packages are missing and cannot be installed from here;\n' >&2
	printf 'let root do it:  apt-get install %s\n' "$lacking" >&2
	exit 69
fi

install() {
	# The words of $lacking are package names: splitting them is meant.
	# shellcheck disable=SC2086
	$as_root env DEBIAN_FRONTEND=noninteractive \
	    apt-get install -y -q --no-install-recommends $lacking </dev/null >&2
}

printf 'deploy/deps.sh: installing %s\n' "$lacking" >&2
# A fresh system has no package lists and an old one has stale ones: both show as a failed first try.
if ! install; then
	$as_root apt-get update -q >&2
	install
fi

lacking=$(missing "$wanted")
if test -n "$lacking"; then
	printf 'deploy/deps.sh: installed, yet still not usable: %s\n' "$lacking" >&2
	exit 69
fi
