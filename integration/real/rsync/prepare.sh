mkdir -p from/sub
for i in 1 2 3 4 5 6 7 8; do
    seq "$i" 60000 >from/"$i"
    seq "$i" 3 200000 >from/sub/"$i"
done
