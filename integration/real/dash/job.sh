# A long pipeline, command substitution, a background job, reads from a here-document.
(i=0; while [ $i -lt 100000 ]; do i=$((i + 1)); done; echo "counted $i" >counted) &
seq 1 400000 | sed 's/7/seven/g' | tr -d 0 | grep -v 55 | cksum >sum
slow=0
while read -r word; do
    slow=$((slow + $(printf %s "$word" | wc -c)))
    sleep 0.1
done <<END
one
two
three
four
five
END
wait
{ cat sum counted; echo "$slow letters"; } >result
