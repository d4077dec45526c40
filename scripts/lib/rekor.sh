# Sourced after judges.sh and servers.sh: a real Rekor v2 (rekor-tiles, POSIX storage) on 127.0.0.1.
#
# The host name of the log's URL is its origin, here 127.0.0.1, so each log has a URL of its own by its port only.

# rekor_up FOLDER [FLAGS...]: starts it; FOLDER gets log.pem, log.pub, log/ and pids, and keeps its log for the next
# start. Sets REKOR_URL (writes), REKOR_READ_URL (checkpoint and tiles) and REKOR_KEY (the log's public key).
rekor_up() {
  local folder=$1 port tiles
  shift
  mkdir -p "$folder/log"
  if [ ! -e "$folder/log.pub" ]; then
    openssl genpkey -algorithm ed25519 -out "$folder/log.pem"
    openssl pkey -in "$folder/log.pem" -pubout -out "$folder/log.pub"
  fi
  # Kept, so that the log has the same URL when it is started again.
  [ -e "$folder/ports" ] || echo "$(free_port) $(free_port)" >"$folder/ports"
  read -r port tiles <"$folder/ports"
  start "$folder" rekor "$PROVEX_TOOLS/rekor-server-v2" serve --hostname=127.0.0.1 --storage-dir="$folder/log" \
    --signer-filepath="$folder/log.pem" --persistent-antispam=true \
    --checkpoint-interval=200ms --batch-max-age=50ms --http-address=127.0.0.1 --http-port="$port" \
    --grpc-address=127.0.0.1 --grpc-port="$(free_port)" --http-metrics-port="$(free_port)" "$@"
  answers "http://127.0.0.1:$port/healthz" "$folder/rekor.log" || return
  start "$folder" tiles python3 "$(dirname "${BASH_SOURCE[0]}")/tiles.py" "$folder/log" "$tiles"
  answers "http://127.0.0.1:$tiles/checkpoint" "$folder/tiles.log" || return
  REKOR_URL="http://127.0.0.1:$port" REKOR_READ_URL="http://127.0.0.1:$tiles" REKOR_KEY="$folder/log.pub"
}
