#!/usr/bin/env bash
# Installs everything on a fresh Debian 12+ or Ubuntu 24.04+ machine, then
#   bash packaging/bootstrap.sh open    opens the program on the demonstration ECG
#   bash packaging/bootstrap.sh test    runs the tests
# Needs no terminal and asks nothing; run again, it installs only what is missing.
set -euo pipefail

cd "$(dirname "${BASH_SOURCE[0]}")/.."
venv=.venv
stamp=$venv/.bootstrap

say() { printf '%s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

as_root() {
  if [ "$(id -u)" -eq 0 ]; then
    "$@"
  elif command -v sudo >/dev/null; then
    sudo "$@"
  else
    fail "Installing system packages needs root, and sudo is not here. As root, run: $*"
  fi
}

install_system_packages() {
  if ! command -v apt-get >/dev/null; then
    say "apt-get is not here: skipping the system packages. packaging/apt-packages.txt lists them."
    return
  fi
  local packages
  mapfile -t packages < <(grep -v '^\(#\|$\)' packaging/apt-packages.txt)
  # A dry run knows provided and renamed packages, which dpkg's own list does not.
  local missing
  if missing=$(apt-get install --simulate --no-upgrade --no-install-recommends -qq \
    "${packages[@]}" 2>/dev/null) && ! grep -q '^Inst ' <<<"$missing"; then
    say "All system packages are installed."
    return
  fi
  say "Installing system packages."
  as_root env DEBIAN_FRONTEND=noninteractive apt-get update -qq
  as_root env DEBIAN_FRONTEND=noninteractive \
    apt-get install -y -qq -o Dpkg::Use-Pty=0 --no-upgrade --no-install-recommends \
    "${packages[@]}" >/dev/null
}

make_venv() {
  if [ -x "$venv/bin/python" ] && "$venv/bin/python" -c '' 2>/dev/null; then
    return
  fi
  local candidate
  for candidate in python3 python3.14 python3.13 python3.12 python3.11; do
    if command -v "$candidate" >/dev/null &&
      "$candidate" -c 'import sys; sys.exit(sys.version_info < (3, 11))'; then
      "$candidate" -m venv --clear "$venv"
      return
    fi
  done
  fail "Python 3.11 or later is needed; this machine has $(python3 --version 2>&1)."
}

# What an installation was made from: an editable one follows the sources by itself.
fingerprint() {
  if [ "$1" = test ]; then
    sha256sum pyproject.toml
  else
    find pyproject.toml README.md assets echoing_gui model_core training -type f \
      -not -path '*/__pycache__/*' -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
  fi | sha256sum | sed "s/ .*/ $1/"
}

install_program() {
  local wanted
  wanted=$(fingerprint "$1")
  if [ -f "$stamp" ]; then
    local have
    have=$(<"$stamp")
    if [ "$have" = "$wanted" ] || [ "$have" = "$(fingerprint test)" ]; then
      say "The Python packages are installed."
      return
    fi
  fi
  say "Installing the Python packages into $venv."
  rm -f "$stamp"
  if [ "$1" = test ]; then
    "$venv/bin/python" -m pip install --quiet -e '.[dev]'
  else
    "$venv/bin/python" -m pip install --quiet .
  fi
  printf '%s\n' "$wanted" >"$stamp"
}

mode=${1:-}
case $mode in
  open | test) ;;
  *) fail "Usage: bash packaging/bootstrap.sh open|test" ;;
esac

install_system_packages
make_venv
install_program "$mode"

if [ "$mode" = test ]; then
  exec "$venv/bin/python" -m pytest
fi
if [ -z "${DISPLAY:-}${WAYLAND_DISPLAY:-}${QT_QPA_PLATFORM:-}" ]; then
  say "There is no display here, so no window can open. Checking the program off screen instead."
  export QT_QPA_PLATFORM=offscreen
  exec "$venv/bin/echoing" --self-test
fi
exec "$venv/bin/echoing" --demo
