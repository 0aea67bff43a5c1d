# A server with two workers, a client that keeps its connection, and new connections all the time.
nginx -e stderr -p "$PWD" -c "$PWD/nginx.conf" 2>log &
server=$!
python3 job.py || exit 1
kill $server
wait $server
