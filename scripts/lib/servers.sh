# Sourced: what the scripts that start servers share. Every process is known by its pid, kept in a file, and only
# those are ever stopped.

# free_port: a port of 127.0.0.1 that nobody has now.
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }

# start FOLDER NAME COMMAND...: runs it in the background, its output in NAME.log, its pid among those of the folder.
start() {
  local folder=$1 name=$2
  shift 2
  "$@" >"$folder/$name.log" 2>&1 </dev/null &
  echo $! >>"$folder/pids"
}

# answers URL WHERE: waits until a URL answers.
answers() {
  local _
  for _ in $(seq 100); do
    curl -sf --noproxy '*' -o /dev/null "$1" && return
    sleep .1
  done
  echo "provex: $1 does not answer; see $2" >&2
  return 1
}

# servers_down FOLDER: stops what was started with this folder.
servers_down() {
  local pid
  [ -e "$1/pids" ] || return 0
  for pid in $(cat "$1/pids"); do kill "$pid" 2>/dev/null || :; done
  for pid in $(cat "$1/pids"); do while kill -0 "$pid" 2>/dev/null; do sleep .05; done; done
  rm -f "$1/pids"
}
