# Shared by the scripts here: sets `python` to one that has the reference libraries.

source "$(dirname "${BASH_SOURCE[0]}")/../lib.sh"
here=$root/scripts/golden

setup_python() {
    command -v python3 >/dev/null || die "python3 is missing: install Python 3.11 or later"
    local venv=$cache/golden-venv stamp wanted
    python=$venv/bin/python
    stamp=$venv/.installed
    wanted=$(cat "$here"/requirements*.txt | sha256sum)
    if [ -x "$python" ] && [ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ]; then return; fi
    say "Installing the reference libraries in $venv (some gigabytes)"
    python3 -m venv "$venv"
    "$venv/bin/pip" install --quiet --requirement "$here/requirements.txt"
    "$venv/bin/pip" install --quiet --no-deps --requirement "$here/requirements-data.txt"
    printf '%s\n' "$wanted" >"$stamp"
}

if [ -n "${GLASSINE_PYTHON:-}" ]; then
    python=$GLASSINE_PYTHON
    command -v "$python" >/dev/null || die "GLASSINE_PYTHON names $python, which is not a program"
else
    setup_python
fi
export PYTHONDONTWRITEBYTECODE=1 HF_HUB_OFFLINE=1 HF_HUB_DISABLE_PROGRESS_BARS=1
export TRANSFORMERS_VERBOSITY=error DIFFUSERS_VERBOSITY=error
