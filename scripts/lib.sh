# Shared by the scripts: where things are, and how to speak.

root=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)
cache=${XDG_CACHE_HOME:-$HOME/.cache}/glassine
export CARGO_TARGET_DIR=${CARGO_TARGET_DIR:-$cache/target}
bindgen=$cache/tools/release/glassine-bindgen

say() { printf '%s\n' "$*"; }
die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}
