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

# Installs the npm packages that a folder's lock file names, unless they are there.
npm_packages() {
    local folder=$1 stamp=$1/node_modules/.installed lock
    lock=$(sha256sum <"$folder/package-lock.json")
    if [ "$(cat "$stamp" 2>/dev/null)" = "$lock" ]; then return; fi
    say "Installing the npm packages of $folder"
    (cd "$folder" && npm ci --no-audit --no-fund)
    printf '%s\n' "$lock" >"$stamp"
}
