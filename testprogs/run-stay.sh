#!/bin/sh
# Builds every test program and runs each through the journey "stay": no checkpoint at all, so that a failure is the
# program's own. Usage: run-stay.sh [-u USER] [-w SECONDS] [DIRECTORY [PROGRAM...]]
#   -u USER     run the programs as that user (needs root), as the journey "unprivileged" does
#   -w SECONDS  how long a program stays at READY before it gets `go` (default 0.1)
set -u
user='' pause=0.1
while getopts u:w: option; do
    case $option in
        u) user=$OPTARG ;;
        w) pause=$OPTARG ;;
        *) exit 2 ;;
    esac
done
shift $((OPTIND - 1))
here=$(cd "$(dirname "$0")" && pwd)
to=${1:-$(mktemp -d)}
[ $# -gt 0 ] && shift
mkdir -p "$to" && chmod 755 "$to"
to=$(cd "$to" && pwd)
[ $# -gt 0 ] || set -- $(cd "$here" && ls *.c | sed 's/\.c$//')
cd "$here" || exit 2

build() {
    [ "$to/$1" -nt "$here/$1.c" ] && [ "$to/$1" -nt "$here/journey.h" ] && return 0
    extra=$(sed -n 's,^// build: *,,p' "$1.c")
    # shellcheck disable=SC2086
    ${CC:-cc} -std=gnu11 -O1 -g -Wall -Wextra -Werror -pthread "$1.c" -o "$to/$1" $extra -lrt -ldl -lm
}

run() {
    work=$to/work.$1
    rm -rf "$work" && mkdir "$work" || return 1
    out=$work/out
    : >"$out"
    [ -z "$user" ] || chown -R "$user" "$work"
    (
        cd "$work" || exit 1
        # A program that hangs is killed; --foreground keeps it in the group of the shell.
        set -- timeout --foreground -s KILL 60 "$to/$1"
        if [ -n "$user" ]; then
            set -- setpriv --reuid "$user" --regid "$(id -g "$user")" --clear-groups --inh-caps=-all "$@"
        fi
        exec "$@"
    ) </dev/null >>"$out" 2>&1 &
    pid=$!
    until grep -qs -e '^READY' -e '^SKIP' -e '^FAIL' "$out" || grep -qs ') Z' /proc/$pid/stat || [ ! -d /proc/$pid ]; do
        sleep 0.02
    done
    sleep "$pause"
    echo stay >"$work/go.new" && mv "$work/go.new" "$work/go"
    wait $pid 2>/dev/null
    status=$?
    last=$(tail -n 1 "$out")
    if [ $status = 0 ] && ! grep -q '^FAIL' "$out"; then
        case $last in
            PASS | SKIP*) echo "$1: $last"; return 0 ;;
        esac
    fi
    echo "$1: FAILED with status $status, see $out: $(grep FAIL "$out" | head -n 3)"
    return 1
}

passed=0 skipped=0 failed=0
for program in "$@"; do
    if ! build "$program"; then
        echo "$program: does not build"
        failed=$((failed + 1))
    elif line=$(run "$program"); then
        echo "$line"
        case $line in *SKIP*) skipped=$((skipped + 1)) ;; *) passed=$((passed + 1)) ;; esac
    else
        echo "$line"
        failed=$((failed + 1))
    fi
done
echo "$passed passed, $skipped skipped, $failed failed; built in $to"
[ $failed = 0 ]
