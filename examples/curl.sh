#!/bin/sh
# Says hello as a bot and reads what was said in that chat.
# MILKY_URL=http://127.0.0.1:3000 MILKY_TOKEN=<access token> examples/curl.sh <id of a friend>
set -eu
friend=${1:?say to whom: the id of an account}

call() {
  curl --silent --show-error --fail-with-body "${MILKY_URL:-http://127.0.0.1:3000}/$1" \
    --header "Authorization: Bearer ${MILKY_TOKEN:-}" --header 'Content-Type: application/json' --data "$2"
  echo
}

call send_private_message '{"user_id":'"$friend"',"message":[{"type":"text","data":{"text":"Hello from curl"}}]}'
call get_history_private_message '{"user_id":'"$friend"',"limit":5}'
