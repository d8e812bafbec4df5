# What the commands of runbook.md are made of, for bash at the top of the repository: `. docs/runbook.sh`.
#
# A secret is never an argument of a program, which everybody on the machine can see: it goes by standard input, or by
# the environment.
# shellcheck shell=bash

: "${ENVIRONMENT:?staging or production}" "${OPERATOR:?your name, which the audit log keeps}"
# So that output is what the functions below expect, whatever is configured for people.
export AWS_DEFAULT_OUTPUT=json AWS_PAGER=

# output NAME: one of the stack's outputs; it tells of the HTTP API, unless BASE_URL is set.
output() {
  aws cloudformation describe-stacks --stack-name "kitloop-$ENVIRONMENT" \
    --query "Stacks[0].Outputs[?OutputKey=='$1'].OutputValue" --output text
}
if [[ -z ${BASE_URL:-} ]]; then
  BASE_URL=$(output HealthRoute)
  BASE_URL=${BASE_URL%/health}
fi

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
  curl -sS "$BASE_URL/ready" | jq .
}

# ops METHOD PATH [BODY]: what operators see and do under /ops.
ops() {
  local body=()
  [[ -z ${3:-} ]] || body=(-H 'content-type: application/json' -d "$3")
  curl -sS --fail-with-body -X "$1" "$BASE_URL/ops/$2" -H "x-operator: $OPERATOR" ${body[@]+"${body[@]}"} \
    -H @<(printf 'authorization: Bearer %s' "$(secret admin_token)") | jq .
}

# scheduled PATH [BODY]: a scheduled function, run now and waited for, over HTTP.
scheduled() {
  curl -sS --fail-with-body -X POST "$BASE_URL/$1" -H 'content-type: application/json' -d "${2:-"{}"}" \
    -H @<(printf 'authorization: Bearer %s' "$(secret cron_secret)") | jq .
}

# lines TEXT [MINUTES]: what the functions logged in the last hour, or so many minutes, in lines that hold the text.
lines() {
  local name since=$((($(date +%s) - 60 * ${2:-60}) * 1000))
  for name in $(functions); do
    aws logs filter-log-events --log-group-name "/aws/lambda/$name" --start-time "$since" \
      --filter-pattern "\"$1\"" --query 'events[].message' |
      jq -c --arg log "$name" '.[] | fromjson? | {timestamp, level, message, $log} + .context'
  done
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
  if [[ -z $value ]]; then
    echo "nothing was entered" >&2
    return 1
  fi
  printf '%s\n' "$value"
}

# store NAME: stores what comes by standard input.
store() {
  jq -R --arg name "/kitloop/$ENVIRONMENT/$1" '{Name: $name, Type: "SecureString", Overwrite: true, Value: .}' |
    aws_by_input ssm put-parameter --query Version --output text
}

# set_database_password: gives kitloop_app a new password, in the database and in the secret.
set_database_password() {
  local url password
  url=$(secret database_url) || return
  password=$(openssl rand -hex 24) || return
  printf "alter role kitloop_app password '%s';\n" "$password" | sql || return
  [[ $url =~ $address ]] || return
  printf '%s:%s%s\n' "${BASH_REMATCH[1]}" "$password" "${BASH_REMATCH[3]}" | store database_url
}

# The parts of a database's URL: up to the name of the role, its password, and from the @ on.
address='^([^:]+://[^:@/]+):([^@]*)(@.+)$'

# Runs what comes by standard input as the owner of the schema.
sql() {
  [[ $DATABASE_URL =~ $address ]] || return
  local -x PGPASSWORD PGSSLROOTCERT=${DATABASE_CA_FILE:-}
  PGPASSWORD=$(printf %b "${BASH_REMATCH[2]//%/\\x}")
  psql -Xqw -v ON_ERROR_STOP=1 "${BASH_REMATCH[1]}${BASH_REMATCH[3]}"
}

# --------------------------------------------------------------------------------------------------------- functions

# The names of all functions in Lambda.
functions() {
  aws lambda list-functions --output text \
    --query "Functions[?starts_with(FunctionName, 'kitloop-$ENVIRONMENT-')].FunctionName"
}

# restart FUNCTION…: a new version of what is live, and so new sandboxes, which read settings and secrets anew.
restart() {
  local name version
  for name in "${@/#/kitloop-$ENVIRONMENT-}"; do
    if [[ $(code_of "$name" live) != "$(code_of "$name" '$LATEST')" ]]; then
      echo "$name was rolled back: deploy instead" >&2
      return 1
    fi
    aws lambda get-function-configuration --function-name "$name" --query Environment |
      jq --arg name "$name" '.Variables.SETTINGS_VERSION = (now | tostring) | {FunctionName: $name, Environment: .}' |
      aws_by_input lambda update-function-configuration --query FunctionName --output text
    aws lambda wait function-updated-v2 --function-name "$name"
    version=$(aws lambda publish-version --function-name "$name" --query Version --output text)
    aws lambda update-alias --function-name "$name" --name live --function-version "$version" \
      --query FunctionVersion --output text
  done
}

# code_of NAME QUALIFIER: the checksum of its program.
code_of() {
  aws lambda get-function-configuration --function-name "$1" --qualifier "$2" --query CodeSha256 --output text
}

# roll_to TIME: lets every function run the version that was the newest at that time (UTC, such as 2026-11-21T02:30:00).
roll_to() {
  local name version
  for name in $(functions); do
    version=$(aws lambda list-versions-by-function --function-name "$name" |
      jq -r --arg time "$1" '
        [.Versions[] | select(.Version != "$LATEST" and .LastModified[:19] <= $time) | .Version | tonumber] | max // empty
      ')
    if [[ -z $version ]]; then
      echo "$name had no version yet" >&2
    else
      aws lambda update-alias --function-name "$name" --name live --function-version "$version" \
        --query '[AliasArn, FunctionVersion]' --output text
    fi
  done
}

# stop FILE: lets no function run any more, and notes in the file how many of each could at once.
stop() {
  local name limit
  if [[ -e $1 ]]; then
    echo "$1 is there already: the functions were stopped before" >&2
    return 1
  fi
  for name in $(functions); do
    limit=$(aws lambda get-function-concurrency --function-name "$name" \
      --query ReservedConcurrentExecutions --output text)
    echo "$name $limit" >>"$1"
    limit_runs "$name" 0
  done
}

# start FILE: lets the functions run again as they did before `stop FILE`.
start() {
  local name limit
  while read -r name limit; do
    limit_runs "$name" "$limit"
  done <"$1"
  rm "$1"
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
