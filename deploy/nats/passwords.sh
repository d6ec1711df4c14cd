#!/bin/sh
# Makes a password for each user of nats.conf that has none yet; with the argument "rotate", for each.
set -eu
umask 077
for user in collector analyst worker w1; do
	file=/run/secrets/$user/password
	if [ "${1:-}" = rotate ] || [ ! -s "$file" ]; then
		head -c 24 /dev/urandom | od -An -tx1 | tr -d ' \n' >"$file.new"
		mv "$file.new" "$file"
		echo "made a password for $user"
	fi
done
