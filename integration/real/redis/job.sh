# A server and a client that counts in it, over one connection.
redis-server --port 7391 --save '' --appendonly no >log 2>&1 &
server=$!
python3 job.py || exit 1
kill $server
wait $server
