rsync -r --bwlimit=8000 from/ to/ || echo "rsync ended with $?" >>result
(cd to && cksum * sub/* 2>/dev/null) >>result
