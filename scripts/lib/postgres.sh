#!/usr/bin/env bash
# Throw-away PostgreSQL servers for tests, as an unprivileged user, with fsync on: what tests see is what operators get.
#
# Sourced, it defines the functions below. Run, it calls one of them: `bash scripts/lib/postgres.sh start DIR`.
#
#   provex_postgres_install      installs PostgreSQL 15 or newer from the distribution's packages, where it is missing
#   provex_postgres_start DIR    makes and starts a server in the empty folder DIR; DIR/url and DIR/ca.crt are for clients
#   provex_postgres_kill DIR     kills it as a power cut would: no checkpoint, no farewell
#   provex_postgres_restart DIR  starts it again on the same port
#   provex_postgres_stop DIR     stops it and removes the folder

provex_postgres_bin() {
  local dir
  for dir in $(ls -d /usr/lib/postgresql/*/bin 2>/dev/null | sort -rV) "$(pg_config --bindir 2>/dev/null || true)"; do
    if [ -x "$dir/postgres" ] && [ -x "$dir/initdb" ]; then
      echo "$dir"
      return 0
    fi
  done
  return 1
}

provex_postgres_install() {
  provex_postgres_bin >/dev/null && return 0
  if ! command -v apt-get >/dev/null 2>&1 || [ "$(id -u)" -ne 0 ]; then
    echo "provex: PostgreSQL 15 or newer is missing and cannot be installed here; install its server package first" >&2
    return 3
  fi
  # No cluster of the distribution's own: only the programs are needed.
  mkdir -p /etc/postgresql-common
  grep -qs '^create_main_cluster' /etc/postgresql-common/createcluster.conf ||
    echo 'create_main_cluster = false' >>/etc/postgresql-common/createcluster.conf
  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends postgresql
  provex_postgres_bin >/dev/null
}

# PostgreSQL refuses to run as root.
provex_postgres_as() {
  if [ "$(id -u)" -eq 0 ]; then
    (cd / && exec setpriv --reuid=postgres --regid=postgres --clear-groups -- env HOME=/ "$@")
  else
    "$@"
  fi
}

# A certificate authority, whose key is thrown away, and the server's certificate by it, for 127.0.0.1 and no other name.
provex_postgres_certify() {
  local dir=$1 new=(-newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes)
  openssl req -x509 "${new[@]}" -days 30 -subj "/CN=provex test CA" -addext basicConstraints=critical,CA:TRUE \
    -addext keyUsage=critical,keyCertSign -keyout "$dir/run/ca.key" -out "$dir/ca.crt" 2>/dev/null
  openssl req "${new[@]}" -subj "/CN=provex test server" -keyout "$dir/run/server.key" -out "$dir/run/server.csr" 2>/dev/null
  printf '%s\n' basicConstraints=critical,CA:FALSE extendedKeyUsage=serverAuth subjectAltName=IP:127.0.0.1 >"$dir/run/server.ext"
  openssl x509 -req -in "$dir/run/server.csr" -CA "$dir/ca.crt" -CAkey "$dir/run/ca.key" -CAcreateserial -days 30 \
    -extfile "$dir/run/server.ext" -out "$dir/run/server.crt" 2>/dev/null
  rm "$dir/run/ca.key" "$dir/run/server.csr" "$dir/run/server.ext"
  chmod 0600 "$dir/run/server.key"
}

provex_postgres_start() {
  local dir=$1 bin port password try
  bin=$(provex_postgres_bin) || { echo "provex: PostgreSQL is missing: run scripts/test" >&2; return 3; }
  mkdir -p "$dir" && chmod 0755 "$dir"
  password=$(od -An -tx1 -N16 /dev/urandom | tr -d ' \n')
  mkdir "$dir/run" && chmod 0700 "$dir/run"
  provex_postgres_certify "$dir"
  if [ "$(id -u)" -eq 0 ]; then
    mkdir "$dir/data" && chown -R postgres:postgres "$dir/run" "$dir/data"
  fi
  provex_postgres_as "$bin/initdb" -D "$dir/data" -U postgres --auth=trust --encoding=UTF8 --no-locale >"$dir/initdb.log" 2>&1
  {
    echo 'local all all trust'
    echo 'host all all 127.0.0.1/32 scram-sha-256'
  } >"$dir/data/pg_hba.conf"
  cat >>"$dir/data/postgresql.conf" <<CONF
listen_addresses = '127.0.0.1'
unix_socket_directories = '$dir/run'
max_connections = 200
shared_buffers = 256MB
max_wal_size = 2GB
fsync = on
ssl = on
ssl_cert_file = '$dir/run/server.crt'
ssl_key_file = '$dir/run/server.key'
CONF
  for try in 1 2 3 4 5; do
    port=$((20000 + ($(od -An -tu2 -N2 /dev/urandom) % 12000)))
    sed -i "/^port = /d" "$dir/data/postgresql.conf"
    echo "port = $port" >>"$dir/data/postgresql.conf"
    if provex_postgres_restart "$dir"; then
      break
    elif [ "$try" = 5 ]; then
      cat "$dir/run/log" >&2
      return 3
    fi
  done
  # What an operator gives provex: a login that owns its databases and may make the application's role, no superuser.
  "$bin/psql" -X -q -v ON_ERROR_STOP=1 -h "$dir/run" -p "$port" -U postgres -d postgres <<SQL
create role provex_test login createdb createrole password '$password';
SQL
  echo "postgres://provex_test:$password@127.0.0.1:$port/postgres" >"$dir/url"
  echo "host=$dir/run port=$port user=postgres dbname=postgres" >"$dir/superuser"
}

provex_postgres_restart() {
  provex_postgres_as "$(provex_postgres_bin)/pg_ctl" -D "$1/data" -l "$1/run/log" -w -t 60 start >/dev/null
}

provex_postgres_kill() {
  local pid child
  pid=$(head -n 1 "$1/data/postmaster.pid")
  # Stopped first, it has no more children than these.
  kill -STOP "$pid"
  child=$(pgrep -P "$pid" || true)
  kill -9 "$pid"
  # They notice by themselves; a new server starts only when they have gone.
  for pid in "$pid" $child; do
    while kill -0 "$pid" 2>/dev/null; do sleep 0.05; done
  done
}

provex_postgres_stop() {
  provex_postgres_as "$(provex_postgres_bin)/pg_ctl" -D "$1/data" -m immediate -w stop >/dev/null 2>&1 || true
  rm -rf "$1"
}

if [ "${BASH_SOURCE[0]}" = "$0" ]; then
  set -euo pipefail
  action=$1
  shift
  "provex_postgres_$action" "$@"
fi
