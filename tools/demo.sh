#!/usr/bin/env bash
# The whole story on a copy of examples/tuckshop: what breaks, the repair, and what is left.
set -euo pipefail
toughen=$(cd "$(dirname "$1")" && pwd)/$(basename "$1")
here=$(cd "$(dirname "$0")/.." && pwd)
place=$(mktemp -d "${TMPDIR:-/tmp}/toughen-demo-XXXXXX")
trap 'rm -rf "$place"' EXIT
cp -R "$here/examples/tuckshop" "$place/tuckshop"
rm -rf "$place/tuckshop/.toughen"
cp -R "$place/tuckshop" "$place/before"
cd "$place"

say() { printf '\n\033[1m== %s\033[0m\n\n' "$*"; }

# Proven breaks are what a demo is for: only 10 of the exit codes above 0 goes on.
run() {
    local code=0
    "$@" || code=$?
    if [ "$code" -ne 0 ] && [ "$code" -ne 10 ]; then
        exit "$code"
    fi
}

say "1. toughen check tuckshop: a shop that an AI assistant wrote in an afternoon. Its own tests pass."
run "$toughen" check tuckshop

say "2. toughen fix tuckshop: each repair is kept only if its break is gone and everything honest still works."
run "$toughen" fix --force tuckshop --output fix.txt
say "   What it changed:"
diff -ru -x .toughen -x __pycache__ before tuckshop || true
say "   What it says about it:"
sed -n '/^Repairs:/,/^$/p' fix.txt

say "3. toughen check tuckshop: the mended shop, attacked again from the beginning."
run "$toughen" check tuckshop

say "examples/tuckshop/WRONG.md lists what is wrong with the shop."
