# Background jobs, a pipeline with a slow producer, a subshell, a trap, arrays.
work() {
    local sum=0 i
    for ((i = 1; i <= $1; i++)); do sum=$(((sum * 31 + i) % 1000003)); done
    echo "$2 $sum" >"part.$2"
}
trap 'echo bye >>result' EXIT
declare -a pids
for n in 1 2 3; do
    work 60000 $n &
    pids+=($!)
done
(for ((i = 0; i < 80; i++)); do
    echo $i
    sleep 0.005
done) | while read -r x; do echo $((x * x)); done >squares
failures=0
for pid in "${pids[@]}"; do wait "$pid" || ((failures++)); done
{ cat part.* squares; echo "${#pids[@]} jobs, $failures failures"; } >result
