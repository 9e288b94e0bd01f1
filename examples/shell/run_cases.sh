#!/bin/sh
# Runs test cases and reports their results, with curl alone: run_cases.sh PROJECT ENVIRONMENT CASE...
# Try it: zof-emulator exec --clock auto -- examples/shell/run_cases.sh proj_abc staging tc_login_001
# Needs ZOF_BASE_URL and ZOF_API_KEY. Exit status: 0 the run passed, 1 it did not, 2 the API could not be used.
set -eu
[ $# -ge 3 ] || { echo 'usage: run_cases.sh PROJECT ENVIRONMENT CASE...' >&2; exit 2; }
project=$1 environment=$2
shift 2

# curl repeats a request after a lost connection, a 408, a 429 or a 5xx, and waits as long as Retry-After says.
zof() {
    answer=$(curl -sS --fail-with-body --retry 5 --retry-connrefused --max-time 30 \
        -H "Authorization: Bearer $ZOF_API_KEY" -H 'Content-Type: application/json' "$@") ||
        { printf '%s\n' "$answer" >&2; exit 2; }
    printf '%s\n' "$answer"
}
# The first value of a string field; `jq -r .NAME` is better where jq is installed.
read_field() { grep -o "\"$1\": *\"[^\"]*\"" | head -n 1 | cut -d '"' -f 4; }

cases=$(printf '"%s",' "$@")
order="{\"project_id\": \"$project\", \"environment\": \"$environment\", \"test_case_ids\": [${cases%,}]}"
# The key makes it safe to repeat the start: the API makes one run of all requests with the same key.
run=$(zof "$ZOF_BASE_URL/runs" -H "Idempotency-Key: $(date +%s)-$$" -d "$order")
id=$(printf '%s' "$run" | read_field id)

while :; do
    status=$(printf '%s' "$run" | read_field status)
    case $status in queued | running) ;; *) break ;; esac
    sleep "${POLL_SECONDS:-2}"
    run=$(zof "$ZOF_BASE_URL/runs/$id")
done
echo "$id $status"
zof "$ZOF_BASE_URL/results/export" -d "{\"format\": \"csv\", \"run_id\": \"$id\"}"
[ "$status" = passed ]
