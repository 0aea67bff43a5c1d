# awk, sort with little memory (so that it spills to files) and gzip over a large generated file.
awk '{ count[$3]++; print $2, $1, count[$3] }' big | LC_ALL=C sort -n -S 4M -T . | gzip -n -9 >result
