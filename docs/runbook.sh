# What the commands of runbook.md are made of, for bash at the top of the repository: `. docs/runbook.sh`.
#
# A secret is never an argument of a program, which everybody on the machine can see: it goes by standard input, or by
# the environment.
# shellcheck shell=bash

: "${ENVIRONMENT:?staging or production}" "${OPERATOR:?your name, which the audit log keeps}"
# So that output is what the functions below expect, whatever is configured for people.
export AWS_DEFAULT_OUTPUT=json AWS_PAGER=
# A pipe fails with any of its commands.
set -o pipefail

# fail TEXT…: says why, and fails.
fail() {
  echo "$*" >&2
  return 1
}

# output NAME: one of the stack's outputs.
output() {
  aws cloudformation describe-stacks --stack-name "kitloop-$ENVIRONMENT" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text
}

# Sets BASE_URL, unless it is, to what the stack says of its HTTP API.
find_api() {
  [[ -z ${BASE_URL:-} ]] || return 0
  BASE_URL=$(output HealthRoute) || return
  BASE_URL=${BASE_URL%/health}
}

# aws_by_input COMMAND…: a command of AWS with what comes by standard input, JSON, as its parameters. They go through a
# file that only you can read, because the command reads them twice.
aws_by_input() {
  local file status=0
  file=$(mktemp) || return
  cat >"$file"
  aws "$@" --cli-input-json "file://$file" || status=$?
  rm "$file"
  return "$status"
}

# ------------------------------------------------------------------------------------------------ asking the product

# Whether each part that the product needs is there; it answers when one is not, too, so that any status will do.
ready() {
  find_api || return
  curl -sS "$BASE_URL/ready" | jq .
}

# ops METHOD PATH [BODY]: what operators see and do under /ops.
ops() {
  local body=()
  find_api || return
  [[ -z ${3:-} ]] || body=(-H 'content-type: application/json' -d "$3")
  curl -sS --fail-with-body -X "$1" "$BASE_URL/ops/$2" -H "x-operator: $OPERATOR" ${body[@]+"${body[@]}"} \
    -H @<(printf 'authorization: Bearer %s' "$(secret admin_token)") | jq .
}

# scheduled PATH [BODY]: a scheduled function, run now and waited for, over HTTP.
scheduled() {
  find_api || return
  curl -sS --fail-with-body -X POST "$BASE_URL/$1" -H 'content-type: application/json' -d "${2:-"{}"}" \
    -H @<(printf 'authorization: Bearer %s' "$(secret cron_secret)") | jq .
}

# lines TEXT [MINUTES]: what the functions logged in the last hour, or so many minutes, in lines that hold the text.
lines() {
  local names name status=0 since=$((($(date +%s) - 60 * ${2:-60}) * 1000))
  names=$(functions) || return
  for name in $names; do
    aws logs filter-log-events --log-group-name "/aws/lambda/$name" --start-time "$since" \
      --filter-pattern "\"$1\"" --query 'events[].message' |
      jq -c --arg log "$name" '.[] | fromjson? | {timestamp, level, message, $log} + .context' || status=1
  done
  return "$status"
}

# ----------------------------------------------------------------------------------------------------------- secrets

# secret NAME: its value; of one that rotates, the current one.
secret() {
  aws ssm get-parameter --with-decryption --name "/kitloop/$ENVIRONMENT/$1" --query Parameter.Value --output text |
    jq -Rr '. as $text | try (fromjson | .current) catch $text'
}

# rotate NAME: asks for a new value and stores it beside the current one, which goes on counting.
rotate() {
  local previous
  previous=$(secret "$1") || return
  ask "$1" | previous=$previous jq -Rc '{current: ., previous: env.previous}' | store "$1"
}

# settle NAME: from now on only the current value counts.
settle() {
  secret "$1" | store "$1"
}

# replace NAME: asks for a new value, which alone counts.
replace() {
  ask "$1" | store "$1"
}

# Passes on one line that is typed without being shown, or comes from another program.
ask() {
  local value
  read -rsp "$1: " value
  [[ -t 0 ]] && echo >&2
  [[ -n $value ]] || fail "nothing was entered" || return
  printf '%s\n' "$value"
}

# store NAME: stores what comes by standard input.
store() {
  jq -R --arg name "/kitloop/$ENVIRONMENT/$1" '{Name: $name, Type: "SecureString", Overwrite: true, Value: .}' |
    aws_by_input ssm put-parameter --query Version --output text
}

# set_database_password: gives kitloop_app a new password, in the database and in the secret.
set_database_password() {
  local url before after password verifier
  url=$(secret database_url) || return
  [[ $url =~ $address ]] || fail "the secret database_url is no URL with a role and a password" || return
  before=${BASH_REMATCH[1]} after=${BASH_REMATCH[3]}
  password=$(openssl rand -hex 24) || return
  verifier=$(printf %s "$password" | scram) || return
  printf "alter role kitloop_app password '%s';\n" "$verifier" | sql || return
  printf '%s:%s%s\n' "$before" "$password" "$after" | store database_url ||
    fail "the database has a new password that the secret does not: run this again"
}

# By what PostgreSQL knows the password that comes by standard input, as its `\password` makes it (RFC 5803), so that no
# log of statements can hold the password itself.
scram() {
  python3 -c '
import base64, hashlib, hmac, os, sys
salt, rounds = os.urandom(16), 4096
salted = hashlib.pbkdf2_hmac("sha256", sys.stdin.buffer.read(), salt, rounds)
client, server = (hmac.digest(salted, name, "sha256") for name in (b"Client Key", b"Server Key"))
salt, stored, server = (
    base64.b64encode(value).decode() for value in (salt, hashlib.sha256(client).digest(), server)
)
print(f"SCRAM-SHA-256${rounds}:{salt}${stored}:{server}")
'
}

# The parts of a database's URL: up to the name of the role, its password, and from the @ on.
address='^([^:]+://[^:@/]+):([^@]*)(@.+)$'

# sql [OPTION…]: runs what comes by standard input as the owner of the schema, with these options of psql.
sql() {
  [[ ${DATABASE_URL:-} =~ $address ]] || fail "DATABASE_URL is no URL with a role and a password" || return
  local -x PGPASSWORD
  PGPASSWORD=$(printf %b "${BASH_REMATCH[2]//%/\\x}")
  [[ -z ${DATABASE_CA_FILE:-} ]] || local -x PGSSLMODE=verify-full PGSSLROOTCERT=$DATABASE_CA_FILE
  psql -Xqw -v ON_ERROR_STOP=1 "$@" "${BASH_REMATCH[1]}${BASH_REMATCH[3]}"
}

# --------------------------------------------------------------------------------------------------------- functions

# The names of all functions in Lambda, a line each.
functions() {
  aws lambda list-functions --output text \
    --query "Functions[?starts_with(FunctionName, 'kitloop-$ENVIRONMENT-')].FunctionName" | tr '\t' '\n'
}

# restart FUNCTION…: a new version of what is live, and so new sandboxes, which read settings and secrets anew.
restart() {
  local name
  for name in "${@/#/kitloop-$ENVIRONMENT-}"; do
    renew "$name" || fail "$name was not restarted" || return
  done
}

# renew NAME: publishes what is live once more, and lets that live.
renew() {
  local live code newest_code version
  live=$(live_version "$1") && code=$(code_of "$1" "$live") && newest_code=$(code_of "$1" '$LATEST') || return
  [[ $code == "$newest_code" ]] || fail "it was rolled back: deploy instead" || return
  aws lambda get-function-configuration --function-name "$1" --query Environment |
    jq --arg name "$1" '.Variables.SETTINGS_VERSION = (now | tostring) | {FunctionName: $name, Environment: .}' |
    aws_by_input lambda update-function-configuration --query FunctionName --output text || return
  aws lambda wait function-updated-v2 --function-name "$1" || return
  version=$(aws lambda publish-version --function-name "$1" --query Version --output text) || return
  [[ $version != "$live" ]] || fail "there is no new version" || return
  make_live "$1" "$version"
}

# code_of NAME QUALIFIER: the checksum of its program.
code_of() {
  aws lambda get-function-configuration --function-name "$1" --qualifier "$2" --query CodeSha256 --output text
}

# live_version NAME: the version that its callers reach.
live_version() {
  aws lambda get-alias --function-name "$1" --name live --query FunctionVersion --output text
}

# make_live NAME VERSION: lets its callers reach this version.
make_live() {
  aws lambda update-alias --function-name "$1" --name live --function-version "$2" \
    --query '[AliasArn, FunctionVersion]' --output text
}

# live_versions: every function and its version that is live, a line each, as `roll_to` takes them.
live_versions() {
  local names name version
  names=$(functions) || return
  for name in $names; do
    version=$(live_version "$name") || return
    echo "$name $version"
  done
}

# roll_to FILE: lets every function in it run the version that is noted there.
roll_to() {
  local name version status=0
  while read -r name version; do
    make_live "$name" "$version" || status=1
  done <"$1" || return
  return "$status"
}

# stop FILE: lets no function run any more but the one that passes alarms on, and notes in the file how many of each
# could at once.
stop() {
  local names name limit limits='' status=0
  [[ ! -e $1 ]] || fail "$1 is there already: the functions were stopped before" || return
  names=$(functions) || return
  for name in ${names/"kitloop-$ENVIRONMENT-forward-alarms"/}; do
    limit=$(aws lambda get-function-concurrency --function-name "$name" \
      --query ReservedConcurrentExecutions --output text) && [[ $limit =~ ^([0-9]+|None)$ ]] ||
      fail "nothing was stopped: the limit of $name is not known" || return
    limits+="$name $limit"$'\n'
  done
  [[ -n $limits ]] || fail "there are no functions" || return
  printf %s "$limits" >"$1" || return
  while read -r name limit; do
    limit_runs "$name" 0 || status=1
  done <"$1"
  [[ $status == 0 ]] || fail "not all were stopped: \`start $1\`, and again"
}

# start FILE: lets the functions run again as they did before `stop FILE`.
start() {
  local name limit status=0
  while read -r name limit; do
    limit_runs "$name" "$limit" || status=1
  done <"$1" || return
  [[ $status == 0 ]] || fail "not all were started: \`start $1\` again" || return
  rm "$1"
}

# all_ended: waits until what was under way when the functions were stopped has ended: requests, which last 15 seconds
# at most, and what clocks started, which lasts a minute at most, a comparison with Stripe five. Runs that were killed are
# not waited for longer.
all_ended() {
  local running
  sleep 15
  while
    running=$(sql -At <<<"select count(*) from public.cron_runs
      where status = 'running' and started_at > now()
        - case name when 'reconcile_payments' then interval '5 minutes' else interval '1 minute' end;") || return
    [[ $running != 0 ]]
  do
    sleep 2
  done
}

# limit_runs NAME LIMIT: so many runs at once; None is as many as the account has.
limit_runs() {
  if [[ $2 == None ]]; then
    aws lambda delete-function-concurrency --function-name "$1"
  else
    aws lambda put-function-concurrency --function-name "$1" --reserved-concurrent-executions "$2" \
      --query ReservedConcurrentExecutions --output text
  fi
}

# set_schedule FUNCTION ENABLED|DISABLED: switches its schedule.
set_schedule() {
  aws scheduler get-schedule --name "kitloop-$ENVIRONMENT-$1" |
    jq --arg state "$2" 'del(.Arn, .CreationDate, .LastModificationDate) | .State = $state' |
    aws_by_input scheduler update-schedule --query ScheduleArn --output text
}
