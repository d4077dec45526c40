# Sourced after judges.sh and servers.sh: a real RFC 3161 authority (sigstore's timestamp-server) on 127.0.0.1.

# tsa_up FOLDER: starts it; FOLDER gets root.pem, leaf.pem, chain.pem, tsa.key and pids. Sets TSA_URL, which takes
# queries, and TSA_CHAIN, its certificates from the leaf to the root.
tsa_up() {
  local folder=$1 port namespace=(unshare -n)
  mkdir -p "$folder"
  [ -e "$folder/chain.pem" ] || tsa_chain "$folder" || return
  [ "$(id -u)" = 0 ] || namespace=(unshare -rn)
  # It opens a metrics port on every interface, fixed in its code: hence the namespace and the socket. Without the
  # flag it would ask NTP servers for the time.
  rm -f "$folder/tsa.sock"
  start "$folder" tsa "${namespace[@]}" -- "$PROVEX_TOOLS/timestamp-server" serve --scheme=unix \
    --socket-path="$folder/tsa.sock" --disable-ntp-monitoring --timestamp-signer=file \
    --file-signer-key-path="$folder/tsa.key" --certificate-chain-path="$folder/chain.pem"
  # Kept, so that the authority has the same URL when it is started again.
  [ -e "$folder/port" ] || free_port >"$folder/port"
  read -r port <"$folder/port"
  start "$folder" forward python3 "$(dirname "${BASH_SOURCE[0]}")/forward.py" "$folder/tsa.sock" "$port"
  answers "http://127.0.0.1:$port/ping" "$folder/tsa.log" || return
  TSA_URL="http://127.0.0.1:$port/api/v1/timestamp" TSA_CHAIN="$folder/chain.pem"
}

# tsa_chain FOLDER: a root and a leaf that may only sign timestamps.
tsa_chain() (
  cd "$1" || exit
  openssl ecparam -name prime256v1 -genkey -noout -out root.key
  openssl ecparam -name prime256v1 -genkey -noout -out tsa.key
  openssl req -x509 -new -key root.key -sha256 -days 7300 -subj "/O=example.org/CN=local TSA root" \
    -addext basicConstraints=critical,CA:true,pathlen:0 -addext keyUsage=critical,keyCertSign,cRLSign -out root.pem
  printf '%s\n' basicConstraints=critical,CA:false keyUsage=critical,digitalSignature \
    extendedKeyUsage=critical,timeStamping subjectKeyIdentifier=hash authorityKeyIdentifier=keyid >extensions
  openssl req -new -key tsa.key -sha256 -subj "/O=example.org/CN=local TSA" -out tsa.csr
  openssl x509 -req -in tsa.csr -CA root.pem -CAkey root.key -CAcreateserial -sha256 -days 7299 \
    -extfile extensions -out leaf.pem 2>/dev/null
  cat leaf.pem root.pem >chain.pem
)
