# Sourced by the scripts beside it: sees that the pinned Rust toolchain is here.

command -v cargo >/dev/null 2>&1 || {
  echo "provex: cargo is missing; install rustup first (https://rustup.rs)" >&2
  exit 3
}
if command -v rustup >/dev/null 2>&1 && ! rustup which cargo >/dev/null 2>&1; then
  # rust-toolchain.toml names it; some machines do not install it by themselves.
  channel=$(sed -n 's/^channel = "\(.*\)"/\1/p' rust-toolchain.toml)
  rustup toolchain install "$channel" --profile minimal --component rustfmt --component clippy \
    --target wasm32-unknown-unknown
fi
