#!/bin/sh
# Starts a command, nats-server, with the passwords of nats.conf in its environment, read from files.
set -eu
for user in collector analyst worker w1; do
	name=$(echo "$user" | tr '[:lower:]' '[:upper:]')_PASSWORD
	# The quotes are part of the value: nats.conf says why.
	export "$name=\"$(cat "/run/secrets/$user/password")\""
done
export STORE_DIR=/data
exec "$@"
