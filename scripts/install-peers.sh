#!/bin/sh
# Installs the programs that interoperability tests and benchmarks talk to. Debian only; needs root.
set -eu
packages="kamailio kamailio-tls-modules kamailio-websocket-modules kamailio-extra-modules tshark gcc libc6-dev libssl-dev postgresql mariadb-server redis-server sip-tester sipsak linphone-cli chromium"
command -v java >/dev/null || packages="$packages default-jre-headless"
command -v mvn >/dev/null || packages="$packages maven"
command -v node >/dev/null || packages="$packages nodejs"
command -v npm >/dev/null || packages="$packages npm"
missing=""
for package in $packages; do
    dpkg-query -W -f '${Status}' "$package" 2>/dev/null | grep -q 'ok installed' || missing="$missing $package"
done
cd "$(dirname "$0")/.."
# The jars of the broker that the bus is tested on; Maven keeps them in its own cache too.
fetch_kafka() {
    [ ! -d .peers/kafka ] || return 0
    rm -rf .peers/kafka.part
    mvn -q -B -f tests/support/kafka/pom.xml dependency:copy-dependencies -DoutputDirectory="$PWD/.peers/kafka.part"
    mv .peers/kafka.part .peers/kafka
}
# The SIP clients of browsers. No lock file: it would record where packages were downloaded from.
fetch_node() {
    ! cmp -s tests/support/node/package.json .peers/node/package.json || return 0
    rm -rf .peers/node .peers/node.part
    mkdir -p .peers/node.part
    cp tests/support/node/package.json .peers/node.part/
    (cd .peers/node.part && npm install --silent --no-package-lock --no-audit --no-fund)
    mv .peers/node.part .peers/node
}
# A program, kept apart from our own packages.
fetch_sipvicious() {
    [ ! -x .peers/sipvicious/bin/sipvicious_svmap ] || return 0
    rm -rf .peers/sipvicious
    python3 -m venv .peers/sipvicious
    .peers/sipvicious/bin/python -m pip install --quiet --disable-pip-version-check sipvicious==0.3.8
}
# A server of S3, likewise.
fetch_moto() {
    [ ! -x .peers/moto/bin/moto_server ] || return 0
    rm -rf .peers/moto
    python3 -m venv .peers/moto
    .peers/moto/bin/python -m pip install --quiet --disable-pip-version-check "moto[s3]==5.2.5" flask==3.1.3 flask-cors==6.0.5
}
fetch_all() {
    fetch_kafka
    fetch_node
    fetch_sipvicious
    fetch_moto
}
[ -n "$missing" ] || { fetch_all; exit 0; }
command -v apt-get >/dev/null || { echo "install by hand:$missing" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# No daemon may start by itself: tests start their own on free ports.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing >/dev/null
fetch_all
