set -e
cc -O1 -o ranks ranks.c -pthread
