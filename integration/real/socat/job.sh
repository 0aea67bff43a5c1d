# Lines go through a chain: a relay over TCP, then one over UDP.
socat -u UDP4-RECV:7394,bind=127.0.0.1 CREATE:received &
last=$!
socat -u TCP4-LISTEN:7393,bind=127.0.0.1 UDP4-SENDTO:127.0.0.1:7394 &
sleep 0.2
i=0
while [ $i -lt 60 ]; do
    echo "line $i"
    i=$((i + 1))
    sleep 0.02
done | socat -u STDIN TCP4:127.0.0.1:7393,retry=50,interval=0.05
sleep 0.2
kill $last
wait
cp received result
