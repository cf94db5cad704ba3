#!/bin/sh
# Installs the programs that interoperability tests and benchmarks talk to. Debian only; needs root.
set -eu
packages="kamailio kamailio-tls-modules kamailio-websocket-modules kamailio-extra-modules tshark gcc libc6-dev libssl-dev postgresql mariadb-server redis-server"
command -v java >/dev/null || packages="$packages default-jre-headless"
command -v mvn >/dev/null || packages="$packages maven"
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
[ -n "$missing" ] || { fetch_kafka; exit 0; }
command -v apt-get >/dev/null || { echo "install by hand:$missing" >&2; exit 1; }
export DEBIAN_FRONTEND=noninteractive
apt-get update -q >/dev/null
# No daemon may start by itself: tests start their own on free ports.
printf '#!/bin/sh\nexit 101\n' >/usr/sbin/policy-rc.d && chmod +x /usr/sbin/policy-rc.d
trap 'rm -f /usr/sbin/policy-rc.d' EXIT
# shellcheck disable=SC2086
apt-get install -y -q --no-install-recommends $missing >/dev/null
fetch_kafka
