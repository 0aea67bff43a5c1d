# Two processes that count how much they can do until an alarm rings. Speeds differ; that there are some does not.
openssl speed -multi 2 -seconds 1 -bytes 1024 sha256 >speeds 2>&1 || exit
grep -c '^sha256 .*k$' speeds >result
